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
//!
//! Beside them are `rejected/` (see [`super::rejected`]) and `periods` (see [`super::periods`]).
//!
//! # Operations
//! - *Append*, by the writer: one `write` of whole lines for all records that came in a few
//!   milliseconds.
//! - *Seal*, by the writer: when the sender has nothing to do, after the sync interval or a full
//!   batch; while it is behind, after 8 MiB, so that an outage does not leave a file a second.
//! - *Sync*, by the syncer (see [`super::syncer`]), once a second: `fdatasync` of the sealed
//!   segments and of the open one, then the names with the number of lines, then a sync of the
//!   directory if its entries changed. A sync that failed is never repeated on the same file, because
//!   the kernel may have dropped the dirty pages and would report success: the open segment is sealed
//!   and a new one started.
//! - *Settle*, by the sender: a segment is deleted when each of its lines is stored or rejected. The
//!   oldest goes first. One that cannot be read to its end is set aside as `….lp.unreadable`.
//! - *Make room*, by the writer: over the maximal size the oldest segments are deleted, but never
//!   the one that is being sent.
//! - *Recreate*, by the writer: a directory that somebody removed is made again, and the segments
//!   that went with it are counted as lost.
//!
//! # Recovery
//! Sealed segments are taken as they are. An unsealed one is read: whole lines count, and a last
//! line without a newline is cut off, since a part of a number still looks like a number. What is
//! no segment, or cannot be read, is left alone and said, and never keeps the service from starting.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::recovery;
use super::segment::{OpenSegment, Pending, Segment, SegmentName};
use crate::checkin::line;

/// Bytes of a segment while the sender is behind.
const SEGMENT_SIZE: u64 = 8 * 1024 * 1024;

/// What the threads share. Its lock is never held during a write, a flush or a rename.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    max_size: u64,
    /// There is an InfluxDB to deliver to.
    delivering: bool,
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
    /// The newest timestamp of the newest segment, in ns: new ones go on behind it.
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
        let newest_timestamp =
            newest.and_then(|segment| recovery::newest_timestamp(&segment.path(dir)));
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

    /// The sender has nothing to do, so a segment that is sealed now is sent at once.
    pub fn is_caught_up(&self) -> bool {
        self.delivering && self.lock().sealed.is_empty()
    }

    // The writer's operations.

    /// Starts a segment. The error is `NotFound` if somebody removed the directory.
    pub fn create_segment(&self) -> io::Result<OpenSegment> {
        let mut sequence = self.lock().next_sequence;
        let open = loop {
            match OpenSegment::create(&self.dir, sequence) {
                // Somebody put files there.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => sequence += 1,
                created => break created?,
            }
        };
        let mut state = self.lock();
        state.next_sequence = sequence + 1;
        state.dir_changed = true;
        state.open = Some(Shared {
            sequence,
            file: Arc::clone(&open.file),
            bytes: 0,
            synced: 0,
            sync_failed: false,
        });
        Ok(open)
    }

    /// Makes the directory again. Returns how many records are gone with the files that were in it.
    pub fn recreate(&self) -> io::Result<u64> {
        fs::create_dir_all(&self.dir)?;
        let lock = take_lock(&self.dir).map_err(io::Error::other)?;
        let mut state = self.lock();
        state._lock = lock;
        state.dir_changed = true;
        let mut vanished = 0;
        let mut bytes = 0;
        state.sealed.retain(|segment| {
            // The sender finds out by itself about the one it holds.
            let there = segment.in_hand
                || segment
                    .with_path(&self.dir, |path| fs::symlink_metadata(path))
                    .is_ok();
            if !there {
                vanished += segment.lines.saturating_sub(segment.settled);
                bytes += segment.bytes;
            }
            there
        });
        state.sealed_bytes -= bytes;
        Ok(vanished)
    }

    /// Tells how far the open segment has come.
    pub fn appended(&self, open: &OpenSegment) {
        if let Some(shared) = &mut self.lock().open {
            shared.bytes = open.bytes;
        }
    }

    /// The open segment could not be synced: it is to be sealed.
    pub fn is_sync_failed(&self) -> bool {
        self.lock()
            .open
            .as_ref()
            .is_some_and(|open| open.sync_failed)
    }

    /// Hands the segment over to the sender.
    pub fn seal(&self, open: OpenSegment) {
        let mut state = self.lock();
        let shared = state.open.take();
        let pending = match shared.is_some_and(|shared| shared.sync_failed) {
            true => Pending::Name,
            false => Pending::Sync(open.file),
        };
        state.sealed_bytes += open.bytes;
        state.sealed.push_back(Segment {
            sequence: open.sequence,
            lines: open.lines,
            bytes: open.bytes,
            settled: 0,
            in_hand: false,
            pending: Some(pending),
            named: false,
        });
    }

    /// Forgets the open segment, whose file is gone.
    pub fn forget_open(&self) {
        self.lock().open = None;
    }

    /// Deletes the oldest segments until `bytes` more fit. Returns how many records went with them.
    pub fn make_room(&self, bytes: u64) -> u64 {
        let mut dropped = 0;
        loop {
            let mut state = self.lock();
            let open = state.open.as_ref().map_or(0, |open| open.bytes);
            if state.sealed_bytes + open + bytes <= self.max_size {
                return dropped;
            }
            let Some(index) = state.sealed.iter().position(|segment| !segment.in_hand) else {
                return dropped;
            };
            let Some(segment) = state.sealed.remove(index) else {
                return dropped;
            };
            state.sealed_bytes -= segment.bytes;
            state.dir_changed = true;
            drop(state);
            dropped += segment.lines.saturating_sub(segment.settled);
            // One that is gone already takes no room either.
            let _ = segment.with_path(&self.dir, |path| fs::remove_file(path));
        }
    }

    // The sender's operations.

    /// The oldest sealed segment, which is safe from [`make_room`](Spool::make_room) until it is put
    /// back or removed.
    pub fn take_oldest(&self) -> Option<Segment> {
        let mut state = self.lock();
        let oldest = state.sealed.front_mut()?;
        oldest.in_hand = true;
        Some(oldest.clone())
    }

    /// The sequence number of the open segment, where there is one.
    pub fn open_sequence(&self) -> Option<u64> {
        Some(self.lock().open.as_ref()?.sequence)
    }

    /// How long the oldest record has been waiting, by its timestamp.
    pub fn oldest_age(&self) -> Option<Duration> {
        let mut first = Vec::new();
        let file = File::open(self.oldest_path()?).ok()?;
        BufReader::new(file).read_until(b'\n', &mut first).ok()?;
        let stamped = Duration::from_nanos(u64::try_from(line::timestamp(&first)?).ok()?);
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()?
            .checked_sub(stamped)
    }

    fn oldest_path(&self) -> Option<PathBuf> {
        let state = self.lock();
        if let Some(segment) = state.sealed.front() {
            return Some(segment.path(&self.dir));
        }
        let sequence = state.open.as_ref()?.sequence;
        Some(
            self.dir.join(
                SegmentName {
                    sequence,
                    lines: None,
                }
                .to_string(),
            ),
        )
    }

    /// Gives the oldest segment back, to be sent later.
    pub fn put_back(&self, sequence: u64, settled: u64) {
        let mut state = self.lock();
        if let Some(segment) = state.sealed.front_mut().filter(|s| s.sequence == sequence) {
            segment.in_hand = false;
            segment.settled = settled;
        }
    }

    /// Deletes the oldest segment, all of whose lines are settled.
    pub fn remove(&self, sequence: u64) -> io::Result<()> {
        self.forget(sequence, |path| fs::remove_file(path))
    }

    /// Renames the oldest segment, which cannot be read, to a name that nothing here looks at.
    pub fn set_aside(&self, sequence: u64) -> io::Result<()> {
        self.forget(sequence, |path| {
            fs::rename(path, path.with_extension("lp.unreadable"))
        })
    }

    fn forget(&self, sequence: u64, act: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.lock();
        let oldest = |segment: &mut Segment| segment.sequence == sequence;
        let Some(segment) = state.sealed.pop_front_if(oldest) else {
            return Ok(());
        };
        state.sealed_bytes -= segment.bytes;
        state.dir_changed = true;
        drop(state);
        match segment.with_path(&self.dir, act) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
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
