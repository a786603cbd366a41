//! What the sender does with the spool: it takes the oldest segment and gives it back or is done with it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Spool;
use crate::line::encode as line;
use crate::spool::segment::{Segment, SegmentName};

const STAMP: &str = "stamp";

/// What [`keep_stamp`](Spool::keep_stamp) has left.
pub(super) fn kept_stamp(dir: &Path) -> Option<i64> {
    let text = fs::read_to_string(dir.join(STAMP)).ok()?;
    text.trim().parse().ok()
}

impl Spool {
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

    /// Tells how many lines of the oldest segment are stored or rejected.
    pub fn settled(&self, sequence: u64, lines: u64) {
        let mut state = self.lock();
        if let Some(segment) = state.sealed.front_mut().filter(|s| s.sequence == sequence) {
            segment.settled = lines;
        }
    }

    /// Gives the oldest segment back, to be sent later.
    pub fn put_back(&self, sequence: u64) {
        let mut state = self.lock();
        if let Some(segment) = state.sealed.front_mut().filter(|s| s.sequence == sequence) {
            segment.in_hand = false;
        }
    }

    /// Lines of the sealed segments that are neither stored nor rejected.
    pub fn waiting(&self) -> u64 {
        let state = self.lock();
        let waiting = |segment: &Segment| segment.lines.saturating_sub(segment.settled);
        state.sealed.iter().map(waiting).sum()
    }

    /// Keeps the last timestamp in a file, if the oldest segment, which is about to go, is all there is:
    /// a restart would otherwise not know it, and give it again if the clock is behind it. It need not
    /// outlive a loss of power, which takes longer than a clock is allowed to be behind.
    pub fn keep_stamp(&self) -> io::Result<()> {
        let state = self.lock();
        if state.sealed.len() > 1 || state.open.as_ref().is_some_and(|open| open.bytes > 0) {
            return Ok(());
        }
        drop(state);
        let stamp = self.last_stamp.load(Ordering::Relaxed);
        let new = self.dir.join("stamp.new");
        fs::write(&new, format!("{stamp}\n"))?;
        fs::rename(new, self.dir.join(STAMP))
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
}
