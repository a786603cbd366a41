//! Waits until the ledger has what the server has acknowledged.
//!
//! A record is in the spool at most 10 ms after its answer, and in the ledger a commit later. Without this
//! wait, whoever checks in and asks would not find it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::spool::Position;
use crate::spool::segment::SegmentName;
use crate::totals::LedgerError;

/// From the answer to the spool.
const SPOOLED_WITHIN: Duration = Duration::from_millis(10);
/// How often the ledger is looked at, and how long at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOK_FOR: Duration = Duration::from_secs(2);

/// Waits until all that is in the spool now is counted, for 2 s at most. Returns whether it is. What comes
/// meanwhile is not waited for, or a busy server would keep it waiting.
///
/// Whether a server runs is not asked: that would take the spool's lock, if only for a moment, and a server
/// that starts in this moment would not get it. Without one all is counted, but after a crash.
pub fn wait(
    spool: &Path,
    position: impl Fn() -> Result<Position, LedgerError>,
) -> Result<bool, LedgerError> {
    thread::sleep(SPOOLED_WITHIN);
    let newest = segments(spool).into_iter().max();
    let Some(newest) = newest else {
        return Ok(true);
    };
    let start = Instant::now();
    loop {
        if is_counted(spool, position()?, newest) {
            return Ok(true);
        }
        if start.elapsed() >= LOOK_FOR {
            return Ok(false);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// A segment and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    sequence: u64,
    bytes: u64,
}

/// Those that are not empty. A directory that cannot be read has none: the ledger is all there is then.
fn segments(spool: &Path) -> Vec<Found> {
    let entries = fs::read_dir(spool).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let sequence = SegmentName::parse(entry.file_name().to_str()?)?.sequence;
        let bytes = entry.metadata().ok()?.len();
        (bytes > 0).then_some(Found { sequence, bytes })
    });
    found.collect()
}

/// Whether the position is behind everything up to `newest` that is still there.
fn is_counted(spool: &Path, position: Position, newest: Found) -> bool {
    let at = (position.segment, position.offset);
    if at >= (newest.sequence, newest.bytes) {
        return true;
    }
    // It may have been deleted meanwhile, or a torn line at its end cut off.
    let mut left = segments(spool);
    left.retain(|found| found.sequence <= newest.sequence);
    left.iter()
        .all(|found| at >= (found.sequence, found.bytes.min(newest.bytes_of(found))))
}

impl Found {
    /// How much of `other` was there when this one was the newest.
    fn bytes_of(&self, other: &Found) -> u64 {
        if other.sequence == self.sequence {
            self.bytes
        } else {
            other.bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(segment: u64, offset: u64) -> Position {
        Position {
            segment,
            offset,
            lines: 0,
        }
    }

    #[test]
    fn a_segment_behind_the_position_is_uncounted() {
        let spool = std::env::temp_dir().join(format!("fresh-{}", std::process::id()));
        fs::create_dir(&spool).unwrap();
        let write = |name: &str, text: &str| fs::write(spool.join(name), text).unwrap();
        write("00000000000000000006-1.lp", "one\n");
        write("00000000000000000007.lp", "one\ntwo\n");
        write("00000000000000000008.lp", "");
        write("lock", "");
        let newest = segments(&spool).into_iter().max().unwrap();
        assert_eq!((newest.sequence, newest.bytes), (7, 8));
        for (segment, offset, counted) in [
            (0, 0, false),
            (6, 4, false),
            (7, 4, false),
            (7, 8, true),
            (8, 0, true),
        ] {
            let at = position(segment, offset);
            assert_eq!(is_counted(&spool, at, newest), counted, "{at:?}");
        }
        // What is appended later is not waited for.
        write("00000000000000000007.lp", "one\ntwo\nthree\n");
        assert!(is_counted(&spool, position(7, 8), newest));
        // Cut off, and deleted.
        write("00000000000000000007.lp", "one\n");
        assert!(is_counted(&spool, position(7, 4), newest));
        fs::remove_file(spool.join("00000000000000000007.lp")).unwrap();
        assert!(is_counted(&spool, position(6, 4), newest));
        assert!(!is_counted(&spool, position(6, 3), newest));
        assert!(wait(&spool, || Ok(position(6, 4))).unwrap());
        fs::remove_dir_all(&spool).unwrap();
        assert!(wait(&spool, || Ok(position(0, 0))).unwrap());
    }
}
