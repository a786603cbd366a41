//! What one check-in left out: how much of it by reason, and the names of the keys. A check-in that leaves
//! out nothing allocates nothing here.

use std::borrow::Cow;

use super::body::Json;
use crate::metrics::LeftOut;
use crate::totals::left_out::{Note, Part, Reason, Type};

/// Keys of one check-in that are noted by name at most; all are counted.
const MOST_NOTES: usize = 64;
/// Characters of a client's text in the log.
const MOST_SHOWN: usize = 100;

/// The account of a check-in that is being read.
#[derive(Debug, Default)]
pub(super) struct Noted<'a> {
    pub(super) counts: LeftOut,
    pub(super) notes: Vec<Note<'a>>,
}

/// Why a value was not taken, and what it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) value_type: Type,
    /// Bytes of a string.
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
    /// Counts and notes an extra key.
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

    /// Notes a key without counting it among the extra keys.
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

/// What the log shows of a client's text: a body can be one key of 64 KiB.
pub fn beginning(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(MOST_SHOWN)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}
