//! Counts since the last commit, in memory.

use std::collections::BTreeMap;

use super::fields::{Fields, Figures};
use super::periods::{Lengths, Period};
use super::values::{Dimensions, Numbers};
use crate::line::{parse, sound};

const NS: i64 = 1_000_000_000;
const MS: i64 = 1_000;
/// Limit of bytes of uncommitted tag sets. Above it they are split into values, which take less memory.
const MAX_SERIES_BYTES: usize = 512 << 10;
/// Bytes of memory above which the counts are committed.
const MAX_BYTES: usize = 2 << 20;
/// Number of periods above which the counts are committed; each has figures of its own.
const MAX_PERIODS: usize = 64;
/// Limit of spans that a clock change touched. Above it, a new span is merged into the last one.
const MAX_DISTURBED: usize = 64;

/// Counts since the last commit.
///
/// Architecture invariant: adding to the counts never uses the database, so it can neither wait nor fail.
#[derive(Debug)]
pub struct Counts {
    lengths: Lengths,
    dimensions: Dimensions,
    fields: Fields,
    /// Counts of each period, by its start.
    periods: BTreeMap<i64, Tally>,
    /// Period of the last record, which is nearly always that of the next record too.
    current: Period,
    /// Covered milliseconds of each period, by its start.
    present: BTreeMap<i64, i64>,
    /// Spans that a clock change touched, in seconds since 1970, both ends included.
    disturbed: Vec<(i64, i64)>,
    records: u64,
    unreadable: u64,
    /// Approximate memory of tag sets, and of all counts, in bytes.
    series_bytes: usize,
    bytes: usize,
}

/// The records of a period.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub records: u64,
    /// Records by tag set, as written in the lines.
    series: Numbers,
    /// Records by value, for each dimension: the tag sets that were split already.
    pub values: Vec<Numbers>,
    /// Figures of the fields, by slot.
    pub figures: Vec<Figures>,
}

impl Counts {
    /// Empty counts. `dimensions` are the extra tags that are counted, in snake case; `lengths` are those of
    /// the ledger that the counts are committed to.
    pub fn new(dimensions: &[String], lengths: Lengths) -> Counts {
        Counts {
            current: lengths.at(0),
            lengths,
            dimensions: Dimensions::new(dimensions),
            fields: Fields::new(),
            periods: BTreeMap::new(),
            present: BTreeMap::new(),
            disturbed: Vec::new(),
            records: 0,
            unreadable: 0,
            series_bytes: 0,
            bytes: 0,
        }
    }

    /// Sets the extra tags that are counted in records added from now on.
    pub fn set_dimensions(&mut self, dimensions: &[String]) {
        self.expand();
        self.dimensions.set(dimensions);
    }

    /// Adds whole lines, each of which ends in a newline. Returns how many there were.
    pub fn add(&mut self, lines: &[u8]) -> u64 {
        let (mut count, mut start) = (0, 0);
        for end in memchr::memchr_iter(b'\n', lines) {
            if self.add_line(&lines[start..end]).is_none() {
                self.unreadable += 1;
            }
            count += 1;
            start = end + 1;
        }
        if self.series_bytes > MAX_SERIES_BYTES {
            self.expand();
        }
        count
    }

    /// Adds a span that the server covered, in ms since 1970.
    pub fn present(&mut self, from_ms: i64, to_ms: i64) {
        let mut from = from_ms;
        while from < to_ms {
            let period = self.lengths.at(from.div_euclid(MS));
            let end = period.end.saturating_mul(MS).min(to_ms);
            *self.present.entry(period.start).or_default() += end - from;
            from = end;
        }
    }

    /// Marks the periods of a span as touched by a clock change; in ms since 1970.
    pub fn disturbed(&mut self, from_ms: i64, to_ms: i64) {
        let (from, to) = (from_ms.div_euclid(MS), to_ms.div_euclid(MS));
        let (from, to) = (from.min(to), from.max(to));
        let full = self.disturbed.len() >= MAX_DISTURBED;
        match self.disturbed.last_mut() {
            Some(last) if full => {
                *last = (last.0.min(from), last.1.max(to));
            }
            _ => self.disturbed.push((from, to)),
        }
    }

    /// Whether there is nothing to commit: no record, no covered time, no clock change.
    pub fn is_empty(&self) -> bool {
        self.periods.is_empty() && self.present.is_empty() && self.disturbed.is_empty()
    }

    /// The number of records that were counted.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Number of lines that are not records; no period includes them.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Whether the counts take so much memory that they must be committed now.
    pub fn is_large(&self) -> bool {
        self.bytes > MAX_BYTES || self.periods.len() > MAX_PERIODS
    }

    /// Clears the counts; must be called after a commit.
    pub fn clear(&mut self) {
        self.dimensions.forget();
        self.periods.clear();
        self.present.clear();
        self.disturbed.clear();
        (self.records, self.unreadable) = (0, 0);
        (self.series_bytes, self.bytes) = (0, 0);
    }

    /// Adds one line; `None` if it is not a record.
    fn add_line(&mut self, line: &[u8]) -> Option<()> {
        let line = sound::record_at_a_glance(line)?;
        let series = parse::series(line);
        let (fields, stamp) = parse::split_timestamp(line.get(series.len() + 1..)?)?;
        let moment = stamp.div_euclid(NS);
        if !self.current.holds(moment) {
            self.current = self.lengths.at(moment);
        }
        let tally = self.periods.entry(self.current.start).or_default();
        tally.records += 1;
        let bytes = tally.series.add(series, 1);
        self.fields.add(fields, &mut tally.figures);
        self.records += 1;
        self.series_bytes += bytes;
        self.bytes += bytes;
        Some(())
    }

    /// Counts of each period, by its start.
    pub(super) fn tallies(&self) -> impl Iterator<Item = (&i64, &Tally)> {
        self.periods.iter()
    }

    pub(super) fn presence(&self) -> impl Iterator<Item = (&i64, &i64)> {
        self.present.iter()
    }

    pub(super) fn disturbances(&self) -> &[(i64, i64)] {
        &self.disturbed
    }

    pub(super) fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    pub(super) fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// Splits the tag sets into values, which frees their memory.
    pub(super) fn expand(&mut self) {
        for tally in self.periods.values_mut() {
            for (series, number) in tally.series.drain() {
                let bytes = self.dimensions.expand(&series, number, &mut tally.values);
                self.bytes += bytes;
            }
        }
        self.bytes -= self.series_bytes;
        self.series_bytes = 0;
    }
}
