//! The error texts of InfluxDB's storage engine for refused points. 2.x has the engine and the texts of 1.x.

use std::collections::HashSet;

use crate::line::parse::fields;

/// The lines that a refusal names, and the others.
pub(super) fn split_named<'a>(lines: &[&'a [u8]], reason: &str) -> (Vec<&'a [u8]>, Vec<&'a [u8]>) {
    if let Some((field, kind)) = conflict(reason) {
        return lines.iter().partition(|line| {
            fields(line)
                .any(|(key, value)| key == field.as_bytes() && Kind::of(value) == Some(kind))
        });
    }
    // InfluxDB quotes the lines that it could not parse, one after the other.
    let quoted: HashSet<&[u8]> = reason
        .split("unable to parse '")
        .skip(1)
        .filter_map(|text| Some(text.rsplit_once("': ")?.0.as_bytes()))
        .collect();
    lines.iter().partition(|line| quoted.contains(**line))
}

/// Whether a refusal is about the type of a field.
pub(super) fn is_conflict(reason: &str) -> bool {
    conflict(reason).is_some()
}

/// From `input field "x" on measurement "m" is type string, already exists as type float`: the field
/// and the type that is refused.
fn conflict(reason: &str) -> Option<(&str, Kind)> {
    let (_, rest) = reason.split_once("input field \"")?;
    let (field, rest) = rest.split_once("\" on measurement ")?;
    let (_, rest) = rest.split_once(" is type ")?;
    let kind = match rest.split([',', ' ']).next()? {
        "float" => Kind::Float,
        "integer" => Kind::Integer,
        "string" => Kind::Text,
        "boolean" => Kind::Boolean,
        _ => return None,
    };
    Some((field, kind))
}

/// The number in `dropped=3` at the end of a refusal. It can be too small, because unparsable lines are not in it.
/// So it is trusted only where it equals the number of lines in question; otherwise the lines are searched.
pub(super) fn dropped(reason: &str) -> Option<usize> {
    reason.trim_end().rsplit_once("dropped=")?.1.parse().ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float,
    Integer,
    Text,
    Boolean,
}

impl Kind {
    fn of(value: &[u8]) -> Option<Kind> {
        Some(match (value.first()?, value.last()?) {
            (b'"', _) => Kind::Text,
            (b't' | b'T' | b'f' | b'F', _) => Kind::Boolean,
            (_, b'i') => Kind::Integer,
            _ => Kind::Float,
        })
    }
}
