//! Segment files: their names, the open segment that lines are appended to, and the sealed ones.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest sequence number that is accepted, so that numbers after it never overflow. No server reaches it.
pub(super) const LAST_SEQUENCE: u64 = u64::MAX / 2;

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
    /// Parses a file name; `None` for files that are not segments.
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
        let segment = SegmentName {
            sequence: number(sequence).filter(|number| *number <= LAST_SEQUENCE)?,
            lines,
        };
        // Files are opened by the name that `Display` writes, so no other spelling is accepted.
        (segment.to_string() == name).then_some(segment)
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
    /// Shared with the syncer.
    pub file: Arc<File>,
    pub lines: u64,
    /// Bytes of whole lines. A torn line after them is never read.
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

    /// Appends whole lines, with one `write` unless the disk takes less. The error tells whether the segment can
    /// still be used.
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

    /// Whether somebody deleted or moved the file, so that no reader would find appended lines.
    pub(super) fn is_gone(&self, dir: &Path) -> bool {
        let name = SegmentName {
            sequence: self.sequence,
            lines: None,
        };
        let there = fs::metadata(dir.join(name.to_string()));
        match (there, self.file.metadata()) {
            (Ok(there), Ok(ours)) => (there.dev(), there.ino()) != (ours.dev(), ours.ino()),
            (Err(error), _) => error.kind() == io::ErrorKind::NotFound,
            (Ok(_), Err(_)) => false,
        }
    }
}

/// The state of a segment after a failed append.
#[derive(Debug)]
pub enum AppendError {
    /// The segment is unchanged.
    Undone(io::Error),
    /// The segment may end in a part of a line, so it has to be sealed.
    Torn(io::Error),
}

/// A sealed segment.
#[derive(Clone, Debug)]
pub struct Segment {
    pub sequence: u64,
    pub lines: u64,
    pub bytes: u64,
    pub pending: Option<Pending>,
    /// Whether the file's name has the number of lines.
    pub named: bool,
}

/// The work of the syncer for a sealed segment.
#[derive(Clone, Debug)]
pub enum Pending {
    /// Sync the file, then put the number of lines into its name.
    Sync(Arc<File>),
    /// Only put the number of lines into its name: a sync failed and is not repeated.
    Name,
}

impl Segment {
    /// The path of the file when this was read: the syncer may be renaming it.
    pub fn path(&self, dir: &Path) -> PathBuf {
        self.path_named(dir, self.named)
    }

    /// The path of the file once its name has the number of lines.
    pub fn final_path(&self, dir: &Path) -> PathBuf {
        self.path_named(dir, true)
    }

    /// Calls `act` with the file's path, and again with the final path if the syncer renamed the file meanwhile.
    pub fn with_path<T>(&self, dir: &Path, act: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
        match act(&self.path(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.named => {
                act(&self.final_path(dir))
            }
            done => done,
        }
    }

    fn path_named(&self, dir: &Path, named: bool) -> PathBuf {
        let name = SegmentName {
            sequence: self.sequence,
            lines: named.then_some(self.lines),
        };
        dir.join(name.to_string())
    }
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
            "00000000000000000006-01.lp",
            "00000000000000000006-1.lp.tmp",
            "99999999999999999999.lp",
            "18446744073709551615.lp",
        ] {
            assert_eq!(SegmentName::parse(name), None, "{name}");
        }
    }
}
