//! Turns a report into the lines of the table: which values, in which order, with which figures.

use std::collections::HashMap;

use super::spark::mean;
use super::{SHOWN, Text};
use crate::totals::format::figures::{absent, is_comparable};
use crate::totals::report::{Numbers, Part, Row, ValueTotal};

/// The value under which clients' values over the limit are counted.
const OTHER: &str = "other";

/// The use of each row of a report.
#[derive(Debug)]
pub struct Rows {
    /// The first row of the span; earlier rows are for the comparison.
    pub begin: usize,
    /// The end of its finished rows.
    pub end: usize,
    /// The row that has not ended.
    pub running: Option<usize>,
    /// Whether each row covers enough of its time to be compared.
    comparable: Vec<bool>,
}

impl Rows {
    pub fn of(text: &Text<'_>) -> Rows {
        let rows = &text.report.rows;
        let ends_before = |row: &Row| row.start.saturating_add_unsigned(row.seconds) <= text.from;
        let end = rows.partition_point(|row| row.finished);
        let comparable = |row| is_comparable(row, text.every, text.report.query_period_seconds);
        Rows {
            begin: rows.partition_point(ends_before).min(end),
            end,
            running: (end < rows.len()).then_some(end),
            comparable: rows.iter().map(comparable).collect(),
        }
    }

    /// The last finished row of the span.
    pub fn last(&self) -> Option<usize> {
        (self.begin < self.end).then(|| self.end - 1)
    }
}

/// A line of the table.
#[derive(Debug)]
pub struct Line {
    pub label: String,
    /// The figure in the last finished row.
    pub now: Option<f64>,
    /// The figure in the running row.
    pub so_far: Option<f64>,
    /// The share of all check-ins, now or so far.
    pub share: Option<f64>,
    pub change: Change,
    /// The figures in the finished rows of the span; `None` if unknown or not comparable.
    pub bars: Vec<Option<f64>>,
}

/// The mean of the span, compared with that of the time before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    Unknown,
    /// There was none before.
    New,
    /// As a fraction.
    By(f64),
}

/// The lines of the table.
#[derive(Debug)]
pub struct Lines {
    pub lines: Vec<Line>,
    /// How many values are not shown.
    pub left_out: usize,
    /// How many values there are in the span.
    pub values: usize,
}

/// Makes the lines: all check-ins, the values with the most check-ins, check-ins without a value, and `other`; or
/// the figures of a field.
pub fn lines(text: &Text<'_>, rows: &Rows) -> Lines {
    let all: Vec<Option<f64>> = text.report.rows.iter().map(|row| row.total).collect();
    let mut made = Lines {
        lines: vec![line(rows, "all", &all, None)],
        left_out: 0,
        values: 0,
    };
    if text.report.by == "all" {
        return made;
    }
    if matches!(
        text.report.rows.first().map(|row| &row.part),
        Some(Part::Numbers(_))
    ) {
        made.lines.extend(field_lines(text, rows, &all));
        return made;
    }
    let (mut shown, other) = ranked(text, rows);
    made.values = shown.len() + usize::from(other.is_some());
    made.left_out = shown.len().saturating_sub(SHOWN);
    shown.truncate(SHOWN);
    let without = without_value(text);
    let any_without = |figure: &Option<f64>| figure.is_some_and(|figure| figure >= 0.05);
    let shown_rows = rows.begin..rows.running.map_or(rows.end, |running| running + 1);
    let some_without = without
        .get(shown_rows)
        .is_some_and(|f| f.iter().any(any_without));

    let values: Vec<Value<'_>> = shown.into_iter().chain(other).collect();
    let figures = figures_of(text, &values);
    let mut value_lines: Vec<Line> = values
        .iter()
        .zip(&figures)
        .map(|(value, figures)| line(rows, &label(text, value), figures, Some(&all)))
        .collect();
    if some_without {
        let at = value_lines.len() - usize::from(other.is_some());
        value_lines.insert(at, line(rows, "(none)", &without, Some(&all)));
    }
    made.lines.extend(value_lines);
    made
}

/// A line of figures, one for each row of the report. A share is a part of `all`.
fn line(rows: &Rows, label: &str, figures: &[Option<f64>], all: Option<&[Option<f64>]>) -> Line {
    let at = |index: Option<usize>| index.and_then(|index| *figures.get(index)?);
    let known = |from: usize, to: usize| -> Vec<Option<f64>> {
        let comparable = |index: usize| rows.comparable.get(index).copied().unwrap_or(false);
        (from..to)
            .map(|index| at(Some(index)).filter(|_| comparable(index)))
            .collect()
    };
    let (now, so_far) = (at(rows.last()), at(rows.running));
    let share = all.and_then(|all| {
        let all_at = |index: Option<usize>| index.and_then(|index| *all.get(index)?);
        let (part, whole) = match all_at(rows.last()) {
            Some(whole) => (now?, whole),
            None => (so_far?, all_at(rows.running)?),
        };
        (whole > 0.0).then(|| part / whole)
    });
    let bars = known(rows.begin, rows.end);
    let change = match (mean(&known(0, rows.begin)), mean(&bars)) {
        (Some(before), Some(mean)) if before > 0.0 => Change::By(mean / before - 1.0),
        (Some(0.0), Some(mean)) if mean > 0.0 || so_far > Some(0.0) => Change::New,
        (Some(0.0), Some(0.0)) => Change::By(0.0),
        _ => Change::Unknown,
    };
    Line {
        label: label.to_owned(),
        now,
        so_far,
        share,
        change,
        bars,
    }
}

/// A value of the dimension, with the country of a city, since cities share names.
type Value<'a> = (&'a str, Option<&'a str>);

fn value(total: &ValueTotal) -> Value<'_> {
    (&total.value, total.country.as_deref())
}

fn values(row: &Row) -> &[ValueTotal] {
    match &row.part {
        Part::Values(values) => values,
        Part::Numbers(_) => &[],
    }
}

/// The values of the span, those with the most check-ins now first; and `other`, if it occurs.
fn ranked<'a>(text: &Text<'a>, rows: &Rows) -> (Vec<Value<'a>>, Option<Value<'a>>) {
    #[derive(Default)]
    struct Rank {
        now: f64,
        so_far: f64,
        sum: f64,
    }
    let mut ranks: HashMap<Value<'a>, Rank> = HashMap::new();
    for (index, row) in text.report.rows.iter().enumerate().skip(rows.begin) {
        for total in values(row) {
            let rank = ranks.entry(value(total)).or_default();
            rank.sum += total.total;
            if Some(index) == rows.last() {
                rank.now = total.total;
            }
            if Some(index) == rows.running {
                rank.so_far = total.total;
            }
        }
    }
    let other = ranks.remove_entry(&(OTHER, None)).map(|(other, _)| other);
    let mut ranked: Vec<(Value<'a>, Rank)> = ranks.into_iter().collect();
    ranked.sort_by(|(a_value, a), (b_value, b)| {
        let by_figures = b.now.total_cmp(&a.now).then(b.so_far.total_cmp(&a.so_far));
        by_figures
            .then(b.sum.total_cmp(&a.sum))
            .then(a_value.cmp(b_value))
    });
    (ranked.into_iter().map(|(value, _)| value).collect(), other)
}

/// The figures of these values, one for each row of the report.
fn figures_of(text: &Text<'_>, shown: &[Value<'_>]) -> Vec<Vec<Option<f64>>> {
    let report = text.report;
    let index: HashMap<Value<'_>, usize> = shown.iter().copied().zip(0..).collect();
    let mut figures = vec![Vec::with_capacity(report.rows.len()); shown.len()];
    for row in &report.rows {
        let absent = absent(row, text.every, report.query_period_seconds);
        let mut of_row = vec![absent; shown.len()];
        for total in values(row) {
            if let Some(&at) = index.get(&value(total)) {
                of_row[at] = Some(total.total);
            }
        }
        for (figures, figure) in figures.iter_mut().zip(of_row) {
            figures.push(figure);
        }
    }
    figures
}

/// The number of check-ins without a value, for each row of the report.
fn without_value(text: &Text<'_>) -> Vec<Option<f64>> {
    let without = |row: &Row| {
        let with: f64 = values(row).iter().map(|value| value.total).sum();
        row.total.map(|total| (total - with).max(0.0))
    };
    text.report.rows.iter().map(without).collect()
}

/// A country with its name, a city with its country. The code comes first, so that it stays if the name is cut.
fn label(text: &Text<'_>, (value, country): &Value<'_>) -> String {
    let mut rows = text.report.rows.iter().rev();
    let name = rows.find_map(|row| {
        let named = values(row).iter().find(|total| total.value == *value)?;
        named.name.as_deref()
    });
    match (country, name) {
        (Some(country), _) => format!("{country} {value}"),
        (None, Some(name)) => format!("{value} {name}"),
        (None, None) => (*value).to_owned(),
    }
}

/// A figure of a field.
type Figure = fn(&Numbers) -> f64;

fn field_lines(text: &Text<'_>, rows: &Rows, all: &[Option<f64>]) -> Vec<Line> {
    let figures = |get: Figure| -> Vec<Option<f64>> {
        let of_row = |row: &Row| match &row.part {
            Part::Numbers(numbers) => numbers.as_ref().map(get),
            Part::Values(_) => None,
        };
        text.report.rows.iter().map(of_row).collect()
    };
    let count = figures(|numbers| numbers.count);
    let mut lines = vec![line(rows, "count", &count, Some(all))];
    let others: [(&str, Figure); 4] = [
        ("mean", |numbers| numbers.sum / numbers.count),
        ("sum", |numbers| numbers.sum),
        ("least", |numbers| numbers.least),
        ("greatest", |numbers| numbers.greatest),
    ];
    lines.extend(others.map(|(label, get)| line(rows, label, &figures(get), None)));
    lines
}
