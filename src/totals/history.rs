//! All that a ledger knows of one period or one kept day, as it leaves a ledger and comes into another.

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A period in full detail.
    Period,
    /// A day (UTC) whose periods are not kept any more.
    Day,
}

/// One period or one day.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub kind: Kind,
    /// In seconds since 1970.
    pub start: i64,
    pub seconds: i64,
    pub covered_seconds: i64,
    /// Covered periods: of a day as many as it had, of a period 1 or 0.
    pub periods: i64,
    /// All records; `None` where the number is unknown.
    pub all: Option<Figure>,
    pub values: Vec<OfValue>,
    pub numbers: Vec<OfField>,
}

/// A total, or the mean of a day's totals with their least and greatest. Those of a period are all the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub total: f64,
    pub least: i64,
    pub greatest: i64,
}

impl Figure {
    /// Of a period.
    pub fn exact(total: i64) -> Figure {
        Figure {
            total: total as f64,
            least: total,
            greatest: total,
        }
    }
}

/// What a dimension's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Tag,
    Boolean,
}

impl Type {
    /// As the ledger and the CSV write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Tag => "tag",
            Type::Boolean => "boolean",
        }
    }
}

/// The figure of one value of a dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct OfValue {
    pub dimension: String,
    pub of: Type,
    pub value: String,
    /// A country's name.
    pub name: Option<String>,
    /// The ISO code of a city's country; empty otherwise.
    pub country: String,
    pub figure: Figure,
}

/// The figures of a numeric field.
#[derive(Clone, Debug, PartialEq)]
pub struct OfField {
    pub field: String,
    pub count: f64,
    pub sum: f64,
    pub least: f64,
    pub greatest: f64,
}
