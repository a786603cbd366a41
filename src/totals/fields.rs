//! The figures of fields, added up.
//!
//! Records of one program have the same fields in the same order. So the next field is first looked for
//! where it was in the record before, which needs no search and no hash.

use std::collections::HashMap;

use crate::line::value::{self, Value};

/// Fields that are told apart; those beyond are not counted. The limits at the spool's door are below that.
const MAX_FIELDS: usize = 2000;
/// The fields that every point has, of which there is nothing to know.
const UNCOUNTED: [&[u8]; 2] = [b"value", b"x_request_id"];
/// All points begin with it.
const FIRST: usize = 0;

/// The figures of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Records in which the field was a number.
    pub count: u64,
    pub sum: f64,
    pub least: f64,
    pub greatest: f64,
    /// Records in which it was a boolean.
    pub trues: u64,
    pub falses: u64,
}

impl Figures {
    const NONE: Figures = Figures {
        count: 0,
        sum: 0.0,
        least: f64::MAX,
        greatest: f64::MIN,
        trues: 0,
        falses: 0,
    };

    fn add(&mut self, value: Value) {
        match value {
            Value::Number(number) => {
                self.count += 1;
                // A sum beyond all floats would be infinite, which no format of a report has.
                self.sum = (self.sum + number).clamp(f64::MIN, f64::MAX);
                self.least = self.least.min(number);
                self.greatest = self.greatest.max(number);
            }
            Value::Boolean(true) => self.trues += 1,
            Value::Boolean(false) => self.falses += 1,
            Value::Other => {}
        }
    }
}

/// The known fields, each with a slot of its own.
#[derive(Debug)]
pub struct Fields {
    slots: Vec<Slot>,
    by_key: HashMap<Box<[u8]>, usize>,
}

#[derive(Debug)]
struct Slot {
    /// With the equals sign that follows it in a line.
    key: Box<[u8]>,
    counted: bool,
    /// The slot that followed the last time.
    next: usize,
}

impl Fields {
    pub fn new() -> Fields {
        let mut fields = Fields {
            slots: Vec::new(),
            by_key: HashMap::new(),
        };
        for key in UNCOUNTED {
            let key = [key, b"="].concat();
            fields.insert(&key, false);
        }
        fields
    }

    /// Adds the fields of a record, `key=value` with commas between, to the figures of its period, which
    /// has them by slot.
    pub fn add(&mut self, mut text: &[u8], figures: &mut Vec<Figures>) {
        let (mut before, mut expected) = (FIRST, FIRST);
        while !text.is_empty() {
            let Some((slot, key_length)) = self.find(text, expected) else {
                return;
            };
            let (value, length) = value::leading(&text[key_length..]);
            if let Some(slot) = slot {
                if slot != expected {
                    self.slots[before].next = slot;
                }
                (before, expected) = (slot, self.slots[slot].next);
                if self.slots[slot].counted {
                    if figures.len() <= slot {
                        figures.resize(self.slots.len(), Figures::NONE);
                    }
                    figures[slot].add(value);
                }
            }
            text = text.get(key_length + length + 1..).unwrap_or_default();
        }
    }

    /// The counted fields with their figures.
    pub fn named<'a>(
        &'a self,
        figures: &'a [Figures],
    ) -> impl Iterator<Item = (&'a [u8], &'a Figures)> {
        let named = self.slots.iter().zip(figures);
        named.map(|(slot, figures)| (&slot.key[..slot.key.len() - 1], figures))
    }

    /// The slot of the field at the beginning of `text`, and the length of its key and the equals sign. No
    /// slot: one too many. `None`: there is no field.
    fn find(&mut self, text: &[u8], expected: usize) -> Option<(Option<usize>, usize)> {
        let known = &self.slots[expected].key;
        if text.starts_with(known) {
            return Some((Some(expected), known.len()));
        }
        let key = &text[..=memchr::memchr(b'=', text)?];
        let slot = match self.by_key.get(key) {
            Some(&slot) => slot,
            None if self.slots.len() < MAX_FIELDS => self.insert(key, true),
            None => return Some((None, key.len())),
        };
        Some((Some(slot), key.len()))
    }

    fn insert(&mut self, key: &[u8], counted: bool) -> usize {
        let slot = self.slots.len();
        self.slots.push(Slot {
            key: key.into(),
            counted,
            next: FIRST,
        });
        self.by_key.insert(key.into(), slot);
        slot
    }
}
