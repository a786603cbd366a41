//! The spool: records on disk, on their way to InfluxDB or, without one, where they stay.
//!
//! # Constraints
//! A check-in that was answered survives a crash of the process 10 ms later, and a loss of power a
//! second later. An append never waits for a slow disk's flush. Memory and the time to start do not
//! grow with the backlog. A person can read it with `tail -f` and feed it to `curl` or `influx`.
//!
//! # Layout
//! One directory per database, with a `lock` that is held while a process uses it, and segments:
//!
//! - `NNNNNNNNNNNNNNNNNNNN.lp`: plain line protocol, appended to; 20 digits that only grow.
//! - `NNNNNNNNNNNNNNNNNNNN-LINES.lp`: sealed, never changed again, with its number of lines in the
//!   name, so that a backlog is counted without being read.
//! - `stamp`: the last timestamp given to a record, once no segment is left that has it.
//!
//! Beside them are `rejected/` (see [`super::rejected`]), `periods` (see [`super::periods`]) and
//! `lengths` (see [`super::lengths`]).
//!
//! # Operations
//! - *Append*, by the writer: one `write` of whole lines for all records that came in a few
//!   milliseconds.
//! - *Seal*, by the writer: after the sync interval if the sender has nothing to do, and after a full
//!   batch unless a few wait already; while it is behind, after 8 MiB, so that an outage does not leave
//!   a file a second.
//! - *Sync*, by the syncer (see [`super::syncer`]), once a second: `fdatasync` of the sealed
//!   segments and of the open one, then the names with the number of lines, then a sync of the
//!   directory if its entries changed. A sync that failed is never repeated on the same file, because
//!   the kernel may have dropped the dirty pages and would report success: the open segment is sealed
//!   and a new one started.
//! - *Settle*, by the sender: a segment is deleted when each of its lines is stored or rejected. The
//!   oldest goes first. One that cannot be read to its end is set aside as `….lp.unreadable`.
//!   Before the last one goes, `stamp` is written.
//! - *Make room*, by the writer: over the maximal size the oldest segments are deleted, but never
//!   the one that is being sent.
//! - *Recreate*, by the writer: a directory that somebody removed is made again, and the segments
//!   that went with it are counted as lost.
//!
//! # Recovery
//! Sealed segments are taken as they are. An unsealed one is read: whole lines count, and a last
//! line without a newline is cut off, since a part of a number still looks like a number. What is
//! no segment, or cannot be read, is left alone and said, and never keeps the service from starting.

pub mod cardinality;
pub mod clock;
pub mod drops;
pub mod durable;
mod position;
pub mod queue;
pub mod recovery;
pub mod segment;
mod sending;
pub mod syncer;
pub mod writer;
mod writing;

pub use position::Position;

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use segment::Segment;

/// Room for the last line of a buffer, which may pass its bound.
pub const LONGEST_LINE: usize = 128 * 1024;
/// Bytes of a segment while the sender is behind.
const SEGMENT_SIZE: u64 = 8 * 1024 * 1024;

/// What the threads share. Its lock is never held during a write, a flush or a rename.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    max_size: u64,
    /// There is an InfluxDB to deliver to.
    delivering: bool,
    /// The last timestamp given to a record, in ns since 1970.
    last_stamp: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// Held, never read.
    _lock: File,
    next_sequence: u64,
    pub open: Option<Shared>,
    /// Oldest first.
    pub sealed: VecDeque<Segment>,
    sealed_bytes: u64,
    /// Files were created, renamed or deleted since the directory was synced.
    pub dir_changed: bool,
}

/// What the syncer needs to know of the open segment.
#[derive(Debug)]
pub(super) struct Shared {
    pub sequence: u64,
    pub file: Arc<File>,
    pub bytes: u64,
    pub synced: u64,
    pub sync_failed: bool,
}

/// A spool and what an earlier run left in it.
#[derive(Debug)]
pub struct Opened {
    pub spool: Spool,
    pub lines: u64,
    /// The newest timestamp of an earlier run, in ns: new ones go on behind it.
    pub newest_timestamp: Option<i64>,
}

/// The spool directory cannot be used. The operator's to mend.
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
                "--spool-dir: {}: {error}; expected a directory this process can write to",
                path.display()
            ),
            SpoolError::Locked { path } => write!(
                f,
                "--spool-dir: {} is in use by another upgrade-responder; stop it or choose \
                 another directory",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SpoolError {}

impl Spool {
    /// Opens or creates the directory, takes the lock, and counts what is there.
    pub fn open(dir: &Path, max_size: u64, delivering: bool) -> Result<Opened, SpoolError> {
        let unusable = |error| SpoolError::Unusable {
            path: dir.to_owned(),
            error,
        };
        fs::create_dir_all(dir).map_err(unusable)?;
        let lock = take_lock(dir)?;
        let found = recovery::recover(dir).map_err(unusable)?;
        let newest = found.segments.back();
        let newest = newest.and_then(|segment| recovery::newest_timestamp(&segment.path(dir)));
        // An older segment than the stamp may have been put there by somebody.
        let newest_timestamp = newest.max(sending::kept_stamp(dir));
        let lines = found.segments.iter().map(|segment| segment.lines).sum();
        let state = State {
            _lock: lock,
            next_sequence: found.next_sequence,
            open: None,
            sealed_bytes: found.segments.iter().map(|segment| segment.bytes).sum(),
            sealed: found.segments,
            dir_changed: true,
        };
        let spool = Spool {
            dir: dir.to_owned(),
            max_size,
            delivering,
            last_stamp: AtomicI64::new(newest_timestamp.unwrap_or(i64::MIN)),
            state: Mutex::new(state),
        };
        Ok(Opened {
            spool,
            lines,
            newest_timestamp,
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes an open segment may reach before it is sealed although the sender is behind.
    pub fn segment_size(&self) -> u64 {
        SEGMENT_SIZE.min(self.max_size / 8)
    }

    /// Bytes in all segments, and bytes allowed.
    pub fn size(&self) -> (u64, u64) {
        let state = self.lock();
        let open = state.open.as_ref().map_or(0, |open| open.bytes);
        (state.sealed_bytes + open, self.max_size)
    }

    /// How many sealed segments the sender has still to deliver; `None` where there is no sender.
    pub fn to_deliver(&self) -> Option<usize> {
        self.delivering.then(|| self.lock().sealed.len())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done between two statements that can panic.
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
