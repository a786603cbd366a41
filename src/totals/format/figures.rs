//! Figures in the form that all formats use, and the figure of a value that a row does not list.

use serde_json::Number;

use crate::totals::report::{Every, Row};

/// Limit of whole numbers that a float holds exactly.
const WHOLE_UP_TO: f64 = 9_007_199_254_740_992.0;

/// A total, rounded to one decimal; without a fraction if it is whole then.
pub fn total(total: f64) -> Number {
    exact((total * 10.0).round() / 10.0)
}

/// A figure of a field, not rounded; without a fraction if it is whole. Infinity and NaN become zero, as JSON has
/// no form for them.
pub fn exact(figure: f64) -> Number {
    if figure.fract() == 0.0 && figure.abs() < WHOLE_UP_TO {
        return Number::from(figure as i64);
    }
    Number::from_f64(figure).unwrap_or_else(|| Number::from(0))
}

/// Figure of a value that the row does not list: zero if the row is wholly covered or a mean over covered periods;
/// otherwise unknown.
pub fn absent(row: &Row, every: Every, query_period: u64) -> Option<f64> {
    row.total?;
    let covered = row.covered_seconds >= row.seconds;
    (covered || is_mean(row, every, query_period)).then_some(0.0)
}

/// Whether the row can be compared with others: its period is covered to at least 99 %, or it is a mean over such
/// periods.
pub fn is_comparable(row: &Row, every: Every, query_period: u64) -> bool {
    let covered = row.covered_seconds.saturating_mul(100) >= row.seconds.saturating_mul(99);
    row.total.is_some() && (covered || is_mean(row, every, query_period))
}

/// Text to append to the time of a row: its coverage, or nothing if the row is wholly covered.
pub fn coverage_note(row: &Row, every: Every) -> String {
    let seconds = row.seconds.max(1);
    let percent = row.covered_seconds.saturating_mul(100) / seconds;
    match (row.total, every) {
        (None, _) => "; not known, the server did not cover all of it".to_owned(),
        (Some(_), _) if row.covered_seconds >= row.seconds => String::new(),
        (Some(_), Every::Period) => format!("; the server covered {percent}% of it"),
        (Some(_), Every::Hours(_) | Every::Days(_)) => {
            format!("; the server covered {percent}% of the time")
        }
    }
}

/// Whether the row is a mean over periods; kept days are means even if the report is by period.
fn is_mean(row: &Row, every: Every, query_period: u64) -> bool {
    const DAY: u64 = 86_400;
    every != Every::Period || (row.seconds == DAY && query_period < DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::totals::report::Part;

    #[test]
    fn totals_have_a_decimal_only_where_they_are_no_whole_number() {
        for (figure, text) in [
            (0.0, "0"),
            (12.0, "12"),
            (12.34, "12.3"),
            (12.96, "13"),
            (0.04, "0"),
            (1e15, "1000000000000000"),
        ] {
            assert_eq!(total(figure).to_string(), text);
        }
        for (figure, text) in [
            (-3.0, "-3"),
            (0.04, "0.04"),
            (1e300, "1e+300"),
            (f64::NAN, "0"),
        ] {
            assert_eq!(exact(figure).to_string(), text);
        }
    }

    #[test]
    fn zero_is_said_only_of_what_was_covered() {
        let row = |seconds, covered_seconds, total| Row {
            start: 0,
            seconds,
            covered_seconds,
            finished: true,
            total,
            part: Part::Values(Vec::new()),
        };
        let period = |row: &Row| absent(row, Every::Period, 3600);
        assert_eq!(period(&row(3600, 3600, Some(5.0))), Some(0.0));
        assert_eq!(period(&row(3600, 3599, Some(5.0))), None);
        assert_eq!(period(&row(3600, 3599, None)), None);
        assert_eq!(period(&row(86_400, 50_000, Some(5.0))), Some(0.0));
        let day = row(86_400, 50_000, Some(5.0));
        assert_eq!(absent(&day, Every::Days(1), 86_400), Some(0.0));
        assert_eq!(absent(&day, Every::Period, 86_400), None);
        assert!(is_comparable(
            &row(3600, 3564, Some(5.0)),
            Every::Period,
            3600
        ));
        assert!(!is_comparable(
            &row(3600, 3563, Some(5.0)),
            Every::Period,
            3600
        ));
    }
}
