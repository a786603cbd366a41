//! What an earlier run left in the spool: taken over at start, whatever state it is in.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::segment::{Segment, SegmentName};
use crate::line::encode as line;

/// Bytes at the end of a segment in which a whole line is found. No line is longer: a body has
/// 64 KiB, and escaping at most doubles it.
const TAIL: u64 = 256 * 1024;

/// The segments of a directory.
#[derive(Debug)]
pub struct Recovered {
    /// Oldest first.
    pub segments: VecDeque<Segment>,
    /// Higher than any that is there, also of files that are left alone.
    pub next_sequence: u64,
}

/// Lists the segments and seals those a killed process left open. Those below the number `oldest` were put
/// there by somebody: readers are past that number. Only a directory that cannot be listed is an error; a
/// file that cannot be used is left where it is.
pub fn recover(dir: &Path, oldest: u64) -> io::Result<Recovered> {
    let mut segments = Vec::new();
    let mut next_sequence = oldest.max(1);
    // All names first: a file that is renamed while they are read may be met twice.
    let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    for entry in entries {
        let Some(name) = entry.file_name().to_str().and_then(SegmentName::parse) else {
            continue;
        };
        next_sequence = next_sequence.max(name.sequence + 1);
        match take_over(dir, &entry, name) {
            Ok(Some(segment)) => segments.push(segment),
            Ok(None) => {}
            Err(error) => log::error!(
                "{}: {error}; it is left alone, mend it and restart to have its records delivered",
                entry.path().display()
            ),
        }
    }
    segments.sort_by_key(|segment| segment.sequence);
    renumber(dir, oldest, &mut segments, &mut next_sequence)?;
    Ok(Recovered {
        segments: segments.into(),
        next_sequence,
    })
}

/// Gives numbers of their own to segments that somebody put there: the second of two that have one number,
/// and those of numbers that readers are past.
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

/// One segment; `None` if there is nothing in it.
fn take_over(dir: &Path, entry: &fs::DirEntry, name: SegmentName) -> io::Result<Option<Segment>> {
    let metadata = entry.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("has a segment's name, but is no file"));
    }
    let (lines, bytes) = match name.lines {
        Some(lines) => (lines, metadata.len()),
        None => seal_left_over(dir, name)?,
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
        return Ok(None);
    }
    Ok(Some(segment))
}

/// Cuts off a torn last line, and gives the segment its final name. Returns lines and bytes.
fn seal_left_over(dir: &Path, name: SegmentName) -> io::Result<(u64, u64)> {
    let path = dir.join(name.to_string());
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let (lines, whole, all) = measure(&file)?;
    if whole < all {
        log::warn!(
            "{}: its last line is torn ({} bytes without an end) and is dropped",
            path.display(),
            all - whole
        );
        file.set_len(whole)?;
    }
    file.sync_data()?;
    let sealed = SegmentName {
        lines: Some(lines),
        ..name
    };
    let sealed = dir.join(sealed.to_string());
    if sealed.try_exists()? {
        // Put there by somebody: the name would be taken from it, and its records would be gone.
        return Err(io::Error::other(
            "there is another segment of its number and length",
        ));
    }
    fs::rename(&path, sealed)?;
    Ok((lines, whole))
}

/// Whole lines, their bytes, and all bytes.
fn measure(file: &File) -> io::Result<(u64, u64, u64)> {
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let (mut lines, mut whole, mut all) = (0, 0, 0);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok((lines, whole, all));
        }
        lines += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if let Some(last) = bytes.iter().rposition(|&byte| byte == b'\n') {
            whole = all + last as u64 + 1;
        }
        all += bytes.len() as u64;
        let read = bytes.len();
        reader.consume(read);
    }
}

/// The timestamp of a segment's last whole line.
pub fn newest_timestamp(path: &Path) -> Option<i64> {
    let mut file = File::open(path).ok()?;
    let start = file.metadata().ok()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let end = tail.iter().rposition(|&byte| byte == b'\n')?;
    tail[..end]
        .split(|&byte| byte == b'\n')
        .rev()
        .find_map(line::timestamp)
}
