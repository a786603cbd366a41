//! Adds up the figures of fields.
//!
//! Records of one application have the same fields in the same order. So each field is first compared with the
//! field at that place of the previous record, which needs no search and no hash.

use std::collections::HashMap;

use crate::line::value::{self, Value};

/// Limit of distinct fields; further ones are not counted. The limiter of the spool admits fewer.
const MAX_FIELDS: usize = 2000;
/// Fields of the point itself, which are not counted.
const UNCOUNTED: [&[u8]; 2] = [b"value", b"x_request_id"];
/// Slot of the first field of every point.
const FIRST: usize = 0;

/// The figures of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Records in which the field was a number.
    pub count: u64,
    pub sum: f64,
    pub least: f64,
    pub greatest: f64,
    /// Records in which the field was the boolean `true`, and `false`.
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
                // Clamped, since an overflow to infinity has no form in any report format.
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
    /// Key with the equals sign that follows it in a line.
    key: Box<[u8]>,
    counted: bool,
    /// Slot of the field that followed last time.
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

    /// Adds the fields of a record, `key=value` separated by commas, to the figures of its period, which are
    /// indexed by slot.
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

    /// Slot of the field at the beginning of `text`, and the length of its key with the equals sign. The slot is
    /// `None` over [`MAX_FIELDS`]; the result is `None` if there is no field.
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
