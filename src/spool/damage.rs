//! Removal of damaged lines from an unsealed segment: a loss of power, a bad disk or a person can leave them.
//!
//! Damaged bytes are copied to the rejected files with their place. In the segment they are overwritten with a
//! comment of line protocol, `#` up to a newline. So the file keeps its length, and the readers' positions, which
//! count bytes, stay valid. Both readers skip such lines without counting them. A crash half-way does no harm: the
//! next start checks the segment again. If the rejected files cannot be written, nothing is overwritten, and the
//! sender rejects the lines when it reads them.
//!
//! It must never change a byte of a sound record.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::rejected::{Rejected, RejectedDir};
use crate::line::{encode, sound};

/// The byte that damaged lines are overwritten with.
const TAKEN_OUT: u8 = b'#';
/// Bytes of one damaged place that are kept. Longer lines were never records.
const MOST_KEPT: usize = sound::LONGEST;

/// Whether a line (without its newline) was taken out of its segment, so that readers skip it. True of a part of
/// such a line too, because a reader's position may be inside it.
pub fn is_taken_out(line: &[u8]) -> bool {
    line.iter().all(|byte| *byte == TAKEN_OUT)
}

/// The number of lines that were not taken out, in text that ends in a newline.
pub fn count_lines(text: &[u8]) -> u64 {
    let (mut count, mut start) = (0, 0);
    for end in memchr::memchr_iter(b'\n', text) {
        count += u64::from(!is_taken_out(&text[start..end]));
        start = end + 1;
    }
    count
}

/// The content of a segment after its damaged lines were taken out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Lines that readers will count: sound ones, and those that could not be taken out.
    pub lines: u64,
    /// Bytes up to the end of the last line that is sound, was taken out, or could not be.
    pub bytes: u64,
    /// Damaged lines that are in the rejected files now.
    pub rejected: u64,
    /// Offset of the first damaged byte.
    pub first: Option<u64>,
    /// Damaged bytes in all.
    pub damaged_bytes: u64,
    /// The timestamp of the last sound line.
    pub newest: Option<i64>,
    /// The error with which damaged lines could not be taken out.
    pub failed: Option<String>,
}

/// A line of a segment, or its torn end.
struct Piece {
    /// The line without its newline.
    bytes: Vec<u8>,
    /// Its place in the file, with its newline where it has one.
    place: Range<u64>,
    /// Whether it ends in a newline.
    ended: bool,
}

/// Damaged places that follow each other.
#[derive(Default)]
struct Run {
    places: Vec<Damaged>,
    bytes: usize,
}

/// A damaged place.
struct Damaged {
    bytes: Vec<u8>,
    place: Range<u64>,
    /// Whether it is a whole line. Otherwise it is before a record in the same line, or a torn line at the end of
    /// the file.
    is_line: bool,
}

/// Checks each line of a segment and takes the damaged ones out, also a torn line at the end.
pub fn take_out(file: &File, name: &str, rejected: &RejectedDir) -> io::Result<Judged> {
    let mut judged = Judged::default();
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let (mut at, mut run) = (0, Run::default());
    while let Some(piece) = next(&mut reader, at)? {
        at = piece.place.end;
        let end = piece.place.end;
        let begins = record_of(&piece, &mut judged);
        if begins > piece.place.start {
            if run.bytes >= MOST_KEPT {
                settle(file, name, rejected, &mut run, &mut judged)?;
            }
            run.add(piece, begins);
        }
        if begins < end {
            settle(file, name, rejected, &mut run, &mut judged)?;
            judged.bytes = end;
        }
    }
    settle(file, name, rejected, &mut run, &mut judged)?;
    Ok(judged)
}

/// The offset at which the record in a piece begins; the end of the piece if there is no record.
fn record_of(piece: &Piece, judged: &mut Judged) -> u64 {
    if piece.ended && is_taken_out(&piece.bytes) {
        // An earlier start took it out, so it is in the rejected files already.
        judged.bytes = piece.place.end;
        return piece.place.start;
    }
    let Some(record) = sound::record(&piece.bytes).filter(|_| piece.ended) else {
        return piece.place.end;
    };
    judged.lines += 1;
    judged.newest = encode::timestamp(record);
    piece.place.end - 1 - record.len() as u64
}

/// The next line from `at` on. At most [`MOST_KEPT`] bytes of it are kept.
fn next(reader: &mut impl BufRead, at: u64) -> io::Result<Option<Piece>> {
    let mut bytes = Vec::new();
    let mut length = reader
        .by_ref()
        .take(MOST_KEPT as u64)
        .read_until(b'\n', &mut bytes)? as u64;
    let mut ended = bytes.last() == Some(&b'\n');
    if length == MOST_KEPT as u64 && !ended {
        (length, ended) = skip_line(reader, length)?;
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok((length > 0).then_some(Piece {
        bytes,
        place: at..at + length,
        ended,
    }))
}

/// Reads on to the end of a line. Returns its length, and whether it ends in a newline.
fn skip_line(reader: &mut impl BufRead, mut length: u64) -> io::Result<(u64, bool)> {
    loop {
        let read = reader.fill_buf()?;
        if read.is_empty() {
            return Ok((length, false));
        }
        let newline = memchr::memchr(b'\n', read);
        let used = newline.map_or(read.len(), |at| at + 1);
        reader.consume(used);
        length += used as u64;
        if newline.is_some() {
            return Ok((length, true));
        }
    }
}

impl Run {
    /// Adds a damaged piece, up to the offset `until` at which a record begins in it.
    fn add(&mut self, mut piece: Piece, until: u64) {
        let damaged = until - piece.place.start;
        let damaged = usize::try_from(damaged).unwrap_or(usize::MAX);
        piece.bytes.truncate(damaged);
        self.bytes += piece.bytes.len() + 1;
        self.places.push(Damaged {
            is_line: piece.ended && until == piece.place.end,
            place: piece.place.start..until,
            bytes: piece.bytes,
        });
    }
}

/// Copies a run of damaged lines to the rejected files, and takes it out of the segment.
fn settle(
    file: &File,
    name: &str,
    rejected: &RejectedDir,
    run: &mut Run,
    judged: &mut Judged,
) -> io::Result<()> {
    let places = std::mem::take(run).places;
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return Ok(());
    };
    let (first, end) = (first.place.start, last.place.end);
    let (kept, added) = rejected.add(&Rejected {
        reason: reason(name, first, end - first, &places),
        lines: places.iter().map(|damaged| &*damaged.bytes).collect(),
    });
    judged.first.get_or_insert(first);
    judged.damaged_bytes += end - first;
    judged.rejected += kept;
    judged.failed = added
        .err()
        .map(|error| error.to_string())
        .or(judged.failed.take());
    let kept = usize::try_from(kept)
        .unwrap_or(usize::MAX)
        .min(places.len());
    let (kept, left) = places.split_at(kept);
    for damaged in kept {
        blank(file, &damaged.place)?;
        judged.bytes = damaged.place.end;
    }
    // The readers handle these lines. A torn end is not among them, because no reader reads it.
    for damaged in left.iter().filter(|damaged| damaged.is_line) {
        judged.lines += 1;
        judged.bytes = damaged.place.end;
    }
    Ok(())
}

/// The comment above damaged lines in the rejected files.
fn reason(name: &str, at: u64, bytes: u64, places: &[Damaged]) -> String {
    let length = |damaged: &Damaged| damaged.bytes.len() as u64 + u64::from(damaged.is_line);
    let kept: u64 = places.iter().map(length).sum();
    let cut = match kept < bytes {
        true => format!(", of which {kept} are kept"),
        false => String::new(),
    };
    format!(
        "{name}, byte {at}: {bytes} bytes are not a record{cut}; damaged by a loss of power, the disk or a person"
    )
}

/// Overwrites a place with a comment. Its last byte becomes, or stays, a newline.
fn blank(file: &File, place: &Range<u64>) -> io::Result<()> {
    let block = [TAKEN_OUT; 4096];
    let mut at = place.start;
    while at + 1 < place.end {
        let most = (place.end - 1 - at).min(block.len() as u64);
        file.write_all_at(&block[..most as usize], at)?;
        at += most;
    }
    file.write_all_at(b"\n", place.end - 1)
}

#[cfg(test)]
mod tests;
