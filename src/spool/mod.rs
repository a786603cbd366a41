//! The spool: records on disk, on their way to InfluxDB or, without one, where they stay.
//!
//! # Constraints
//! A check-in that was answered survives a crash of the process 10 ms later, and a loss of power a
//! second later. An append never waits for a slow disk's flush. Memory and the time to start do not
//! grow with the backlog. A person can read the segments with `tail -f` and feed them to `curl` or `influx`.
//!
//! # Layout
//! One directory, with a `lock` that is held while a process uses it, and segments:
//!
//! - `NNNNNNNNNNNNNNNNNNNN.lp`: plain line protocol, appended to; 20 digits that only grow.
//! - `NNNNNNNNNNNNNNNNNNNN-LINES.lp`: sealed, never changed again, with its number of lines in the
//!   name, so that a backlog is counted without being read.
//! - `stamp`: the last timestamp given to a record and the last segment's number, written when the last
//!   segment is deleted.
//! - `delivered`: the number of the last delivered segment, written where the counter still needs that segment.
//!
//! # Readers
//! Two readers go through the log at their own pace, and neither waits for the other (see [`reading`]).
//! The *counter* adds records up in the ledger, which keeps its [`Position`]. It reads only synced lines, of the
//! open segment too, so that a loss of power never takes a record that is counted. The *sender* delivers sealed
//! segments to a time-series database. A record that is sent twice is stored once, so the sender's position need
//! not survive a loss of power. A segment is deleted when both readers are past it. Without a database there is no
//! sender, and segments stay until the maximal size is reached.
//!
//! # Operations
//! - *Append*, by the writer: one `write` of whole lines for all records that came in a few
//!   milliseconds. While writes fail, the writer retries the same lines, and records wait in the queue.
//! - *Seal*, by the writer: after the sync interval if the sender has nothing to do, and after a full batch
//!   unless several segments wait already. While the sender is far behind, a segment is sealed after 8 MiB, so
//!   that an outage does not leave a file a second.
//! - *Sync*, by the syncer (see [`syncer`]), at most once a second: `fdatasync` of the sealed
//!   segments and of the open one, then the names with the number of lines, then a sync of the
//!   directory if its entries changed. A sync that failed is never repeated on the same file, because
//!   the kernel may have dropped the dirty pages and would report success: the open segment is sealed
//!   and a new one started.
//! - *Settle*, by a reader: the reader does not need the log before a position again. Segments that every reader
//!   is past are deleted, oldest first; before the last one is deleted, `stamp` is written. A segment that the
//!   sender cannot read to its end is renamed to `….lp.unreadable`.
//! - *Make room*, by the writer: over the maximal size the oldest segments are deleted, but never
//!   one that is being read. Records deleted without a sender have *expired*; undelivered or uncounted ones are lost.
//! - *Recreate*, by the writer: a directory that was deleted is created again, and the records of its
//!   segments are counted as lost.
//!
//! # Recovery
//! Sealed segments are not checked at the start: the sender puts damaged lines that it reads into the rejected
//! files, and the counter skips them. Each line of an unsealed segment is checked (see [`damage`]).
//! A line that is not a record goes to the rejected files and becomes a comment in the segment. A last line without
//! a newline is not a record, since a part of a number still looks like a number. A segment with a number that
//! readers are past, which somebody copied into the directory, gets a new number. A file with a segment's name that
//! cannot be used is logged and left alone, and never prevents the start.

pub mod append;
pub mod cardinality;
pub mod clock;
mod damage;
mod drops;
mod durable;
mod losses;
mod position;
pub mod queue;
mod reading;
pub mod recovery;
pub mod rejected;
pub mod segment;
mod side_file;
mod stamp;
pub mod syncer;
mod tail;
pub mod writer;
mod writing;

pub use damage::is_taken_out;
pub use position::Position;
pub use tail::{Chunk, Tail};

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Access, access};

use reading::Cursor;
use rejected::RejectedDir;
use segment::Segment;
use stamp::Stamp;

/// Bytes by which the last line of a buffer may pass its limit.
pub const LONGEST_LINE: usize = 128 * 1024;
/// Bytes of a segment while the sender is behind.
const SEGMENT_SIZE: u64 = 8 * 1024 * 1024;

/// The state that the threads share. Its lock is never held during a write, a flush or a rename.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    max_size: u64,
    /// The last timestamp given to a record, in ns since 1970.
    last_stamp: AtomicI64,
    /// Number of records dropped instead of written. The totals do not cover the time in which it grows.
    losses: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// Held for as long as the process uses the directory, never read.
    _lock: File,
    next_sequence: u64,
    pub open: Option<Shared>,
    /// Oldest first.
    pub sealed: VecDeque<Segment>,
    sealed_bytes: u64,
    pub counter: Cursor,
    /// `None` without a database to deliver to.
    pub sender: Option<Cursor>,
    /// Whether files were created, renamed or deleted since the directory was synced.
    pub dir_changed: bool,
}

/// The open segment, as the other threads see it.
#[derive(Debug)]
pub(super) struct Shared {
    pub sequence: u64,
    pub file: Arc<File>,
    pub lines: u64,
    pub bytes: u64,
    /// Bytes that would survive a loss of power.
    pub synced: u64,
    pub sync_failed: bool,
}

/// Options for opening a spool.
#[derive(Clone, Copy, Debug)]
pub struct SpoolOptions<'a> {
    /// The directory for damaged lines that are found at the start.
    pub rejected: &'a Path,
    /// Bytes that the segments may take.
    pub max_size: u64,
    /// Whether there is a database to deliver to.
    pub delivering: bool,
    /// The counter's position.
    pub counted: Position,
    /// The number of the oldest segment that the counter knows of.
    pub oldest: u64,
}

/// A spool, and the records of an earlier run in it.
#[derive(Debug)]
pub struct Opened {
    pub spool: Spool,
    /// Records that the sender is not past; all of them without one.
    pub lines: u64,
    /// Records that the counter is not past.
    pub uncounted: u64,
    /// Damaged lines that were put into the rejected files. They are not counted as records.
    pub rejected: u64,
    /// The newest timestamp of an earlier run, in ns since 1970. New ones come after it.
    pub newest_timestamp: Option<i64>,
}

/// The spool directory cannot be used; the operator must fix this.
#[derive(Debug)]
pub enum SpoolError {
    Unusable { path: PathBuf, error: io::Error },
    Locked { path: PathBuf },
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpoolError::Unusable { path, error } => write!(
                f,
                "--state-dir: {}: {error}; expected a directory this process can write to{}",
                path.display(),
                match error.kind() {
                    io::ErrorKind::PermissionDenied =>
                        "; check owner and mode of the directory and its files",
                    _ => "",
                }
            ),
            SpoolError::Locked { path } => write!(
                f,
                "--state-dir: {} is in use by another upgrade-responder; stop it or choose \
                 another directory",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SpoolError {}

impl Spool {
    /// Opens or creates the directory, takes the lock, and counts the records in it.
    pub fn open(dir: &Path, options: SpoolOptions<'_>) -> Result<Opened, SpoolError> {
        let unusable = |error| SpoolError::Unusable {
            path: dir.to_owned(),
            error,
        };
        fs::create_dir_all(dir).map_err(unusable)?;
        let lock = take_lock(dir)?;
        // The lock's file can be writable in a directory in which no segment can be created.
        let rights = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        access(dir, rights).map_err(|error| unusable(error.into()))?;
        let stamp = Stamp::read(dir);
        // The stamp is written when no segment is left, so readers are past its number.
        let oldest = options
            .oldest
            .max(stamp.map_or(0, |stamp| stamp.sequence + 1));
        let rejected = RejectedDir::new(options.rejected);
        let found = recovery::recover(dir, oldest, &rejected).map_err(unusable)?;
        let newest = recovery::newest_timestamp(dir, &found.segments);
        let newest_timestamp = newest.max(stamp.map(|stamp| stamp.timestamp));
        let delivered = reading::delivered(dir);
        // A number below a reader's position would never be read.
        let used = [
            options.counted.segment,
            delivered.segment,
            stamp.map_or(0, |stamp| stamp.sequence),
        ];
        let next_sequence = used
            .into_iter()
            .map(|sequence| sequence + 1)
            .fold(found.next_sequence, u64::max);
        let state = State {
            _lock: lock,
            next_sequence,
            open: None,
            sealed_bytes: found.segments.iter().map(|segment| segment.bytes).sum(),
            sealed: found.segments,
            counter: Cursor::at(options.counted),
            sender: options.delivering.then(|| Cursor::at(delivered)),
            dir_changed: true,
        };
        let (lines, uncounted) = (state.undelivered(), state.uncounted());
        let spool = Spool {
            dir: dir.to_owned(),
            max_size: options.max_size,
            last_stamp: AtomicI64::new(newest_timestamp.unwrap_or(i64::MIN)),
            losses: Arc::default(),
            state: Mutex::new(state),
        };
        Ok(Opened {
            spool,
            lines,
            uncounted,
            rejected: found.rejected,
            newest_timestamp,
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes an open segment may reach before it is sealed although the sender is behind.
    fn segment_size(&self) -> u64 {
        SEGMENT_SIZE.min(self.max_size / 8)
    }

    /// Bytes in all segments, and bytes allowed.
    pub fn size(&self) -> (u64, u64) {
        let state = self.lock();
        let open = state.open.as_ref().map_or(0, |open| open.bytes);
        (state.sealed_bytes + open, self.max_size)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is safe to use: no statement that can panic comes between two related changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_lock(dir: &Path) -> Result<File, SpoolError> {
    let path = dir.join("lock");
    let unusable = |error| SpoolError::Unusable {
        path: path.clone(),
        error,
    };
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::Locked {
            path: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}
