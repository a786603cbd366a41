//! A table in memory of the keys that were left out of check-ins. Requests fill it, and the counter thread writes
//! it to the ledger.
//!
//! Architecture invariants: a request waits at most for a few look-ups by another thread, never for the ledger. The
//! table has a fixed limit, whatever keys clients invent. Over the limit, the keys of most check-ins stay.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Limit of entries in the table, and the number that stays when the limit is reached.
const MOST: usize = 1_000;
const KEPT: usize = 500;
/// Limit of the stored bytes of a key or version.
pub const MAX_TEXT: usize = 64;

/// The part of a check-in that a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    AppVersion,
    Tag,
    Field,
}

/// Why a key was left out, or why a check-in was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The schema does not list the key.
    NotInSchema,
    /// The value is `null`, an array, an object, or not of the type in the schema.
    WrongType,
    /// The value is longer than allowed.
    TooLong,
    /// The value is not in the schema's list, or does not match its pattern.
    NotAllowed,
    /// Without a schema: the key is too long, has other characters than letters, digits, `_` and `-`, or is over
    /// the limit of keys.
    BadKey,
    /// The key is a reserved name, or another key has the same name in snake case.
    Reserved,
}

/// The type of a value that was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    String,
    Float,
    Boolean,
    /// `null`, an array or an object.
    Other,
}

impl Part {
    pub const ALL: [Part; 3] = [Part::AppVersion, Part::Tag, Part::Field];

    /// As it stands in the ledger and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::AppVersion => "app_version",
            Part::Tag => "tag",
            Part::Field => "field",
        }
    }
}

impl Reason {
    pub const ALL: [Reason; 6] = [
        Reason::NotInSchema,
        Reason::WrongType,
        Reason::TooLong,
        Reason::NotAllowed,
        Reason::BadKey,
        Reason::Reserved,
    ];

    /// As it stands in the ledger, in reports and as a label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NotInSchema => "not_in_schema",
            Reason::WrongType => "wrong_type",
            Reason::TooLong => "too_long",
            Reason::NotAllowed => "not_allowed",
            Reason::BadKey => "bad_key",
            Reason::Reserved => "reserved",
        }
    }
}

impl Type {
    pub const ALL: [Type; 4] = [Type::String, Type::Float, Type::Boolean, Type::Other];

    /// As it stands in the ledger and in a schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::Float => "float",
            Type::Boolean => "boolean",
            Type::Other => "other",
        }
    }
}

/// One key that was left out of one check-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    pub part: Part,
    pub key: Cow<'a, str>,
    pub reason: Reason,
    pub value_type: Type,
    /// Bytes of a string value; 0 for other types.
    pub length: usize,
}

/// The keys that were left out, with the check-ins that are not in the ledger yet.
#[derive(Debug, Default)]
pub struct LeftOutTable {
    entries: Mutex<Entries>,
    /// Something was noted or kept since the last call of `pending`.
    news: AtomicBool,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Box<str>, Vec<Entry>>,
    length: usize,
    /// Greatest rank that was ever removed. New entries start above it, so that a key sent often soon outranks
    /// made-up keys that are sent once each.
    floor: u64,
}

#[derive(Debug)]
struct Entry {
    part: Part,
    reason: Reason,
    rank: u64,
    /// Check-ins that are not in the ledger yet.
    check_ins: u64,
    since_version: Box<str>,
    value_type: Type,
    length: u64,
}

/// Check-ins of one key and reason that are to be written to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub part: Part,
    pub reason: Reason,
    pub key: String,
    pub check_ins: u64,
    pub since_version: String,
    pub value_type: Type,
    pub length: u64,
}

impl LeftOutTable {
    /// Adds the keys that were left out of one check-in.
    pub fn note(&self, app_version: &str, notes: &[Note<'_>]) {
        let mut entries = self.lock();
        for note in notes {
            entries.note(app_version, note);
        }
        self.news.store(true, Ordering::Relaxed);
    }

    /// Entries to write to the ledger, most check-ins first; empty if nothing was noted since the last call.
    pub(super) fn pending(&self) -> Vec<Pending> {
        if !self.news.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        let mut pending = self.lock().pending();
        pending.sort_by(|a, b| b.check_ins.cmp(&a.check_ins).then(a.key.cmp(&b.key)));
        pending
    }

    /// Subtracts check-ins that were written to the ledger.
    pub(super) fn settle<'a>(&self, taken: impl Iterator<Item = &'a Pending>) {
        let mut entries = self.lock();
        for pending in taken {
            if let Some(entry) = entries.find(&pending.key, pending.part, pending.reason) {
                entry.check_ins = entry.check_ins.saturating_sub(pending.check_ins);
            }
        }
    }

    /// Makes `pending` return the entries again, after the ledger could not be written.
    pub(super) fn keep(&self) {
        self.news.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn find(&mut self, key: &str, part: Part, reason: Reason) -> Option<&mut Entry> {
        let of_key = self.by_key.get_mut(key)?;
        of_key
            .iter_mut()
            .find(|entry| entry.part == part && entry.reason == reason)
    }

    fn note(&mut self, app_version: &str, note: &Note<'_>) {
        let key = cut(&note.key);
        if let Some(entry) = self.find(key, note.part, note.reason) {
            entry.rank += 1;
            entry.check_ins += 1;
            entry.length = entry.length.max(note.length as u64);
            if note.value_type != Type::Other {
                entry.value_type = note.value_type;
            }
            return;
        }
        if self.length >= MOST {
            self.trim();
        }
        let entry = Entry {
            part: note.part,
            reason: note.reason,
            rank: self.floor + 1,
            check_ins: 1,
            since_version: cut(app_version).into(),
            value_type: note.value_type,
            length: note.length as u64,
        };
        self.by_key.entry(key.into()).or_default().push(entry);
        self.length += 1;
    }

    /// Removes the entries with the lowest ranks.
    fn trim(&mut self) {
        let all = self.by_key.values().flatten();
        let mut ranks: Vec<u64> = all.map(|entry| entry.rank).collect();
        ranks.sort_unstable_by(|a, b| b.cmp(a));
        self.floor = ranks.get(KEPT).copied().unwrap_or(0).max(self.floor);
        let floor = self.floor;
        self.by_key.retain(|_, of_key| {
            of_key.retain(|entry| entry.rank > floor);
            !of_key.is_empty()
        });
        self.length = self.by_key.values().map(Vec::len).sum();
    }

    fn pending(&self) -> Vec<Pending> {
        let all = self.by_key.iter();
        all.flat_map(|(key, of_key)| of_key.iter().map(move |entry| (key, entry)))
            .filter(|(_, entry)| entry.check_ins > 0)
            .map(|(key, entry)| Pending {
                part: entry.part,
                reason: entry.reason,
                key: key.to_string(),
                check_ins: entry.check_ins,
                since_version: entry.since_version.to_string(),
                value_type: entry.value_type,
                length: entry.length,
            })
            .collect()
    }
}

/// The first [`MAX_TEXT`] bytes of a client's text, in whole characters.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(key: &str) -> Note<'_> {
        Note {
            part: Part::Tag,
            key: key.into(),
            reason: Reason::NotInSchema,
            value_type: Type::String,
            length: 3,
        }
    }

    #[test]
    fn keys_of_many_check_ins_outlive_those_that_strangers_invent() {
        let table = LeftOutTable::default();
        for stranger in 0..20_000 {
            table.note("x", &[note(&format!("invented{stranger}"))]);
            if stranger % 10 == 0 {
                table.note("v1", &[note("real")]);
            }
        }
        let pending = table.pending();
        assert!(pending.len() <= MOST, "{}", pending.len());
        assert_eq!((&*pending[0].key, pending[0].check_ins), ("real", 2_000));
        assert_eq!(pending[0].since_version, "v1");
        assert_eq!(table.pending(), []);
        table.settle(pending[..1].iter());
        table.keep();
        assert!(table.pending().iter().all(|pending| pending.key != "real"));
    }
}
