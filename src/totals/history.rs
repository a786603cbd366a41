//! One period or kept day with all its figures: the unit of export and import.

/// Kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A period in full detail.
    Period,
    /// A day (UTC) whose periods are no longer kept.
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
    /// Number of covered periods: of a day those that it had, of a period 1 or 0.
    pub periods: i64,
    /// Total of all records; `None` if it is unknown.
    pub all: Option<Figure>,
    pub values: Vec<OfValue>,
    pub numbers: Vec<OfField>,
}

/// A total: of a period, with all three numbers equal; of a day, the mean with the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub total: f64,
    pub least: i64,
    pub greatest: i64,
}

impl Figure {
    /// Figure of a period.
    pub fn exact(total: i64) -> Figure {
        Figure {
            total: total as f64,
            least: total,
            greatest: total,
        }
    }
}

/// Source of a dimension's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Tag,
    Boolean,
}

impl Type {
    /// Spelling in the ledger and in CSV.
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
