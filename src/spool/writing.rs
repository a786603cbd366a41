//! The writer's operations on the spool: it starts, fills and seals segments, and makes room. It must never delete
//! a segment that is being read.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::reading::Missed;
use super::segment::{OpenSegment, Pending, Segment};
use super::{Shared, Spool, take_lock};

impl Spool {
    /// Starts a segment. The error is `NotFound` if somebody removed the directory.
    pub fn create_segment(&self) -> io::Result<OpenSegment> {
        let mut sequence = self.lock().next_sequence;
        let open = loop {
            match OpenSegment::create(&self.dir, sequence) {
                // Somebody copied files into the directory.
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
            lines: 0,
            bytes: 0,
            synced: 0,
            sync_failed: false,
        });
        Ok(open)
    }

    /// Creates the directory again. Returns the records that readers miss of its files.
    pub fn recreate(&self) -> io::Result<Missed> {
        fs::create_dir_all(&self.dir)?;
        let lock = take_lock(&self.dir).map_err(io::Error::other)?;
        let mut state = self.lock();
        state._lock = lock;
        state.dir_changed = true;
        drop(state);
        Ok(self.forget_vanished())
    }

    /// Forgets the sealed segments that somebody deleted. Returns the records that readers miss of them.
    pub fn forget_vanished(&self) -> Missed {
        let mut state = self.lock();
        // Segments that are being read are left out: their reader finds that the file is missing.
        let vanished = |segment: &Segment| {
            let there = segment.with_path(&self.dir, |path| fs::symlink_metadata(path));
            there.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        let mut missed = Missed::default();
        let mut index = 0;
        while index < state.sealed.len() {
            let segment = &state.sealed[index];
            if state.is_read(segment) || !vanished(segment) {
                index += 1;
                continue;
            }
            missed += state.missed(segment);
            state.take_out(index);
        }
        missed
    }

    /// Notes the last timestamp given to a record.
    pub fn stamped(&self, stamp: i64) {
        self.last_stamp.store(stamp, Ordering::Relaxed);
    }

    /// Notes the lines and bytes of the open segment.
    pub fn appended(&self, open: &OpenSegment) {
        if let Some(shared) = &mut self.lock().open {
            (shared.lines, shared.bytes) = (open.lines, open.bytes);
        }
    }

    /// Whether the open segment could not be synced, so that it has to be sealed.
    pub fn is_sync_failed(&self) -> bool {
        self.lock()
            .open
            .as_ref()
            .is_some_and(|open| open.sync_failed)
    }

    /// Hands the segment over to the readers.
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
            pending: Some(pending),
            named: false,
        });
    }

    /// Forgets the open segment, whose file was deleted. Returns the records that readers miss of it.
    pub fn forget_open(&self) -> Missed {
        let mut state = self.lock();
        let Some(open) = state.open.take() else {
            return Missed::default();
        };
        Missed {
            undelivered: open.lines,
            expired: 0,
            uncounted: state.counter.left(open.sequence, open.lines),
        }
    }

    /// Deletes the oldest segments until `bytes` more fit. Returns the records that readers miss of them.
    pub fn make_room(&self, bytes: u64) -> Missed {
        let mut missed = Missed::default();
        loop {
            let state = self.lock();
            let open = state.open.as_ref().map_or(0, |open| open.bytes);
            if state.sealed_bytes + open + bytes <= self.max_size {
                return missed;
            }
            drop(state);
            match self.delete_oldest() {
                Some(more) => missed += more,
                None => return missed,
            }
        }
    }

    /// Deletes the oldest segment that is not being read, if there is one. Returns the records that readers miss.
    pub fn delete_oldest(&self) -> Option<Missed> {
        let mut state = self.lock();
        let mut sealed = state.sealed.iter();
        let index = sealed.position(|segment| !state.is_read(segment))?;
        let missed = state.missed(&state.sealed[index]);
        let segment = state.take_out(index);
        drop(state);
        // Without a file there is nothing to delete.
        let _ = segment.with_path(&self.dir, |path| fs::remove_file(path));
        Some(missed)
    }

    /// Deletes the oldest segment if no reader needs it: it is counted, and there is no sender.
    pub fn delete_expired(&self) -> Option<Missed> {
        let state = self.lock();
        let oldest = state.sealed.front()?;
        let needed =
            state.sender.is_some() || state.counter.left(oldest.sequence, oldest.lines) > 0;
        drop(state);
        if needed { None } else { self.delete_oldest() }
    }
}
