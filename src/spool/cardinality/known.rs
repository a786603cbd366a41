//! Known extra keys, tag values and tag sets, the budgets for new values, and the file `known` that keeps them
//! across restarts.
//!
//! The file has a line for each extra key and what it is (`key K tag`, or `float`, `boolean`, `string`
//! for a field), tag value (`value KEY=VALUE`, escaped as in line protocol) and tag set
//! (`series HASH`). A torn end is skipped. If other lines are invalid, that is logged and the file is rewritten
//! without them. Without a file everything is new. Of two lines for one key the first decides its kind. A line
//! without a kind (`key K`, as earlier versions wrote it) leaves the kind to the next line, or to a value, which
//! only tags have.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::kind::Kind;
use crate::line::parse as point;

/// Time in which an empty budget is refilled.
const REFILL: Duration = Duration::from_secs(24 * 3600);

/// Beginnings of lines.
const WORDS: [&[u8]; 3] = [b"key ", b"value ", b"series "];

/// Bytes of new lines after which they are written to the file.
const MAX_NEWS: usize = 64 << 10;

/// Known keys, values and tag sets, and their file.
#[derive(Debug)]
pub struct Known {
    pub series: HashSet<u64>,
    /// Extra keys and their kinds.
    pub keys: HashMap<Vec<u8>, Key>,
    /// Bytes that the values of all tags take, by [`cost`].
    bytes: usize,
    max_bytes: usize,
    tags: HashMap<Vec<u8>, Tag>,
    tag_values: u64,
    file: Option<File>,
    path: PathBuf,
    /// Lines that are to be appended to the file.
    news: Vec<u8>,
    /// Whether it was logged that the file cannot be used.
    said: bool,
}

/// A known extra key.
#[derive(Debug, Default)]
pub struct Key {
    /// The kind that the key came as first; `None` if its line in the file has no kind.
    pub kind: Option<Kind>,
    /// Whether it was logged that the key came as another kind.
    pub said: bool,
}

/// The known values of a tag, and its budget for new ones.
#[derive(Debug)]
pub struct Tag {
    pub values: HashSet<Box<[u8]>>,
    pub budget: Budget,
    /// Whether it was logged that the budget is used up.
    pub said: bool,
    /// Whether it was logged that half of the budget is used up.
    pub said_half: bool,
}

/// The number of new values that a tag may still take.
#[derive(Debug)]
pub struct Budget {
    capacity: f64,
    left: f64,
    filled: Instant,
}

impl Known {
    /// Reads the file. `tag_values` is the budget of each tag, `max_bytes` the limit for the values of all tags.
    pub fn open(path: &Path, tag_values: u64, max_bytes: usize) -> Known {
        let mut known = Known {
            series: HashSet::new(),
            keys: HashMap::new(),
            bytes: 0,
            max_bytes,
            tags: HashMap::new(),
            tag_values,
            file: None,
            path: path.to_owned(),
            news: Vec::new(),
            said: false,
        };
        match File::open(path).and_then(|file| known.read(BufReader::new(file))) {
            Err(error) if error.kind() != ErrorKind::NotFound => known.say("read", &error),
            Err(_) | Ok(0) => {}
            Ok(damaged) => known.repair(damaged),
        }
        let mut options = OpenOptions::new();
        match options.create(true).append(true).open(path) {
            Ok(file) => known.file = Some(file),
            Err(error) => known.say("write", &error),
        }
        known
    }

    pub fn tag(&mut self, key: &[u8]) -> &mut Tag {
        let capacity = self.tag_values as f64;
        self.tags.entry(key.to_owned()).or_insert_with(|| Tag {
            values: HashSet::new(),
            budget: Budget::new(capacity),
            said: false,
            said_half: false,
        })
    }

    /// The number of values of a tag.
    pub fn values_of(&self, key: &[u8]) -> usize {
        self.tags.get(key).map_or(0, |tag| tag.values.len())
    }

    pub fn has_value(&self, key: &[u8], value: &[u8]) -> bool {
        self.tags
            .get(key)
            .is_some_and(|tag| tag.values.contains(value))
    }

    /// The tag with the most values, of those that `wanted` accepts, and the number of its values.
    pub fn fullest(&self, wanted: impl Fn(&[u8]) -> bool) -> Option<(&[u8], usize)> {
        let tags = self.tags.iter().filter(|(key, _)| wanted(key));
        let counts = tags.map(|(key, tag)| (key.as_slice(), tag.values.len()));
        // The name decides between equal numbers, so that the result is the same tag each time.
        counts.max_by_key(|&(key, values)| (values, key))
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

    /// Whether there is memory for a value.
    pub fn has_room(&self, key: &[u8], value: &[u8]) -> bool {
        self.bytes + cost(key, value) <= self.max_bytes
    }

    pub fn add_value(&mut self, key: &[u8], value: &[u8]) {
        if self.insert_value(key, value) {
            self.note(&[b"value ", key, b"=", value]);
        }
    }

    /// Appends new lines to the file. If it cannot be written, they are lost only at the next restart.
    pub fn save(&mut self) {
        let Some(file) = self.file.as_mut().filter(|_| !self.news.is_empty()) else {
            return self.news.clear();
        };
        let written = file.write_all(&self.news);
        self.news.clear();
        if let Err(error) = written {
            // The next line must not continue one that was partly written.
            self.news.push(b'\n');
            self.say("write", &error);
        }
    }

    fn say(&mut self, what: &str, error: &io::Error) {
        if !std::mem::replace(&mut self.said, true) {
            log::warn!(
                "{}: cannot {what}: {error}; after a restart, stored values count as new, and an extra \
                 key can change between tag and field; free disk space, give the server read and write \
                 access, or delete the file while the server is stopped",
                self.path.display()
            );
        }
    }

    fn insert_value(&mut self, key: &[u8], value: &[u8]) -> bool {
        let new = self.has_room(key, value) && self.tag(key).values.insert(value.into());
        if new {
            self.bytes += cost(key, value);
        }
        new
    }

    fn note(&mut self, line: &[&[u8]]) {
        self.news.extend(line.concat());
        self.news.push(b'\n');
        // A flood must not fill memory.
        if self.news.len() >= MAX_NEWS {
            self.save();
        }
    }

    /// Reads the file. Returns the number of invalid lines.
    fn read(&mut self, mut lines: impl BufRead) -> io::Result<u64> {
        let (mut line, mut damaged) = (Vec::new(), 0);
        while lines.read_until(b'\n', &mut line)? > 0 {
            if line.pop_if(|byte| *byte == b'\n').is_some() {
                damaged += u64::from(!self.read_line(&line));
            } else {
                // The next line must not continue this torn one.
                self.news.push(b'\n');
                let torn = |word: &&[u8]| line.starts_with(word) || word.starts_with(&line);
                damaged += u64::from(!WORDS.iter().any(torn));
            }
            line.clear();
        }
        Ok(damaged)
    }

    /// Reads a line. Returns whether it is valid.
    fn read_line(&mut self, line: &[u8]) -> bool {
        if let Some(set) = line.strip_prefix(b"series ") {
            let set = hash_of(set);
            self.series.extend(set);
            return set.is_some();
        }
        if let Some(key) = line.strip_prefix(b"key ") {
            return self.read_key(key);
        }
        let Some(pair) = line.strip_prefix(b"value ") else {
            // An empty line was written to end a torn one.
            return line.is_empty();
        };
        // The comma makes it a tag set for the parser. Values from the file take nothing of the budget, or those of
        // years would leave none for the next version.
        let pair = [b",", pair].concat();
        let Some((key, value)) = point::tags(&pair).next() else {
            return false;
        };
        self.insert_value(key, value);
        if let Some(key) = self.keys.get_mut(key) {
            key.kind.get_or_insert(Kind::Tag);
        }
        true
    }

    /// Rewrites the file without its invalid lines.
    fn repair(&mut self, damaged: u64) {
        log::warn!(
            "{}: damaged, {damaged} invalid lines were removed; their values count as new against \
             --max-tag-values, and their extra keys can change between tag and field; check the disk",
            self.path.display()
        );
        self.news.clear();
        if let Err(error) = self.write_again() {
            self.say("write", &error);
        }
    }

    fn write_again(&self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut out = BufWriter::new(File::create(&new)?);
        for (key, known) in &self.keys {
            let kind = known.kind.map(|kind| [" ", kind.name()].concat());
            let kind = kind.unwrap_or_default();
            out.write_all(&[b"key ", &**key, kind.as_bytes(), b"\n"].concat())?;
        }
        for (key, tag) in &self.tags {
            for value in &tag.values {
                out.write_all(&[b"value ", &**key, b"=", &**value, b"\n"].concat())?;
            }
        }
        for set in &self.series {
            writeln!(out, "series {set:016x}")?;
        }
        out.into_inner()
            .map_err(|error| error.into_error())?
            .sync_data()?;
        fs::rename(new, &self.path)
    }

    /// Reads a key, and its kind where the line has one. Returns whether the line is valid.
    fn read_key(&mut self, text: &[u8]) -> bool {
        let mut words = text.split(|byte| *byte == b' ');
        let (key, kind) = (words.next().unwrap_or_default(), words.next());
        let kind = match kind.map(Kind::named) {
            Some(None) => return false,
            kind => kind.flatten(),
        };
        if words.next().is_some() {
            return false;
        }
        let known = self.keys.entry(key.to_owned()).or_default();
        known.kind = known.kind.or(kind);
        true
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

    /// Refills the budget for the time since the last call, then takes one. Returns false where none is left.
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

    /// Whether half of a budget of at least `least` is used up.
    pub fn is_half_used(&self, least: usize) -> bool {
        self.capacity >= least as f64 && self.left <= self.capacity / 2.0
    }
}

/// Bytes that a value takes. In memory that is the value, its slot in a half-empty table and the allocator's
/// overhead; in the file it is the key and the value.
fn cost(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + 64
}

/// Parses a hash of the file.
fn hash_of(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    u64::from_str_radix(text, 16).ok()
}
