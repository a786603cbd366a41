//! What InfluxDB's storage engine says of points that it refuses. 1.x has these texts, and 2.x took its engine over.

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
    // Quoted are the lines that could not be parsed, one behind the other.
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

/// From `dropped=3` at the end. It may be less than what was refused (an unparsable line counts as
/// none), so it is only believed when it says all; else it is a reason to search.
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
