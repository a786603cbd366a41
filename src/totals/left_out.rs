//! The names of the keys that were left out of check-ins, from a request to the ledger: a small table in
//! memory, which the counter thread empties into rows.
//!
//! Architecture invariants: a request waits for nothing but a few look-ups of another one, never for the
//! ledger. The table is bounded whatever keys strangers invent: those that more check-ins sent stay.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys and reasons in the table at most, and how many stay when it is full.
const MOST: usize = 1_000;
const KEPT: usize = 500;
/// Bytes of a key and of a version that are kept.
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
    /// `null`, an array, an object, or not the type the schema asks for.
    WrongType,
    /// The value has more bytes than allowed.
    TooLong,
    /// The schema lists the values, or gives a pattern, and this is none of them.
    NotAllowed,
    /// Without a schema: the key is too long or has other characters than letters, digits, `_` and `-`, or
    /// it is the 65th.
    BadKey,
    /// The key is one of the point's own, or another key has the same name in snake case.
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

/// A key that one check-in left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    pub part: Part,
    pub key: Cow<'a, str>,
    pub reason: Reason,
    pub value_type: Type,
    /// Bytes of the value, of a string only.
    pub length: usize,
}

/// The keys that were left out since the ledger took them.
#[derive(Debug, Default)]
pub struct LeftOutTable {
    entries: Mutex<Entries>,
    /// There is something that the ledger was not asked to take.
    news: AtomicBool,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Box<str>, Vec<Entry>>,
    length: usize,
    /// The greatest rank that ever lost its place. A new entry begins above it, as if it had been there
    /// before: one that comes often then outlives those that strangers invent one by one.
    floor: u64,
}

#[derive(Debug)]
struct Entry {
    part: Part,
    reason: Reason,
    rank: u64,
    /// Check-ins that the ledger has not taken.
    check_ins: u64,
    since_version: Box<str>,
    value_type: Type,
    length: u64,
}

/// What the ledger is asked to take of one key and reason.
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
    /// Notes what one check-in left out.
    pub fn note(&self, app_version: &str, notes: &[Note<'_>]) {
        let mut entries = self.lock();
        for note in notes {
            entries.note(app_version, note);
        }
        self.news.store(true, Ordering::Relaxed);
    }

    /// What waits for the ledger, most check-ins first; nothing where nothing came since the last time.
    pub(super) fn pending(&self) -> Vec<Pending> {
        if !self.news.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        let mut pending = self.lock().pending();
        pending.sort_by(|a, b| b.check_ins.cmp(&a.check_ins).then(a.key.cmp(&b.key)));
        pending
    }

    /// The ledger has taken these.
    pub(super) fn settle<'a>(&self, taken: impl Iterator<Item = &'a Pending>) {
        let mut entries = self.lock();
        for pending in taken {
            if let Some(entry) = entries.find(&pending.key, pending.part, pending.reason) {
                entry.check_ins = entry.check_ins.saturating_sub(pending.check_ins);
            }
        }
    }

    /// The ledger could not be written; it is asked again.
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

    /// Forgets the entries of the least ranks.
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

/// The beginning of a text that a client chose.
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
