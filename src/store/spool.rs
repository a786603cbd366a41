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
//! - *Sync*, by the sender: `fdatasync` of sealed segments, and once a second of the open one, then
//!   the name with the number of lines, then a sync of the directory if its entries changed. A sync
//!   that failed is never repeated on the same file, because the kernel may have dropped the dirty
//!   pages and would report success: the open segment is sealed and a new one started.
//! - *Settle*, by the sender: a segment is deleted when each of its lines is stored or rejected. The
//!   oldest goes first.
//! - *Make room*, by the writer: over the maximal size the oldest segments are deleted, but never
//!   the one that is being sent.
//!
//! # Recovery
//! Sealed segments are taken as they are. An unsealed one is read: whole lines count, and a last
//! line without a newline is cut off, since a part of a number still looks like a number.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::segment::{OpenSegment, SegmentName};
use crate::checkin::line;

/// Bytes of a segment while the sender is behind.
const SEGMENT_SIZE: u64 = 8 * 1024 * 1024;

/// The state both threads share. Its lock is never held during a write or a flush.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    max_size: u64,
    /// There is an InfluxDB to deliver to.
    delivering: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Held, never read.
    _lock: File,
    next_sequence: u64,
    open: Option<Shared>,
    /// Oldest first.
    sealed: VecDeque<Segment>,
    sealed_bytes: u64,
    /// Files were created, renamed or deleted since the directory was synced.
    dir_changed: bool,
}

/// What the sender needs to know of the open segment.
#[derive(Debug)]
struct Shared {
    sequence: u64,
    file: Arc<File>,
    bytes: u64,
    synced: u64,
    sync_failed: bool,
}

/// A sealed segment.
#[derive(Clone, Debug)]
pub struct Segment {
    pub sequence: u64,
    pub lines: u64,
    pub bytes: u64,
    /// Lines that are stored or rejected already.
    pub settled: u64,
    /// Being sent: not to be deleted to make room.
    in_hand: bool,
    /// Not yet synced and named.
    unsynced: Option<Arc<File>>,
}

impl Segment {
    /// Where the file is.
    pub fn path(&self, dir: &Path) -> PathBuf {
        let lines = self.unsynced.is_none().then_some(self.lines);
        dir.join(
            SegmentName {
                sequence: self.sequence,
                lines,
            }
            .to_string(),
        )
    }
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
        let sealed = recover(dir).map_err(unusable)?;
        let newest_timestamp = sealed
            .back()
            .and_then(|segment| newest_timestamp(&segment.path(dir)));
        let state = State {
            _lock: lock,
            next_sequence: sealed.back().map_or(1, |segment| segment.sequence + 1),
            open: None,
            sealed_bytes: sealed.iter().map(|segment| segment.bytes).sum(),
            sealed,
            dir_changed: true,
        };
        let lines = state.sealed.iter().map(|segment| segment.lines).sum();
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

    /// Starts a segment; creates the directory again if somebody removed it.
    pub fn create_segment(&self) -> io::Result<OpenSegment> {
        let mut sequence = self.lock().next_sequence;
        let open = match OpenSegment::create(&self.dir, sequence) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.dir)?;
                let lock = take_lock(&self.dir).map_err(io::Error::other)?;
                self.lock()._lock = lock;
                OpenSegment::create(&self.dir, sequence)?
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                sequence += 1;
                OpenSegment::create(&self.dir, sequence)?
            }
            created => created?,
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

    /// Tells how far the open segment has come; false if it has to be sealed because it could not
    /// be synced.
    pub fn appended(&self, open: &OpenSegment) -> bool {
        let mut state = self.lock();
        let Some(shared) = &mut state.open else {
            return true;
        };
        shared.bytes = open.bytes;
        !shared.sync_failed
    }

    /// Hands the segment over to the sender.
    pub fn seal(&self, open: OpenSegment) {
        let mut state = self.lock();
        state.open = None;
        state.sealed_bytes += open.bytes;
        state.sealed.push_back(Segment {
            sequence: open.sequence,
            lines: open.lines,
            bytes: open.bytes,
            settled: 0,
            in_hand: false,
            unsynced: Some(open.file),
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
            dropped += segment.lines - segment.settled;
            // One that is gone already takes no room either.
            let _ = fs::remove_file(segment.path(&self.dir));
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
        let mut state = self.lock();
        let Some(segment) = state
            .sealed
            .pop_front_if(|segment| segment.sequence == sequence)
        else {
            return Ok(());
        };
        state.sealed_bytes -= segment.bytes;
        state.dir_changed = true;
        drop(state);
        match fs::remove_file(segment.path(&self.dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Brings everything that was appended to the disk. Returns what went wrong, each once.
    pub fn sync(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        while let Some(segment) = self.first_unsynced() {
            troubles.extend(self.sync_sealed(&segment));
        }
        troubles.extend(self.sync_open());
        troubles.extend(self.sync_dir());
        troubles
    }

    fn first_unsynced(&self) -> Option<Segment> {
        self.lock()
            .sealed
            .iter()
            .find(|segment| segment.unsynced.is_some())
            .cloned()
    }

    fn sync_sealed(&self, segment: &Segment) -> Option<String> {
        let file = segment.unsynced.as_ref()?;
        let synced = file.sync_data();
        let name = SegmentName {
            sequence: segment.sequence,
            lines: Some(segment.lines),
        };
        let renamed = fs::rename(segment.path(&self.dir), self.dir.join(name.to_string()));
        let mut state = self.lock();
        state.dir_changed = true;
        if let Some(entry) = state
            .sealed
            .iter_mut()
            .find(|s| s.sequence == segment.sequence)
        {
            // Where the file is gone, sending it will find that out.
            entry.unsynced = None;
        }
        drop(state);
        let error = synced.err().or(renamed
            .err()
            .filter(|e| e.kind() != io::ErrorKind::NotFound))?;
        Some(format!(
            "{}: cannot sync: {error}",
            segment.path(&self.dir).display()
        ))
    }

    fn sync_open(&self) -> Option<String> {
        let (sequence, file, bytes) = {
            let state = self.lock();
            let open = state.open.as_ref()?;
            if open.sync_failed || open.synced == open.bytes {
                return None;
            }
            (open.sequence, Arc::clone(&open.file), open.bytes)
        };
        let synced = file.sync_data();
        let mut state = self.lock();
        let open = state.open.as_mut().filter(|open| open.sequence == sequence);
        match (synced, open) {
            (Ok(()), Some(open)) => {
                open.synced = bytes;
                None
            }
            (Ok(()), None) => None,
            (Err(error), open) => {
                if let Some(open) = open {
                    open.sync_failed = true;
                }
                Some(format!("{}: cannot sync: {error}", self.dir.display()))
            }
        }
    }

    fn sync_dir(&self) -> Option<String> {
        if !std::mem::take(&mut self.lock().dir_changed) {
            return None;
        }
        match File::open(&self.dir).and_then(|dir| dir.sync_all()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Some(format!("{}: cannot sync: {error}", self.dir.display()))
            }
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
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

/// Lists the segments, oldest first, and seals those a killed process left open.
fn recover(dir: &Path) -> io::Result<VecDeque<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().and_then(SegmentName::parse) else {
            continue;
        };
        let (lines, bytes) = match name.lines {
            Some(lines) => (lines, entry.metadata()?.len()),
            None => seal_left_over(dir, name)?,
        };
        if lines == 0 {
            fs::remove_file(
                dir.join(
                    SegmentName {
                        lines: Some(0),
                        ..name
                    }
                    .to_string(),
                ),
            )?;
            continue;
        }
        segments.push(Segment {
            sequence: name.sequence,
            lines,
            bytes,
            settled: 0,
            in_hand: false,
            unsynced: None,
        });
    }
    segments.sort_by_key(|segment| segment.sequence);
    Ok(segments.into())
}

fn seal_left_over(dir: &Path, name: SegmentName) -> io::Result<(u64, u64)> {
    let path = dir.join(name.to_string());
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let (mut lines, mut bytes) = (0, 0);
    let mut reader = BufReader::new(&file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            if read > 0 {
                log::warn!(
                    "{}: its last line is torn ({read} bytes without an end) and is dropped",
                    path.display()
                );
                file.set_len(bytes)?;
            }
            break;
        }
        lines += 1;
        bytes += read as u64;
    }
    file.sync_data()?;
    fs::rename(
        &path,
        dir.join(
            SegmentName {
                lines: Some(lines),
                ..name
            }
            .to_string(),
        ),
    )?;
    Ok((lines, bytes))
}

/// The timestamp of a segment's last line.
fn newest_timestamp(path: &Path) -> Option<i64> {
    use std::io::{Read, Seek, SeekFrom};
    /// More than any line is long: a body has 64 KiB, and escaping at most doubles it.
    const TAIL: u64 = 256 * 1024;
    let mut file = File::open(path).ok()?;
    let start = file.metadata().ok()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    tail.split(|&byte| byte == b'\n')
        .rev()
        .find_map(line::timestamp)
}
