//! Recovery at the start: takes over the segments of an earlier run. A file that cannot be used must never prevent
//! the start.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::damage::{self, Judged};
use super::rejected::RejectedDir;
use super::segment::{Segment, SegmentName};
use crate::line::encode as line;
use crate::line::sound;

/// Bytes at the end of a segment that hold at least one whole line.
const TAIL: u64 = 2 * sound::LONGEST as u64;
/// Number of last segments that are searched for the newest timestamp.
const NEWEST: usize = 8;
/// Most lines of a segment. A larger number in a name is wrong.
const MOST_LINES: u64 = u32::MAX as u64;

/// The segments of a directory.
#[derive(Debug)]
pub struct Recovered {
    /// Oldest first.
    pub segments: VecDeque<Segment>,
    /// Higher than the number of any file there, also of those that are left alone.
    pub next_sequence: u64,
    /// Damaged lines that were put into the rejected files.
    pub rejected: u64,
}

/// Lists the segments and seals those that a killed process left open. Readers are past the numbers below `oldest`,
/// so segments of such a number were copied there by hand. Fails only if the directory cannot be listed or a segment
/// cannot be renumbered; a file that cannot be used is logged and left alone.
pub fn recover(dir: &Path, oldest: u64, rejected: &RejectedDir) -> io::Result<Recovered> {
    let mut segments = Vec::new();
    let mut damaged = 0;
    let mut next_sequence = oldest.max(1);
    // All names are read first: a file that is renamed while they are read could be listed twice.
    let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    for entry in entries {
        let Some(name) = entry.file_name().to_str().and_then(SegmentName::parse) else {
            continue;
        };
        next_sequence = next_sequence.max(name.sequence + 1);
        match take_over(dir, &entry, name, rejected) {
            Ok((segment, rejected)) => {
                segments.extend(segment);
                damaged += rejected;
            }
            Err(error) => log::error!(
                "{}: {error}; ignored; fix the file and restart to deliver its records",
                entry.path().display()
            ),
        }
    }
    segments.sort_by_key(|segment| segment.sequence);
    renumber(dir, oldest, &mut segments, &mut next_sequence)?;
    Ok(Recovered {
        segments: segments.into(),
        next_sequence,
        rejected: damaged,
    })
}

/// Gives new numbers to segments that were copied there by hand: the second of two with the same number, and those
/// with numbers that readers are past.
fn renumber(
    dir: &Path,
    oldest: u64,
    segments: &mut [Segment],
    next_sequence: &mut u64,
) -> io::Result<()> {
    let mut last = None;
    for segment in segments.iter_mut() {
        let twin = last.replace(segment.sequence) == Some(segment.sequence);
        if !twin && segment.sequence >= oldest {
            continue;
        }
        let before = segment.path(dir);
        segment.sequence = *next_sequence;
        *next_sequence += 1;
        fs::rename(before, segment.path(dir))?;
    }
    segments.sort_by_key(|segment| segment.sequence);
    Ok(())
}

/// The segment, `None` if it holds nothing, and the number of damaged lines that were taken out of it.
fn take_over(
    dir: &Path,
    entry: &fs::DirEntry,
    name: SegmentName,
    rejected: &RejectedDir,
) -> io::Result<(Option<Segment>, u64)> {
    let metadata = entry.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(
            "has a segment's name, but is not a regular file",
        ));
    }
    let mut damaged = 0;
    let (lines, bytes) = match name.lines {
        None => {
            let judged = seal_left_over(dir, name, rejected)?;
            damaged = judged.rejected;
            // With every line in the rejected files, the segment can be deleted.
            let nothing_left = judged.lines == 0 && judged.failed.is_none();
            let bytes = if nothing_left { 0 } else { judged.bytes };
            (judged.lines, bytes)
        }
        Some(lines) if lines > MOST_LINES => (rename_counted(dir, name)?, metadata.len()),
        Some(lines) => (lines, metadata.len()),
    };
    let segment = Segment {
        sequence: name.sequence,
        lines,
        bytes,
        pending: None,
        named: true,
    };
    if bytes == 0 && lines == 0 {
        fs::remove_file(segment.path(dir))?;
        return Ok((None, damaged));
    }
    Ok((Some(segment), damaged))
}

/// Takes damaged lines out, and gives the segment its final name.
fn seal_left_over(dir: &Path, name: SegmentName, rejected: &RejectedDir) -> io::Result<Judged> {
    let path = dir.join(name.to_string());
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let judged = damage::take_out(&file, &name.to_string(), rejected)?;
    if let Some(error) = &judged.failed {
        log::error!(
            "{}: damaged lines cannot be written to {}: {error}; the sender will retry; free disk space or \
             repair the disk",
            path.display(),
            rejected.path().display()
        );
    }
    if let Some(first) = judged.first {
        log::warn!(
            "{}: {} bytes from byte {first} on are not records, damaged by a loss of power, the disk or a \
             person; {} lines put into {}, {} records are sound; check these lines, then delete them",
            path.display(),
            judged.damaged_bytes,
            judged.rejected,
            rejected.path().display(),
            judged.lines
        );
    }
    file.sync_data()?;
    rename(dir, name, judged.lines)?;
    Ok(judged)
}

/// Renames a segment whose name has an impossible number of lines to the number that it has.
fn rename_counted(dir: &Path, name: SegmentName) -> io::Result<u64> {
    let path = dir.join(name.to_string());
    let lines = count_lines(File::open(&path)?)?;
    log::warn!(
        "{}: the number of lines in the name is too large; renamed, the file has {lines}; do not rename the \
         spool's files",
        path.display()
    );
    rename(dir, name, lines)?;
    Ok(lines)
}

fn rename(dir: &Path, name: SegmentName, lines: u64) -> io::Result<()> {
    let sealed = SegmentName {
        lines: Some(lines),
        ..name
    };
    let sealed = dir.join(sealed.to_string());
    if sealed.try_exists()? {
        // Copied there by hand: renaming would replace that file, and its records would be lost.
        return Err(io::Error::other(
            "there is another segment with this number and length",
        ));
    }
    fs::rename(dir.join(name.to_string()), sealed)
}

/// The number of newlines in a file.
fn count_lines(file: File) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut lines = 0;
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        let read = bytes.len();
        reader.consume(read);
    }
}

/// The timestamp of the newest record. It is in the last segment, unless that one is damaged or was copied there by
/// hand, so the segments before it are searched too.
pub fn newest_timestamp(dir: &Path, segments: &VecDeque<Segment>) -> Option<i64> {
    let latest = segments.iter().rev().take(NEWEST);
    latest
        .map(|segment| last_timestamp(&segment.path(dir)))
        .find_map(|stamp| stamp)
}

/// The timestamp of a segment's last record.
fn last_timestamp(path: &Path) -> Option<i64> {
    let mut file = File::open(path).ok()?;
    let start = file.metadata().ok()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let end = tail.iter().rposition(|&byte| byte == b'\n')?;
    tail[..end]
        .split(|&byte| byte == b'\n')
        .rev()
        .find_map(|line| line::timestamp(sound::record(line)?))
}
