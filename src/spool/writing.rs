//! What the writer does with the spool: it starts, fills and seals segments, and makes room.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Shared, Spool, take_lock};
use crate::spool::segment::{OpenSegment, Pending, Segment};

impl Spool {
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
        drop(state);
        Ok(self.forget_vanished())
    }

    /// Forgets the sealed segments that somebody removed. Returns how many records are gone with them.
    pub fn forget_vanished(&self) -> u64 {
        let mut state = self.lock();
        let mut vanished = 0;
        let mut bytes = 0;
        state.sealed.retain(|segment| {
            // The sender finds out by itself about the one it holds.
            let there = segment.in_hand
                || !segment
                    .with_path(&self.dir, |path| fs::symlink_metadata(path))
                    .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
            if !there {
                vanished += segment.lines.saturating_sub(segment.settled);
                bytes += segment.bytes;
            }
            there
        });
        state.sealed_bytes -= bytes;
        vanished
    }

    /// Tells which timestamp was given to a record last.
    pub fn stamped(&self, stamp: i64) {
        self.last_stamp.store(stamp, Ordering::Relaxed);
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
}
