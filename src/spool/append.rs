//! The end of the log: the open segment, when it is sealed, and room for what comes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Spool;
use super::reading::Missed;
use super::segment::{AppendError, OpenSegment};

/// Full batches that may wait for the sender before segments grow, as they do in an outage.
const FULL_BATCHES: usize = 8;

/// The writer's end of the log.
#[derive(Debug)]
pub struct Appender {
    spool: Arc<Spool>,
    /// How long a segment stays open while the sender has nothing to do.
    sync_interval: Duration,
    batch_points: u64,
    open: Option<OpenSegment>,
    opened: Instant,
    missed: Gone,
}

/// What readers missed since it was last taken, by what took it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// The spool had reached its maximal size, or the disk was full.
    pub to_make_room: Missed,
    /// Somebody deleted files.
    pub by_hand: Missed,
}

impl Appender {
    pub fn new(spool: Arc<Spool>, sync_interval: Duration, batch_points: usize) -> Appender {
        Appender {
            spool,
            sync_interval,
            batch_points: batch_points as u64,
            open: None,
            opened: Instant::now(),
            missed: Gone::default(),
        }
    }

    pub fn dir(&self) -> PathBuf {
        self.spool.dir().to_owned()
    }

    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Tells which timestamp was given to a record last.
    pub(super) fn stamped(&self, stamp: i64) {
        self.spool.stamped(stamp);
    }

    /// How many records go into the open segment: a request takes a full batch, and a few records more would be
    /// a request of their own.
    pub fn room(&self) -> usize {
        let lines = self.open.as_ref().map_or(0, |open| open.lines);
        match self.batch_points.saturating_sub(lines) {
            0 => usize::MAX,
            missing => usize::try_from(missing).unwrap_or(usize::MAX),
        }
    }

    /// Appends whole lines. After an error none of them is in the log.
    pub fn append(&mut self, lines: &[u8], count: u64) -> io::Result<()> {
        self.give_up_gone();
        self.missed.to_make_room += self.spool.make_room(lines.len() as u64);
        loop {
            match self.try_append(lines, count) {
                // What nobody needs any more goes before anything is refused.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    match self.spool.delete_expired() {
                        Some(missed) => self.missed.to_make_room += missed,
                        None => return Err(error),
                    }
                }
                appended => return appended,
            }
        }
    }

    /// What readers missed since the last time.
    pub(super) fn take_missed(&mut self) -> Gone {
        std::mem::take(&mut self.missed)
    }

    /// While the sender is far behind, segments grow; else they are sealed by time or by number.
    pub(super) fn is_due(&self) -> bool {
        let Some(open) = self.open.as_ref().filter(|open| open.lines > 0) else {
            return false;
        };
        if open.bytes >= self.spool.segment_size() || self.spool.is_sync_failed() {
            return true;
        }
        let old = self.opened.elapsed() >= self.sync_interval;
        let full = open.lines >= self.batch_points;
        match self.spool.to_deliver() {
            Some(0) => old || full,
            Some(waiting) => full && waiting < FULL_BATCHES,
            None => false,
        }
    }

    /// Hands the open segment over to the readers; whether there was one.
    pub(super) fn seal(&mut self) -> bool {
        self.give_up_gone();
        let Some(open) = self.open.take() else {
            return false;
        };
        log::debug!(
            "sealed a segment of {} records, {} bytes",
            open.lines,
            open.bytes
        );
        self.spool.seal(open);
        true
    }

    fn try_append(&mut self, lines: &[u8], count: u64) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        let appended = open.append(lines, count);
        self.spool.appended(&open);
        match appended {
            Ok(()) => self.open = Some(open),
            Err(AppendError::Undone(error)) => {
                self.open = Some(open);
                return Err(error);
            }
            Err(AppendError::Torn(error)) => {
                self.spool.seal(open);
                return Err(error);
            }
        }
        Ok(())
    }

    fn create(&mut self) -> io::Result<OpenSegment> {
        self.opened = Instant::now();
        match self.spool.create_segment() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.missed.by_hand += self.spool.recreate()?;
                self.spool.create_segment()
            }
            created => created,
        }
    }

    /// A deleted file can still be written to, but nobody will find it.
    fn give_up_gone(&mut self) {
        let dir: &Path = self.spool.dir();
        if self.open.take_if(|open| open.is_gone(dir)).is_some() {
            self.missed.by_hand += self.spool.forget_open();
        }
    }
}
