//! Waits until the ledger has counted the check-ins that the server has answered.
//!
//! A record is in the spool at most 10 ms after its answer, and in the ledger a commit later. Without this
//! wait, a report right after a check-in would not show it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::spool::Position;
use crate::spool::segment::SegmentName;
use crate::totals::LedgerError;

/// The longest time from the answer of a check-in to its record in the spool.
const SPOOLED_WITHIN: Duration = Duration::from_millis(10);
/// How often the ledger is checked, and for how long at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOK_FOR: Duration = Duration::from_secs(2);

/// Waits until the records that are in the spool now are counted, for 2 s at most. Returns whether they are. It does
/// not wait for later records, or a busy server would make it wait longer.
///
/// It does not find out whether a server runs: that would take the spool's lock for a moment, and a server that
/// starts at this moment would fail. Without a running server all records are counted, except after a crash.
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

/// The segments that are not empty; none if the directory cannot be read, as there is nothing to wait for then.
fn segments(spool: &Path) -> Vec<Found> {
    let entries = fs::read_dir(spool).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let sequence = SegmentName::parse(entry.file_name().to_str()?)?.sequence;
        let bytes = entry.metadata().ok()?.len();
        (bytes > 0).then_some(Found { sequence, bytes })
    });
    found.collect()
}

/// Whether the position is past all existing segments up to `newest`.
fn is_counted(spool: &Path, position: Position, newest: Found) -> bool {
    let at = (position.segment, position.offset);
    if at >= (newest.sequence, newest.bytes) {
        return true;
    }
    // The newest segment may have been deleted meanwhile, or a torn last line cut off.
    let mut left = segments(spool);
    left.retain(|found| found.sequence <= newest.sequence);
    left.iter()
        .all(|found| at >= (found.sequence, found.bytes.min(newest.bytes_of(found))))
}

impl Found {
    /// The length of `other` when this one was the newest.
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
        // Lines that are appended later do not matter.
        write("00000000000000000007.lp", "one\ntwo\nthree\n");
        assert!(is_counted(&spool, position(7, 8), newest));
        // A segment that was cut off, and one that was deleted.
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
