//! The readers' operations on the spool. Each reader has a cursor, and a segment that every cursor is past is
//! deleted. No segment that a reader still needs may be deleted here.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::segment::{LAST_SEQUENCE, Segment, SegmentName};
use super::side_file;
use super::stamp::Stamp;
use super::{Position, Spool, State};
use crate::line::{encode as line, sound};

const DELIVERED: &str = "delivered";
/// Bytes at the start of a segment that are searched for its first record.
const FIRST_RECORD: u64 = 2 * sound::LONGEST as u64;

/// The progress of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The position before which the reader needs nothing again.
    pub(super) settled: Position,
    /// The number up to which segments are being read, so that they are not deleted to make room.
    pub(super) reading: Option<u64>,
}

impl Cursor {
    pub(super) fn at(settled: Position) -> Cursor {
        Cursor {
            settled,
            reading: None,
        }
    }

    fn is_past(&self, segment: &Segment) -> bool {
        segment.sequence < self.settled.segment
    }

    /// Number of lines of a segment that the reader is not past.
    pub(super) fn left(&self, sequence: u64, lines: u64) -> u64 {
        match sequence.cmp(&self.settled.segment) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => lines.saturating_sub(self.settled.lines),
            std::cmp::Ordering::Greater => lines,
        }
    }

    pub(super) fn is_reading(&self, sequence: u64) -> bool {
        let last = self.reading;
        last.is_some_and(|last| (self.settled.segment..=last).contains(&sequence))
    }
}

/// Numbers of records that were deleted with a segment before a reader was past them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Records that the sender missed.
    pub undelivered: u64,
    /// Records deleted where there is no sender, which are kept only as long as there is room.
    pub expired: u64,
    /// Records that the counter missed.
    pub uncounted: u64,
}

impl Missed {
    /// Number of deleted records, whether or not they were counted.
    pub fn records(&self) -> u64 {
        self.undelivered + self.expired
    }
}

impl std::ops::AddAssign for Missed {
    fn add_assign(&mut self, other: Missed) {
        self.undelivered += other.undelivered;
        self.expired += other.expired;
        self.uncounted += other.uncounted;
    }
}

/// The position of the sender of an earlier run.
pub(super) fn delivered(dir: &Path) -> Position {
    let lost =
        "delivered segments that are not counted yet are sent again, which stores no record twice";
    let parse = |text: &str| {
        let last: Option<u64> = text.trim().parse().ok();
        last.filter(|number| *number <= LAST_SEQUENCE)
    };
    let last = side_file::read(&dir.join(DELIVERED), parse, lost);
    let segment = last.map_or(0, |last| last + 1);
    Position {
        segment,
        ..Position::default()
    }
}

impl State {
    /// Records that readers miss if a segment is deleted now.
    pub(super) fn missed(&self, segment: &Segment) -> Missed {
        let (sequence, lines) = (segment.sequence, segment.lines);
        let undelivered = self.sender.map(|sender| sender.left(sequence, lines));
        Missed {
            undelivered: undelivered.unwrap_or(0),
            expired: if undelivered.is_none() { lines } else { 0 },
            uncounted: self.counter.left(sequence, lines),
        }
    }

    /// Records in sealed segments that the sender is not past; all of them without one.
    pub(super) fn undelivered(&self) -> u64 {
        let missed = self.sealed.iter().map(|segment| self.missed(segment));
        missed
            .map(|missed| missed.undelivered + missed.expired)
            .sum()
    }

    /// Records in all segments that the counter is not past.
    pub(super) fn uncounted(&self) -> u64 {
        let left = |segment: &Segment| self.counter.left(segment.sequence, segment.lines);
        let open = self.open.as_ref();
        let open = open.map_or(0, |open| self.counter.left(open.sequence, open.lines));
        self.sealed.iter().map(left).sum::<u64>() + open
    }

    /// Whether a reader is reading a segment, or has not reported yet that it is past it.
    pub(super) fn is_read(&self, segment: &Segment) -> bool {
        let sender = self.sender.is_some_and(|s| s.is_reading(segment.sequence));
        sender || self.counter.is_reading(segment.sequence)
    }

    fn is_done_with(&self, segment: &Segment) -> bool {
        let sender = self.sender.is_some_and(|sender| sender.is_past(segment));
        sender && self.counter.is_past(segment)
    }
}

/// Operations of the sender.
impl Spool {
    /// The oldest sealed segment that the sender is not past. It is safe from
    /// [`make_room`](Spool::make_room) until it is put back or passed.
    pub fn take_oldest(&self) -> Option<Segment> {
        let mut state = self.lock();
        let sender = state.sender?;
        let mut sealed = state.sealed.iter();
        let oldest = sealed.find(|segment| !sender.is_past(segment))?.clone();
        state.sender.as_mut()?.reading = Some(oldest.sequence);
        Some(oldest)
    }

    /// Gives back what [`take_oldest`](Spool::take_oldest) took, to be sent later.
    pub fn put_back(&self) {
        if let Some(sender) = &mut self.lock().sender {
            sender.reading = None;
        }
    }

    /// Notes the number of lines of the taken segment that are stored or rejected.
    pub fn settled(&self, segment: u64, lines: u64) {
        if let Some(sender) = &mut self.lock().sender {
            sender.settled = Position {
                segment,
                // Sealed segments are sent from their beginning after a restart.
                offset: 0,
                lines,
            };
        }
    }

    /// Notes that the sender is past a segment, and deletes it unless the counter still needs it.
    pub fn passed(&self, sequence: u64) -> io::Result<()> {
        let mut state = self.lock();
        if let Some(sender) = &mut state.sender {
            *sender = Cursor::at(Position {
                segment: sequence + 1,
                ..Position::default()
            });
        }
        let kept = state
            .sealed
            .front()
            .is_some_and(|s| s.sequence <= sequence && !state.counter.is_past(s));
        drop(state);
        if kept {
            let new = self.dir.join("delivered.new");
            fs::write(&new, format!("{sequence}\n"))?;
            fs::rename(new, self.dir.join(DELIVERED))?;
        }
        self.delete_passed()
    }

    /// Renames a segment that cannot be read to `….lp.unreadable`, which the server ignores. Returns the records
    /// that readers miss.
    pub fn set_aside(&self, sequence: u64) -> io::Result<Missed> {
        let mut state = self.lock();
        let Some(index) = state.sealed.iter().position(|s| s.sequence == sequence) else {
            return Ok(Missed::default());
        };
        let missed = state.missed(&state.sealed[index]);
        let segment = state.take_out(index);
        drop(state);
        let renamed = segment.with_path(&self.dir, |path| {
            fs::rename(path, path.with_extension("lp.unreadable"))
        });
        found_or_gone(renamed)?;
        self.passed(sequence)?;
        Ok(missed)
    }

    /// Number of sealed segments that the sender has still to deliver; `None` where there is no sender.
    pub fn to_deliver(&self) -> Option<usize> {
        let state = self.lock();
        let sender = state.sender?;
        let sealed = state.sealed.iter();
        Some(sealed.filter(|segment| !sender.is_past(segment)).count())
    }

    /// Records in sealed segments that are neither stored nor rejected.
    pub fn waiting(&self) -> u64 {
        self.lock().undelivered()
    }

    /// The sequence number of the open segment, where there is one.
    pub fn open_sequence(&self) -> Option<u64> {
        Some(self.lock().open.as_ref()?.sequence)
    }

    /// Age of the oldest waiting record, by its timestamp.
    pub fn oldest_age(&self) -> Option<Duration> {
        let file = File::open(self.oldest_path()?).ok()?;
        let lines = BufReader::new(file.take(FIRST_RECORD)).split(b'\n');
        let stamp = lines
            .map_while(Result::ok)
            .find_map(|text| line::timestamp(sound::record(&text)?));
        let stamped = Duration::from_nanos(u64::try_from(stamp?).ok()?);
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()?
            .checked_sub(stamped)
    }

    fn oldest_path(&self) -> Option<PathBuf> {
        let state = self.lock();
        let waits = |s: &&Segment| state.sender.is_none_or(|sender| !sender.is_past(s));
        if let Some(segment) = state.sealed.iter().find(waits) {
            return Some(segment.path(&self.dir));
        }
        let sequence = state.open.as_ref()?.sequence;
        let name = SegmentName {
            sequence,
            lines: None,
        };
        Some(self.dir.join(name.to_string()))
    }
}

/// Operations of the counter.
impl Spool {
    /// Moves the counter to the position of a ledger that was opened or recreated. Returns the number of records
    /// that it is not past.
    pub fn count_from(&self, position: Position) -> u64 {
        let mut state = self.lock();
        state.counter = Cursor::at(position);
        state.uncounted()
    }

    /// Notes that the records before a position are counted, and deletes segments that the sender does not need
    /// either.
    pub fn counted(&self, position: Position) -> io::Result<()> {
        self.lock().counter = Cursor::at(position);
        self.delete_passed()
    }

    /// The number of the oldest segment that is left once the counter is past a position; of the next one to be
    /// created if none is left.
    pub fn oldest_after(&self, counted: Position) -> u64 {
        let state = self.lock();
        let stays = |s: &&Segment| {
            let sent = state.sender.is_some_and(|sender| sender.is_past(s));
            !sent || s.sequence >= counted.segment
        };
        let sealed = state.sealed.iter().find(stays).map(|s| s.sequence);
        let open = state.open.as_ref().map(|open| open.sequence);
        sealed.or(open).unwrap_or(state.next_sequence)
    }

    /// Number of records in all segments that the counter is not past.
    pub fn uncounted(&self) -> u64 {
        self.lock().uncounted()
    }

    /// The counter of records that were dropped instead of written.
    pub fn losses(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.losses)
    }
}

impl Spool {
    /// Deletes the segments that no reader needs any more, oldest first.
    fn delete_passed(&self) -> io::Result<()> {
        loop {
            let mut state = self.lock();
            let oldest = state.sealed.front();
            if !oldest.is_some_and(|oldest| state.is_done_with(oldest)) {
                return Ok(());
            }
            let is_last = state.sealed.len() == 1 && state.open.is_none();
            let stamp = Stamp {
                timestamp: self.last_stamp.load(Ordering::Relaxed),
                sequence: state.next_sequence - 1,
            };
            let segment = state.take_out(0);
            drop(state);
            // On a full disk the stamp cannot be written, but deleting the segment frees the disk: so delete it
            // before returning that error.
            let stamped = if is_last {
                stamp.write(&self.dir)
            } else {
                Ok(())
            };
            found_or_gone(segment.with_path(&self.dir, |path| fs::remove_file(path)))?;
            stamped?;
        }
    }
}

impl State {
    pub(super) fn take_out(&mut self, index: usize) -> Segment {
        // The callers hold the lock under which they found it.
        let segment = self.sealed.remove(index).expect("a segment of this index");
        self.sealed_bytes -= segment.bytes;
        self.dir_changed = true;
        segment
    }
}

/// Ignores that a file does not exist: somebody has deleted it already.
fn found_or_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
