//! What is known of tags, values and tag sets, the budgets for what is new, and the file `known` that
//! remembers it from start to start.
//!
//! The file has a line for each extra key and what it is (`key K tag`, or `float`, `boolean`, `string`
//! for a field), tag value (`value KEY=VALUE`, escaped as in line protocol) and tag set
//! (`series HASH`). What makes no sense in it, a torn end for instance, is skipped; without a file
//! everything is new. Of two lines for one key the first says what it is; a line that does not say it
//! (`key K`, as they were first) leaves it to the next one, or to a value, which only tags have.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::kind::Kind;
use crate::store::point;

/// The time in which a budget that is used up fills again.
const REFILL: Duration = Duration::from_secs(24 * 3600);

/// What is known, and its file.
#[derive(Debug)]
pub struct Known {
    pub series: HashSet<u64>,
    /// Extra keys.
    pub keys: HashMap<Vec<u8>, Key>,
    /// Values of all tags together.
    pub values: usize,
    tags: HashMap<Vec<u8>, Tag>,
    tag_values: u64,
    file: Option<File>,
    /// To be appended to the file.
    news: Vec<u8>,
}

/// What is known of an extra key.
#[derive(Debug, Default)]
pub struct Key {
    /// What it came as first; unknown of one that was noted without.
    pub kind: Option<Kind>,
    /// It has been said that it came as another kind.
    pub said: bool,
}

/// What is known of one tag.
#[derive(Debug)]
pub struct Tag {
    pub values: HashSet<Vec<u8>>,
    pub budget: Budget,
    /// It has been said that the budget is used up.
    pub said: bool,
}

/// How many new values a tag takes.
#[derive(Debug)]
pub struct Budget {
    capacity: f64,
    left: f64,
    filled: Instant,
}

impl Known {
    /// Reads the file. `tag_values` is the budget of each tag.
    pub fn open(path: &Path, tag_values: u64) -> Known {
        let mut known = Known {
            series: HashSet::new(),
            keys: HashMap::new(),
            values: 0,
            tags: HashMap::new(),
            tag_values,
            file: None,
            news: Vec::new(),
        };
        if let Ok(file) = File::open(path) {
            known.read(BufReader::new(file));
        }
        let mut options = OpenOptions::new();
        known.file = options.create(true).append(true).open(path).ok();
        known
    }

    pub fn tag(&mut self, key: &[u8]) -> &mut Tag {
        let capacity = self.tag_values as f64;
        self.tags.entry(key.to_owned()).or_insert_with(|| Tag {
            values: HashSet::new(),
            budget: Budget::new(capacity),
            said: false,
        })
    }

    pub fn add_series(&mut self, hash: u64) {
        if self.series.insert(hash) {
            self.note(&[format!("series {hash:016x}").as_bytes()]);
        }
    }

    pub fn add_key(&mut self, key: &[u8], kind: Kind) {
        self.keys.entry(key.to_owned()).or_default().kind = Some(kind);
        self.note(&[b"key ", key, b" ", kind.name().as_bytes()]);
    }

    pub fn add_value(&mut self, key: &[u8], value: &[u8]) {
        if self.tag(key).values.insert(value.to_owned()) {
            self.values += 1;
            self.note(&[b"value ", key, b"=", value]);
        }
    }

    /// Brings what became known to the file; one that cannot be written costs only its memory of it.
    pub fn save(&mut self) {
        if let Some(file) = self.file.as_mut().filter(|_| !self.news.is_empty()) {
            let _ = file.write_all(&self.news);
        }
        self.news.clear();
    }

    fn note(&mut self, line: &[&[u8]]) {
        self.news.extend(line.concat());
        self.news.push(b'\n');
    }

    fn read(&mut self, mut lines: impl BufRead) {
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            if line.pop() == Some(b'\n') {
                self.read_line(&line);
            }
            line.clear();
        }
        // What was read is in the file.
        self.news.clear();
    }

    fn read_line(&mut self, line: &[u8]) {
        if let Some(set) = line.strip_prefix(b"series ") {
            self.series.extend(hash_of(set));
        } else if let Some(key) = line.strip_prefix(b"key ") {
            self.read_key(key);
        } else if let Some(pair) = line.strip_prefix(b"value ") {
            // As in a tag set, behind the comma. It costs nothing of the budget: values that gathered
            // over years must not leave none for tomorrow's version.
            if let Some((key, value)) = point::tags(&[b",", pair].concat()).next() {
                self.add_value(key, value);
                if let Some(key) = self.keys.get_mut(key) {
                    key.kind.get_or_insert(Kind::Tag);
                }
            }
        }
    }

    /// A key of letters, digits and `_`, and what it is where the line says that.
    fn read_key(&mut self, text: &[u8]) {
        let mut words = text.split(|byte| *byte == b' ');
        let (key, kind) = (words.next().unwrap_or_default(), words.next());
        let kind = match kind.map(Kind::named) {
            Some(None) => return,
            kind => kind.flatten(),
        };
        if words.next().is_none() {
            let known = self.keys.entry(key.to_owned()).or_default();
            known.kind = known.kind.or(kind);
        }
    }
}

impl Budget {
    fn new(capacity: f64) -> Budget {
        Budget {
            capacity,
            left: capacity,
            filled: Instant::now(),
        }
    }

    /// Takes one of what is left, after adding what has filled up since the last time.
    pub fn take(&mut self) -> bool {
        let since = self.filled.elapsed().as_secs_f64() / REFILL.as_secs_f64();
        self.filled = Instant::now();
        self.left = (self.left + since * self.capacity).min(self.capacity);
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

/// A hash as it stands in the file.
fn hash_of(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    u64::from_str_radix(text, 16).ok()
}
