//! The keys that one check-in left out: their number by reason, and their names.
//!
//! A check-in that leaves out nothing must allocate nothing here.

use std::borrow::Cow;

use super::body::Json;
use crate::metrics::LeftOut;
use crate::totals::left_out::{Note, Part, Reason, Type};

/// Keys noted by name for one check-in at most. Further keys are only counted.
const MOST_NOTES: usize = 64;
/// Characters of a client's text in the log at most.
const MOST_SHOWN: usize = 100;

/// The counts and names of the keys left out of a check-in so far.
#[derive(Debug, Default)]
pub(super) struct Noted<'a> {
    pub(super) counts: LeftOut,
    pub(super) notes: Vec<Note<'a>>,
}

/// The reason why a value was refused, its type and its length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) value_type: Type,
    /// Bytes of a string; 0 for other types.
    pub(super) length: usize,
}

impl Refused {
    pub(super) fn of(reason: Reason, value: &Json<'_>) -> Refused {
        let (value_type, length) = match value {
            Json::Text(text) => (Type::String, text.len()),
            Json::Number(_) => (Type::Float, 0),
            Json::Boolean(_) => (Type::Boolean, 0),
            Json::Null | Json::Object(_) | Json::Other => (Type::Other, 0),
        };
        Refused {
            reason,
            value_type,
            length,
        }
    }
}

impl<'a> Noted<'a> {
    /// Counts an extra key and notes its name.
    pub(super) fn add(&mut self, part: Part, key: Cow<'a, str>, refused: &Refused) {
        let counts = &mut self.counts;
        let count = match refused.reason {
            Reason::NotInSchema => &mut counts.not_in_schema,
            Reason::WrongType => &mut counts.wrong_type,
            Reason::TooLong => &mut counts.too_long,
            Reason::NotAllowed => &mut counts.not_allowed,
            Reason::BadKey => &mut counts.bad_key,
            Reason::Reserved => &mut counts.reserved,
        };
        *count += 1;
        log::debug!(
            "extra key {:?} left out: {}",
            beginning(&key),
            refused.reason.as_str()
        );
        self.note(part, key, refused);
    }

    /// Notes the name of a key without counting it as an extra key.
    pub(super) fn note(&mut self, part: Part, key: Cow<'a, str>, refused: &Refused) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(Note {
                part,
                key,
                reason: refused.reason,
                value_type: refused.value_type,
                length: refused.length,
            });
        }
    }
}

/// The part of a client's text that is shown in the log, because one key can have 64 KiB.
pub fn beginning(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(MOST_SHOWN)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}
