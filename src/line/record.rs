//! What is kept of a check-in once it has been answered.

use std::borrow::Cow;

use super::encode as line;
use super::location::Location;

/// The value of an extra field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// JSON numbers are float fields, as the original's are.
    Number(f64),
    Boolean(bool),
    Text(Cow<'a, str>),
}

/// What a record is made of: a check-in that was validated, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    pub app_version: &'a str,
    /// By their keys as they stand in a line, sorted by them, none twice.
    pub tags: &'a [(Cow<'a, str>, Cow<'a, str>)],
    /// The same.
    pub fields: &'a [(Cow<'a, str>, FieldValue<'a>)],
    pub location: Location<'a>,
    pub request_id: Option<&'a str>,
}

/// A point that lacks only its timestamp, which the writer thread gives it.
///
/// Architecture invariant: it is built from these parts and nothing else, so no
/// client address can be in it. It is encoded at once, on the connection's thread, because that
/// leaves one allocation of the exact size: the channel holds up to 65,536 records, and a struct of
/// strings would cost it several MiB of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    point: Box<[u8]>,
}

impl Record {
    /// Makes the record of a check-in. `scratch` is overwritten; it saves a growing buffer per
    /// check-in.
    pub fn new(parts: &Parts<'_>, scratch: &mut Vec<u8>) -> Record {
        scratch.clear();
        line::encode(parts, scratch);
        Record {
            point: scratch.as_slice().into(),
        }
    }

    /// Measurement, tags and fields in line protocol, without timestamp and newline.
    pub fn point(&self) -> &[u8] {
        &self.point
    }
}
