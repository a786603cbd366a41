//! Makes the rows of a report, one for each period or kept day of a span, even without data, and groups them into
//! hours or days.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use super::days::DAY;
use super::periods::{Lengths, Period};
use super::report::{Every, Numbers, Part, Row, ValueTotal, counts_as_covered};

/// Data of periods and days in the ledger, by their starts.
pub(super) struct Known {
    /// Covered periods, covered seconds, and the mean.
    pub days: HashMap<i64, (i64, i64, Option<f64>)>,
    /// Covered seconds and the total.
    pub periods: HashMap<i64, (i64, i64)>,
    /// Before that moment the ledger has only days.
    pub detail_from: i64,
}

/// The rows of a span, oldest first.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub rows: Vec<Row>,
    /// Number of rows at the beginning that are kept days; the others are periods.
    pub days: usize,
    /// Number of covered periods in the mean of each kept day.
    pub day_periods: Vec<i64>,
}

/// Makes a row for each kept day, then for each period, up to `to`.
pub(super) fn base(lengths: &Lengths, known: &Known, from: i64, to: i64, now: i64) -> Rows {
    let (mut rows, mut day_periods) = (Vec::new(), Vec::new());
    let mut at = from;
    if at < known.detail_from {
        at -= at.rem_euclid(DAY);
    }
    while at < to.min(known.detail_from) {
        rows.push(day(at, known, now));
        let periods = known.days.get(&at).map_or(0, |(periods, ..)| *periods);
        day_periods.push(periods);
        at += DAY;
    }
    let days = rows.len();
    while at < to {
        let Period { start, end } = lengths.at(at);
        rows.push(period(start, end, known, now));
        at = end;
    }
    Rows {
        rows,
        days,
        day_periods,
    }
}

fn period(start: i64, end: i64, known: &Known, now: i64) -> Row {
    let (covered, total) = known.periods.get(&start).copied().unwrap_or((0, 0));
    let seconds = end.saturating_sub(start).max(1) as u64;
    let covered_seconds = covered.max(0) as u64;
    Row {
        start,
        seconds,
        covered_seconds,
        finished: end <= now,
        // A total of 0 is known only if the period is wholly covered.
        total: (total > 0 || covered_seconds >= seconds).then_some(total as f64),
        part: Part::Values(Vec::new()),
    }
}

fn day(start: i64, known: &Known, now: i64) -> Row {
    let (_, covered, mean) = known.days.get(&start).copied().unwrap_or((0, 0, None));
    Row {
        start,
        seconds: DAY as u64,
        covered_seconds: covered.clamp(0, DAY) as u64,
        finished: start + DAY <= now,
        total: mean,
        part: Part::Values(Vec::new()),
    }
}

/// Sorts by total, greatest first.
pub(super) fn sort(values: &mut [ValueTotal]) {
    values.sort_by(|a, b| {
        let by_total = b.total.partial_cmp(&a.total).unwrap_or(Ordering::Equal);
        by_total.then_with(|| (&a.value, &a.country).cmp(&(&b.value, &b.country)))
    });
}

/// Groups rows into hours or days, as means over the rows that count as covered.
pub(super) fn grouped(
    Rows {
        rows, days: kept, ..
    }: Rows,
    every: Every,
    now: i64,
) -> Vec<Row> {
    let Some(length) = every.seconds() else {
        return rows;
    };
    let Some(first) = rows
        .first()
        .map(|row| row.start - row.start.rem_euclid(DAY))
    else {
        return rows;
    };
    let mut groups: BTreeMap<i64, Vec<Member>> = BTreeMap::new();
    for (at, row) in rows.into_iter().enumerate() {
        let group = (row.start - first).div_euclid(length);
        let has_mean = has_mean(&row, at < kept);
        groups
            .entry(group)
            .or_default()
            .push(Member { row, has_mean });
    }
    let groups = groups.into_iter();
    groups
        .map(|(group, rows)| together(first + group * length, length, &rows, now))
        .collect()
}

/// A row of a group, and whether its total is part of the mean.
struct Member {
    row: Row,
    has_mean: bool,
}

fn together(start: i64, length: i64, members: &[Member], now: i64) -> Row {
    let covered: Vec<&Row> = members
        .iter()
        .filter(|member| member.has_mean)
        .map(|member| &member.row)
        .collect();
    let lived: u64 = members
        .iter()
        .map(|member| member.row.covered_seconds)
        .sum();
    let count = covered.len() as f64;
    let mean = |sum: f64| sum / count;
    let totals = covered.iter().filter_map(|row| row.total);
    let total = (!covered.is_empty()).then(|| mean(totals.sum()));
    let part = match members.first().map(|member| &member.row.part) {
        Some(Part::Numbers(_)) => Part::Numbers(numbers(&covered)),
        _ => Part::Values(values(&covered)),
    };
    // A kept day or a long period is not split into hours.
    let longest = members.iter().map(|member| member.row.seconds).max();
    let seconds = longest.unwrap_or(0).max(length as u64);
    Row {
        start,
        seconds,
        covered_seconds: lived.min(seconds),
        finished: start + seconds as i64 <= now,
        total,
        part,
    }
}

/// Whether the row's total can be part of a mean. A kept day has a total if any of its periods was covered.
pub(super) fn has_mean(row: &Row, is_day: bool) -> bool {
    let covered = is_day || counts_as_covered(row.seconds, row.covered_seconds);
    covered && row.finished && row.total.is_some()
}

fn values(covered: &[&Row]) -> Vec<ValueTotal> {
    let mut sums: HashMap<(&str, Option<&str>), ValueTotal> = HashMap::new();
    for row in covered {
        let Part::Values(values) = &row.part else {
            continue;
        };
        for value in values {
            let key = (value.value.as_str(), value.country.as_deref());
            let sum = sums.entry(key).or_insert_with(|| ValueTotal {
                total: 0.0,
                ..value.clone()
            });
            sum.total += value.total / covered.len() as f64;
        }
    }
    let mut values: Vec<ValueTotal> = sums.into_values().collect();
    sort(&mut values);
    values
}

fn numbers(covered: &[&Row]) -> Option<Numbers> {
    let known = covered.iter().filter_map(|row| match &row.part {
        Part::Numbers(numbers) => *numbers,
        Part::Values(_) => None,
    });
    let sum = known.reduce(|a, b| Numbers {
        count: a.count + b.count,
        sum: a.sum + b.sum,
        least: a.least.min(b.least),
        greatest: a.greatest.max(b.greatest),
    })?;
    let count = covered.len() as f64;
    Some(Numbers {
        count: sum.count / count,
        sum: sum.sum / count,
        ..sum
    })
}
