//! Sample reports for the tests of the formats. Each row is an hour of 2026-11-23.

use crate::totals::report::{Numbers, Part, Report, Row, ValueTotal};

pub const HOUR: u64 = 3600;
/// 2026-11-23T00:00:00Z
pub const MIDNIGHT: i64 = 1_795_392_000;

pub fn report(by: &str, rows: Vec<Row>) -> Report {
    Report {
        query_period_seconds: HOUR,
        by: by.to_owned(),
        rows,
    }
}

/// A covered hour.
pub fn row(hour: i64, total: f64, values: Vec<ValueTotal>) -> Row {
    Row {
        start: MIDNIGHT + hour * HOUR as i64,
        seconds: HOUR,
        covered_seconds: HOUR,
        finished: true,
        total: Some(total),
        part: Part::Values(values),
    }
}

/// An hour that is not covered.
pub fn unknown(hour: i64) -> Row {
    Row {
        covered_seconds: 0,
        total: None,
        ..row(hour, 0.0, Vec::new())
    }
}

/// A covered hour of five check-ins, with count, sum, least and greatest of a field.
pub fn numbers(hour: i64, figures: Option<[f64; 4]>) -> Row {
    let numbers = figures.map(|[count, sum, least, greatest]| Numbers {
        count,
        sum,
        least,
        greatest,
    });
    Row {
        part: Part::Numbers(numbers),
        ..row(hour, 5.0, Vec::new())
    }
}

pub fn value(value: &str, total: f64) -> ValueTotal {
    ValueTotal {
        value: value.to_owned(),
        name: None,
        country: None,
        total,
    }
}
