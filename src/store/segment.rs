//! Segment files: their names, and the one that is being appended to.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// The name of a segment file.
///
/// `NNNNNNNNNNNNNNNNNNNN.lp` while it is appended to, `NNNNNNNNNNNNNNNNNNNN-LINES.lp` once sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    pub sequence: u64,
    /// The number of lines, once sealed.
    pub lines: Option<u64>,
}

impl SegmentName {
    /// Understands a file name; `None` for files that are no segments.
    pub fn parse(name: &str) -> Option<SegmentName> {
        let stem = name.strip_suffix(".lp")?;
        let (sequence, lines) = match stem.split_once('-') {
            Some((sequence, lines)) => (sequence, Some(lines)),
            None => (stem, None),
        };
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if digits { text.parse().ok() } else { None }
        };
        if sequence.len() != 20 {
            return None;
        }
        let lines = match lines {
            Some(lines) => Some(number(lines)?),
            None => None,
        };
        Some(SegmentName {
            sequence: number(sequence)?,
            lines,
        })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines {
            Some(lines) => write!(f, "{:020}-{lines}.lp", self.sequence),
            None => write!(f, "{:020}.lp", self.sequence),
        }
    }
}

/// The segment that is being appended to. It belongs to the writer thread.
#[derive(Debug)]
pub struct OpenSegment {
    pub sequence: u64,
    /// Shared with the sender, which syncs it.
    pub file: Arc<File>,
    pub lines: u64,
    /// Bytes of whole lines; what stands behind them is torn and never read.
    pub bytes: u64,
}

impl OpenSegment {
    /// Creates the file; it must not exist yet.
    pub fn create(dir: &Path, sequence: u64) -> io::Result<OpenSegment> {
        let path = dir.join(
            SegmentName {
                sequence,
                lines: None,
            }
            .to_string(),
        );
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)?;
        Ok(OpenSegment {
            sequence,
            file: Arc::new(file),
            lines: 0,
            bytes: 0,
        })
    }

    /// Appends whole lines, with one `write` unless the disk takes less. After an error nothing of
    /// them is in the segment, or the error says that it has to be given up.
    pub fn append(&mut self, lines: &[u8], count: u64) -> Result<(), AppendError> {
        if let Err(error) = (&*self.file).write_all(lines) {
            return match self.file.set_len(self.bytes) {
                Ok(()) => Err(AppendError::Undone(error)),
                Err(_) => Err(AppendError::Torn(error)),
            };
        }
        self.lines += count;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// Somebody deleted the file: what is appended now goes nowhere.
    pub fn is_deleted(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.nlink() == 0)
    }
}

/// What an append that went wrong left behind.
#[derive(Debug)]
pub enum AppendError {
    /// The segment is as it was.
    Undone(io::Error),
    /// A part of a line may stand at its end: seal it.
    Torn(io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["00000000000000000007.lp", "00000000000000000006-5000.lp"] {
            assert_eq!(SegmentName::parse(name).unwrap().to_string(), name);
        }
        for name in [
            "lock",
            "7.lp",
            "0000000000000000000x.lp",
            "00000000000000000006-.lp",
            "00000000000000000006-1.lp.tmp",
            "99999999999999999999.lp",
        ] {
            assert_eq!(SegmentName::parse(name), None, "{name}");
        }
    }
}
