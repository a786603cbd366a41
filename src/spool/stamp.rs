//! The file `stamp`: what the segments would tell if any were left.

use std::fs;
use std::io;
use std::path::Path;

const STAMP: &str = "stamp";

/// The end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The last timestamp given to a record, in ns since 1970: a restart would otherwise not know it, and
    /// give it again if the clock is behind it.
    pub timestamp: i64,
    /// The number of the last segment.
    pub sequence: u64,
}

impl Stamp {
    /// Reads the file; `None` where it is missing or makes no sense.
    pub fn read(dir: &Path) -> Option<Stamp> {
        let text = fs::read_to_string(dir.join(STAMP)).ok()?;
        let (timestamp, sequence) = text.trim().split_once(' ')?;
        Some(Stamp {
            timestamp: timestamp.parse().ok()?,
            sequence: sequence.parse().ok()?,
        })
    }

    /// Replaces the file. It need not survive a loss of power, which takes longer than a clock is allowed
    /// to be behind.
    pub fn write(self, dir: &Path) -> io::Result<()> {
        let new = dir.join("stamp.new");
        fs::write(&new, format!("{} {}\n", self.timestamp, self.sequence))?;
        fs::rename(new, dir.join(STAMP))
    }
}
