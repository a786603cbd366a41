//! The rejected files: lines that InfluxDB refuses at every retry, and damaged lines of the spool, kept for the
//! operator.
//!
//! `rejected/NNNNNNNNNNNNNNNNNNNN.lp` in the state directory: line protocol, with the reason as a
//! comment above its lines, so that a corrected file can be written to InfluxDB as it is. There are at most
//! [`MAX_FILES`] files of about [`FILE_SIZE`]; the oldest is deleted when there is one more.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::durable::sync_entry;
use super::segment::SegmentName;

const FILE_SIZE: usize = 1024 * 1024;
const MAX_FILES: usize = 16;

/// Lines that were refused for one reason.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// InfluxDB's error message, which can quote a client, or the place of the damage.
    pub reason: String,
    pub lines: Vec<&'a [u8]>,
}

/// The directory of rejected lines.
#[derive(Debug)]
pub struct RejectedDir {
    dir: PathBuf,
}

impl RejectedDir {
    pub fn new(dir: &Path) -> RejectedDir {
        RejectedDir {
            dir: dir.to_owned(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Adds lines to the newest file, and to further ones where there are more than a file holds.
    /// Returns the number of lines kept, which is less than all only with an error.
    pub fn add(&self, rejected: &Rejected<'_>) -> (u64, io::Result<()>) {
        let time = jiff::Timestamp::now();
        let head = format!("# {time} {}\n", one_line(&rejected.reason));
        let mut text = head.clone().into_bytes();
        let (mut kept, mut lines) = (0, 0);
        for line in &rejected.lines {
            if text.len() > head.len() && text.len() + line.len() >= FILE_SIZE {
                if let Err(error) = self.append(&text) {
                    return (kept, Err(error));
                }
                kept += std::mem::take(&mut lines);
                text.truncate(head.len());
            }
            text.extend_from_slice(line);
            text.push(b'\n');
            lines += 1;
        }
        match self.append(&text) {
            Ok(()) => (kept + lines, Ok(())),
            Err(error) => (kept, Err(error)),
        }
    }

    /// Appends the whole text to the newest file, or to a new one if that is full. Deletes the oldest files beyond
    /// [`MAX_FILES`].
    fn append(&self, text: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let mut files = self.files()?;
        let newest = files.last().copied().unwrap_or(1);
        let size = fs::metadata(self.path_of(newest)).map_or(0, |metadata| metadata.len());
        let full = size > 0 && size + text.len() as u64 > FILE_SIZE as u64;
        let sequence = if full { newest + 1 } else { newest };
        if files.last() != Some(&sequence) {
            files.push(sequence);
        }
        for old in files.iter().rev().skip(MAX_FILES) {
            fs::remove_file(self.path_of(*old))?;
        }
        let path = self.path_of(sequence);
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        let before = file.metadata()?.len();
        let mut write = || {
            file.write_all(text)?;
            // Synced, because the segment that these lines come from is deleted next.
            file.sync_data()?;
            if before == 0 {
                sync_entry(&path)?;
                sync_entry(&self.dir)?;
            }
            Ok(())
        };
        let written: io::Result<()> = write();
        written.inspect_err(|_| {
            // A partly written line would damage the next one. Nothing can be done if this fails too.
            let _ = file.set_len(before);
        })
    }

    fn files(&self) -> io::Result<Vec<u64>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            files.extend(entry?.file_name().to_str().and_then(SegmentName::parse));
        }
        files.sort();
        Ok(files.into_iter().map(|name| name.sequence).collect())
    }

    fn path_of(&self, sequence: u64) -> PathBuf {
        self.dir.join(
            SegmentName {
                sequence,
                lines: None,
            }
            .to_string(),
        )
    }
}

/// The first line of a reason without control characters, at most 300 characters, for a comment or the log.
pub fn one_line(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_file_goes_when_there_are_too_many() {
        let dir = std::env::temp_dir().join(format!("rejected-{}", std::process::id()));
        let rejected = RejectedDir::new(&dir);
        let line = vec![b'x'; FILE_SIZE / 4];
        for _ in 0..(MAX_FILES + 3) / 2 + 1 {
            // More than one file holds: three lines go into each.
            let lines = vec![line.as_slice(); 6];
            let (kept, added) = rejected.add(&Rejected {
                reason: "too\nlong".to_owned(),
                lines,
            });
            added.unwrap();
            assert_eq!(kept, 6);
        }
        let files = rejected.files().unwrap();
        let text = fs::read(rejected.path_of(5)).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(files, (5..5 + MAX_FILES as u64).collect::<Vec<_>>());
        assert!(text.starts_with(b"# ") && text.ends_with(b"x\n"));
        assert!(text.len() <= FILE_SIZE);
    }
}
