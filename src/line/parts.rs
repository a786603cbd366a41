//! The parts of a record, before it is encoded.

use std::borrow::Cow;

use super::location::Location;

/// The value of an extra field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// Stored as a float field, as by the original.
    Number(f64),
    Boolean(bool),
    Text(Cow<'a, str>),
}

/// The parts of a record: a validated check-in and its location.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    pub app_version: &'a str,
    /// Extra tags by key, escaped as in a line; sorted by key, without duplicates.
    pub tags: &'a [(Cow<'a, str>, Cow<'a, str>)],
    /// Extra fields by key, in the same form.
    pub fields: &'a [(Cow<'a, str>, FieldValue<'a>)],
    pub location: Location<'a>,
    pub request_id: Option<&'a str>,
}
