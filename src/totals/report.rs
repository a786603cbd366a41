//! What the ledger knows about a span of time: the totals of a dimension, or the figures of a field, period
//! by period. The command `report`, the page and the exports are drawn from it.

use std::fmt;

/// What a report is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// `all`, `app_version`, `country`, `city`, or an extra tag or field as it is stored (snake case).
    pub by: String,
    /// The first moment of the span, in seconds since 1970.
    pub from: i64,
    /// The end of the span, in seconds since 1970; not a part of it.
    pub to: i64,
    pub every: Every,
    /// The moment of asking, in seconds since 1970: periods that end later are unfinished.
    pub now: i64,
}

/// How much time a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// A period; a day where the ledger keeps days only.
    Period,
    /// So many hours, counted from the first midnight (UTC); a day where the ledger keeps days only.
    Hours(u32),
    /// So many days, in UTC.
    Days(u32),
}

impl Every {
    /// In seconds; `None` for periods as they are.
    pub fn seconds(self) -> Option<i64> {
        match self {
            Every::Period => None,
            Every::Hours(hours) => Some(i64::from(hours.max(1)) * 3_600),
            Every::Days(days) => Some(i64::from(days.max(1)) * 86_400),
        }
    }
}

/// As `--every` takes it.
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
    /// The length of a period now, in seconds.
    pub query_period_seconds: u64,
    pub by: String,
    /// Oldest first, without gaps: a time of which nothing is known has a row that says so.
    pub rows: Vec<Row>,
}

/// A period, or several of them as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// In seconds since 1970.
    pub start: i64,
    /// The length, in seconds.
    pub seconds: u64,
    /// For how much of it the server was there, in seconds.
    pub covered_seconds: u64,
    /// Its end has passed.
    pub finished: bool,
    /// Check-ins of the period, or the mean over the covered periods of several. `None`: unknown.
    pub total: Option<f64>,
    /// What the row knows of the dimension or field that was asked for.
    pub part: Part,
}

/// The part of a row that depends on what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Of a dimension, or a boolean field: its values, greatest total first.
    Values(Vec<ValueTotal>),
    /// Of a numeric field; `None`: no record had it.
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
    /// As [`Row::total`].
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

/// Whether a period is covered well enough for a mean: at least 99 % of it, so that a restart of seconds does
/// not make a day unknown.
pub fn counts_as_covered(seconds: u64, covered_seconds: u64) -> bool {
    u128::from(covered_seconds) * 100 >= u128::from(seconds) * 99
}
