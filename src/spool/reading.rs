//! What readers do with the spool: each has a cursor, and a segment that every cursor is past is deleted.

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
/// Bytes of a segment in which its first record is looked for.
const FIRST_RECORD: u64 = 2 * sound::LONGEST as u64;

/// How far a reader has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The reader is past everything before it for good.
    pub(super) settled: Position,
    /// The segments up to this number are being read, and not deleted to make room.
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

    /// Lines of a segment that the reader is not past.
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

/// Records that went with a segment before a reader was past them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// By the sender.
    pub undelivered: u64,
    /// By nobody: there is no sender, and they had been kept as long as there was room.
    pub expired: u64,
    /// By the counter.
    pub uncounted: u64,
}

impl Missed {
    /// The records themselves, whether or not they were counted.
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

/// Where the sender of an earlier run stands.
pub(super) fn delivered(dir: &Path) -> Position {
    let lost = "segments that were delivered and are kept to be counted are sent again, which stores no record twice";
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
    /// What readers miss if a segment goes now.
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

    /// A reader has it open, or has not told yet that it is past it.
    pub(super) fn is_read(&self, segment: &Segment) -> bool {
        let sender = self.sender.is_some_and(|s| s.is_reading(segment.sequence));
        sender || self.counter.is_reading(segment.sequence)
    }

    fn is_done_with(&self, segment: &Segment) -> bool {
        let sender = self.sender.is_some_and(|sender| sender.is_past(segment));
        sender && self.counter.is_past(segment)
    }
}

/// The sender.
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

    /// Tells how many lines of the taken segment are stored or rejected.
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

    /// The sender is past a segment, which goes unless the counter still needs it.
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

    /// Renames a segment that cannot be read to a name that nothing here looks at. Returns what readers miss.
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

    /// How many sealed segments the sender has still to deliver; `None` where there is no sender.
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

    /// How long the oldest record has been waiting, by its timestamp.
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

/// The counter.
impl Spool {
    /// The ledger was opened, or replaced by a new one: the counter goes on there. Returns the records
    /// that it is not past.
    pub fn count_from(&self, position: Position) -> u64 {
        let mut state = self.lock();
        state.counter = Cursor::at(position);
        state.uncounted()
    }

    /// What was read up to here is counted for good. Segments that the sender does not need either go.
    pub fn counted(&self, position: Position) -> io::Result<()> {
        self.lock().counter = Cursor::at(position);
        self.delete_passed()
    }

    /// The number of the oldest segment that is there, or will be, once the counter is past a position.
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

    /// Records in all segments that the counter is not past.
    pub fn uncounted(&self) -> u64 {
        self.lock().uncounted()
    }

    /// How often records were dropped instead of written.
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
            // A full disk must not keep the file that has to go for there to be room.
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
        // The callers have just found it there.
        let segment = self.sealed.remove(index).expect("a segment of this index");
        self.sealed_bytes -= segment.bytes;
        self.dir_changed = true;
        segment
    }
}

/// A file that somebody deleted is as good as one that was.
fn found_or_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
