//! The file `stamp`: what the segments would tell if any were left.

use std::fs;
use std::io;
use std::path::Path;

use super::segment::LAST_SEQUENCE;
use super::side_file;

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
    /// Reads the file; `None` where it is missing or damaged.
    pub fn read(dir: &Path) -> Option<Stamp> {
        let lost = "the time of the last record is not known: if the clock was set back since, new records can get \
                    timestamps that others have, and replace them in the database";
        side_file::read(&dir.join(STAMP), Stamp::parse, lost)
    }

    fn parse(text: &str) -> Option<Stamp> {
        let (timestamp, sequence) = text.trim().split_once(' ')?;
        let sequence = sequence.parse().ok();
        Some(Stamp {
            timestamp: timestamp.parse().ok()?,
            sequence: sequence.filter(|number| *number <= LAST_SEQUENCE)?,
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
