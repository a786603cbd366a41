//! What a record is made of.

use std::borrow::Cow;

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
