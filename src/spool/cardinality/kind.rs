//! The kind of an extra key: a tag, or a field of one type. A key keeps its first kind: InfluxDB refuses a whole
//! record in which a field has another type than before, and once a name is both a tag and a field, queries by the
//! tag find nothing.

/// The kind that a key is stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tag,
    Float,
    Boolean,
    String,
}

const ALL: [Kind; 4] = [Kind::Tag, Kind::Float, Kind::Boolean, Kind::String];

impl Kind {
    /// The kind of an extra field by its value in line protocol.
    pub fn of_field(value: &[u8]) -> Kind {
        match value.first() {
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Boolean,
            _ => Kind::Float,
        }
    }

    /// Its name in the file `known`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Tag => "tag",
            Kind::Float => "float",
            Kind::Boolean => "boolean",
            Kind::String => "string",
        }
    }

    /// The kind of that name.
    pub fn named(name: &[u8]) -> Option<Kind> {
        ALL.into_iter().find(|kind| kind.name().as_bytes() == name)
    }
}

/// For a message: "a tag", "a float field".
impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Tag => write!(f, "a tag"),
            field => write!(f, "a {} field", field.name()),
        }
    }
}
