//! The file `stamp`: the end of the log, kept for a start that finds no segments.

use std::fs;
use std::io;
use std::path::Path;

use super::segment::LAST_SEQUENCE;
use super::side_file;

const STAMP: &str = "stamp";

/// The end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The last timestamp given to a record, in ns since 1970. Without it, a restart could give the same timestamp
    /// again if the clock was set back.
    pub timestamp: i64,
    /// The number of the last segment.
    pub sequence: u64,
}

impl Stamp {
    /// Reads the file; `None` where it is missing or damaged.
    pub fn read(dir: &Path) -> Option<Stamp> {
        let lost = "the time of the last record is unknown; if the clock was set back, new records can get the \
                    timestamps of old ones and replace them in the database";
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

    /// Replaces the file. It need not survive a loss of power: the machine takes longer to boot than the second by
    /// which the clock may be behind.
    pub fn write(self, dir: &Path) -> io::Result<()> {
        let new = dir.join("stamp.new");
        fs::write(&new, format!("{} {}\n", self.timestamp, self.sequence))?;
        fs::rename(new, dir.join(STAMP))
    }
}
