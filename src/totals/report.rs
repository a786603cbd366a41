//! The types of a report: the totals of a dimension, or the figures of a field, over a span of time, period by
//! period. The command `report`, the page and the exports use them.

use std::fmt;

/// Parameters of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// `all`, `app_version`, `country`, `city`, or the stored name (snake case) of an extra tag or field.
    pub by: String,
    /// The first moment of the span, in seconds since 1970.
    pub from: i64,
    /// Exclusive end of the span, in seconds since 1970.
    pub to: i64,
    pub every: Every,
    /// Current time, in seconds since 1970; periods that end later are unfinished.
    pub now: i64,
}

/// Time that a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// A period; a day where the ledger has only days.
    Period,
    /// A number of hours, counted from the first midnight (UTC); a day where the ledger has only days.
    Hours(u32),
    /// A number of days, in UTC.
    Days(u32),
}

impl Every {
    /// Length in seconds; `None` for periods, which may differ in length.
    pub fn seconds(self) -> Option<i64> {
        match self {
            Every::Period => None,
            Every::Hours(hours) => Some(i64::from(hours.max(1)) * 3_600),
            Every::Days(days) => Some(i64::from(days.max(1)) * 86_400),
        }
    }
}

/// The syntax of `--every`.
impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Every::Period => f.write_str("period"),
            Every::Hours(hours) => write!(f, "{hours}h"),
            Every::Days(days) => write!(f, "{days}d"),
        }
    }
}

/// Totals over a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Current length of a period, in seconds.
    pub query_period_seconds: u64,
    pub by: String,
    /// Oldest first, without gaps: time without data has rows with an unknown total.
    pub rows: Vec<Row>,
}

/// A period, or several of them as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// In seconds since 1970.
    pub start: i64,
    /// The length, in seconds.
    pub seconds: u64,
    /// Covered time, in seconds.
    pub covered_seconds: u64,
    /// The end of the row has passed.
    pub finished: bool,
    /// Check-ins of the period, or the mean over several covered periods; `None` if unknown.
    pub total: Option<f64>,
    /// Values of the dimension, or figures of the field, of the query.
    pub part: Part,
}

/// The part of a row that depends on the query.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Values of a dimension or a boolean field, greatest total first.
    Values(Vec<ValueTotal>),
    /// Figures of a numeric field; `None` if no record had it.
    Numbers(Option<Numbers>),
}

/// One value of a dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueTotal {
    /// The version, the country's ISO code, the city's name, the tag's value, `true` or `false`.
    pub value: String,
    /// The name of a country.
    pub name: Option<String>,
    /// The ISO code of a city's country.
    pub country: Option<String>,
    /// Check-ins with the value, or their mean, like [`Row::total`].
    pub total: f64,
}

/// The figures of a numeric field over the records that had it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numbers {
    pub count: f64,
    pub sum: f64,
    pub least: f64,
    pub greatest: f64,
}

/// Whether a period is covered well enough to be part of a mean: at least 99 %, so that a restart of seconds does
/// not exclude it.
pub fn counts_as_covered(seconds: u64, covered_seconds: u64) -> bool {
    u128::from(covered_seconds) * 100 >= u128::from(seconds) * 99
}
