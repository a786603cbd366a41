//! The writer's end of the log: appends to the open segment, decides when to seal it, and makes room.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Spool;
use super::reading::Missed;
use super::segment::{AppendError, OpenSegment};

/// Sealed segments that may wait for the sender. With more, as in an outage, segments grow to their full size.
const FULL_BATCHES: usize = 8;

/// The writer's end of the log.
#[derive(Debug)]
pub struct Appender {
    spool: Arc<Spool>,
    /// Time for which a segment stays open while the sender has nothing to do.
    sync_interval: Duration,
    batch_points: u64,
    open: Option<OpenSegment>,
    opened: Instant,
    missed: Gone,
}

/// Records that readers missed since the last [`Appender::take_missed`], by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// The spool had reached its maximal size, or the disk was full.
    pub to_make_room: Missed,
    /// Spool files were deleted by hand.
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

    /// Notes the last timestamp given to a record.
    pub(super) fn stamped(&self, stamp: i64) {
        self.spool.stamped(stamp);
    }

    /// Number of records that complete a batch in the open segment, unlimited once it holds one. The sender sends
    /// one batch per request, and a few records beyond it would cost another request.
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
                // On a full disk, delete expired segments before failing.
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

    /// Records that readers missed since the last call.
    pub(super) fn take_missed(&mut self) -> Gone {
        std::mem::take(&mut self.missed)
    }

    /// Whether to seal the open segment: by age or number of records, or by size alone where the sender is far
    /// behind or there is none.
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

    /// Hands the open segment over to the readers. Returns whether there was one.
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

    /// Gives up an open segment whose file was deleted: writes to it would succeed, but no reader would find them.
    fn give_up_gone(&mut self) {
        let dir: &Path = self.spool.dir();
        if self.open.take_if(|open| open.is_gone(dir)).is_some() {
            self.missed.by_hand += self.spool.forget_open();
        }
    }
}
