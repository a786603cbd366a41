//! The figures of a report as series, one for each line or area of a chart.

use crate::totals::overview::Dimension;
use crate::totals::report::{Every, Row};

/// One value over time.
#[derive(Debug)]
pub struct Series {
    /// `None` stands for all values that the chart does not show by name, and for check-ins without a value.
    pub value: Option<String>,
    /// One figure for each row; `None` is unknown.
    pub figures: Vec<Option<f64>>,
}

impl Series {
    pub fn label(&self) -> &str {
        self.value.as_deref().unwrap_or("other")
    }
}

/// The rows that a chart shows. The total of an unfinished period is left out, because it would look like a fall.
pub fn drawn(rows: &[Row], every: Every) -> &[Row] {
    match rows.split_last() {
        Some((last, before))
            if !last.finished && (every == Every::Period || last.total.is_none()) =>
        {
            before
        }
        _ => rows,
    }
}

/// One series for each of the shown values, in this order, and one for the rest of the totals if there is any.
pub fn series(dimension: &Dimension, shown: &[String], every: Every) -> Vec<Series> {
    let rows = drawn(&dimension.over_time.rows, every);
    let mut all: Vec<Series> = shown
        .iter()
        .map(|value| of(Some(value.clone()), rows.len()))
        .collect();
    let mut rest = of(None, rows.len());
    for row in rows {
        for one in &mut all {
            let is = |value: &str| Some(value) == one.value.as_deref();
            one.figures.push(dimension.figure(row, every, is));
        }
        rest.figures.push(row.total.map(|total| {
            let known = all
                .iter()
                .filter_map(|one| one.figures.last().copied().flatten());
            let rest = total - known.sum::<f64>();
            // A smaller rest is a rounding error of added means.
            if rest < 0.05 { 0.0 } else { rest }
        }));
    }
    if rest.figures.iter().flatten().any(|figure| *figure > 0.0) {
        all.push(rest);
    }
    all
}

fn of(value: Option<String>, rows: usize) -> Series {
    Series {
        value,
        figures: Vec::with_capacity(rows),
    }
}

/// The ranges of consecutive known rows, as indexes.
pub fn known_stretches(known: impl Iterator<Item = bool>) -> Vec<std::ops::Range<usize>> {
    let mut stretches: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, known) in known.enumerate() {
        match stretches.last_mut() {
            Some(last) if known && last.end == at => last.end = at + 1,
            _ if known => stretches.push(at..at + 1),
            _ => {}
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::totals::format::examples::{report, row, unknown, value};

    #[test]
    fn the_rest_of_a_total_is_a_series_and_what_is_unknown_stays_so() {
        let rows = vec![
            row(0, 10.0, vec![value("a", 6.0), value("b", 3.0)]),
            unknown(1),
            row(2, 4.0, vec![value("a", 4.0)]),
        ];
        let dimension = Dimension {
            name: "host_arch".to_owned(),
            over_time: report("host_arch", rows),
            current: None,
            before: None,
            is_limited: false,
        };
        let shown = ["a".to_owned(), "c".to_owned()];
        let figures: Vec<(String, Vec<Option<f64>>)> = series(&dimension, &shown, Every::Period)
            .into_iter()
            .map(|one| (one.label().to_owned(), one.figures))
            .collect();
        let expected = [
            ("a", [Some(6.0), None, Some(4.0)]),
            ("c", [Some(0.0), None, Some(0.0)]),
            ("other", [Some(4.0), None, Some(0.0)]),
        ];
        assert_eq!(
            figures,
            expected.map(|(label, figures)| (label.to_owned(), figures.to_vec()))
        );
        // `c` may be a part of the rest where rare values are added up as `other`.
        let mut dimension = dimension;
        dimension.is_limited = true;
        let other = row(0, 10.0, vec![value("a", 6.0), value("other", 4.0)]);
        dimension.over_time.rows[0] = other;
        let all = series(&dimension, &shown, Every::Period);
        assert_eq!(all[1].figures, [None, None, Some(0.0)]);
        assert_eq!(all[2].figures, [Some(4.0), None, Some(0.0)]);
        assert_eq!(
            known_stretches([true, false, true, true].into_iter()),
            [0..1, 2..4]
        );
    }
}
