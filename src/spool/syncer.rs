//! The syncer thread: syncs the spool to the disk, at most once a second.
//!
//! It is a thread of its own so that records are synced while the sender waits for a database or the counter for
//! the ledger. Without it a loss of power could take the records of a whole database outage, and records that the
//! ledger has counted. It must never delay an append: the lock is not held during a flush. The counter reads only
//! synced lines, so it is woken after each sync.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::Spool;
use super::segment::{Pending, Segment};
use crate::logging::Throttle;

/// Shortest time from one sync to the next.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Syncs after a message on `appended`, then sends one on `synced`. Runs until `written` is disconnected, when the
/// writer has sealed its last segment.
pub fn run(spool: &Spool, appended: &Receiver<()>, written: &Receiver<()>, synced: &Sender<()>) {
    let mut said = Throttle::default();
    loop {
        // An error means that `appended` is disconnected; then `written` is too, which is checked below.
        let _ = appended.recv();
        let began = Instant::now();
        for trouble in spool.sync() {
            if let Some(times) = said.tick(1) {
                let times = times.times();
                log::error!(
                    "{}: cannot sync: {trouble}; failed {times}; a loss of power now would \
                     lose records; check the disk",
                    spool.dir().display()
                );
            }
        }
        // A full channel wakes the counter already.
        let _ = synced.try_send(());
        let pause = SYNC_INTERVAL.saturating_sub(began.elapsed());
        if written.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            // For lines that were appended since.
            spool.sync();
            return;
        }
    }
}

impl Spool {
    /// Syncs everything that was appended. Returns the errors.
    pub fn sync(&self) -> Vec<io::Error> {
        let mut troubles = Vec::new();
        while let Some((segment, pending)) = self.first_pending() {
            troubles.extend(self.finish(&segment, pending).err());
        }
        troubles.extend(self.sync_open().err());
        troubles.extend(self.sync_dir().err());
        troubles
    }

    fn first_pending(&self) -> Option<(Segment, Pending)> {
        let state = self.lock();
        let mut sealed = state.sealed.iter();
        sealed.find_map(|segment| Some((segment.clone(), segment.pending.clone()?)))
    }

    /// Syncs and names a sealed segment, once.
    fn finish(&self, segment: &Segment, pending: Pending) -> io::Result<()> {
        let synced = match pending {
            Pending::Sync(file) => file.sync_data(),
            Pending::Name => Ok(()),
        };
        let named = fs::rename(segment.path(self.dir()), segment.final_path(self.dir()));
        let mut state = self.lock();
        state.dir_changed = true;
        let sequence = segment.sequence;
        if let Some(entry) = state.sealed.iter_mut().find(|s| s.sequence == sequence) {
            entry.pending = None;
            entry.named = named.is_ok();
        }
        drop(state);
        match named {
            // The file was delivered or deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => synced,
            named => synced.and(named),
        }
    }

    fn sync_open(&self) -> io::Result<()> {
        let (sequence, file, bytes) = match &self.lock().open {
            Some(open) if !open.sync_failed && open.synced < open.bytes => {
                (open.sequence, Arc::clone(&open.file), open.bytes)
            }
            _ => return Ok(()),
        };
        let synced = file.sync_data();
        let mut state = self.lock();
        if let Some(open) = state.open.as_mut().filter(|o| o.sequence == sequence) {
            match synced {
                Ok(()) => open.synced = bytes,
                Err(_) => open.sync_failed = true,
            }
        } else if synced.is_err()
            && let Some(entry) = state.sealed.iter_mut().find(|s| s.sequence == sequence)
        {
            // The segment was sealed meanwhile.
            entry.pending = Some(Pending::Name);
        }
        synced
    }

    fn sync_dir(&self) -> io::Result<()> {
        if !std::mem::take(&mut self.lock().dir_changed) {
            return Ok(());
        }
        match File::open(self.dir()).and_then(|dir| dir.sync_all()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            synced => synced,
        }
    }
}
