//! The lines of one write request, read from a segment.

use std::io::{self, BufRead, Read};

use crate::line::{encode as line, sound};
use crate::spool::is_taken_out;

/// Whole lines of a segment.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records to send.
    pub bytes: Vec<u8>,
    /// The number of records.
    pub records: u64,
    /// Number of lines read, damaged ones included, but not those that a start took out.
    pub lines: u64,
    /// Bytes of the segment that were read.
    pub length: u64,
    /// Damaged lines, which are not sent.
    pub damaged: Vec<Damaged>,
}

/// A damaged line, or the damaged part of a line before a record.
#[derive(Debug)]
pub struct Damaged {
    /// Offset in bytes from the beginning of the batch.
    pub at: u64,
    pub bytes: Vec<u8>,
    /// Whether it is a whole line, without a record after it.
    pub is_line: bool,
}

impl Batch {
    /// Replaces the batch by the next lines, up to `most_lines`, or a few more bytes than `most_bytes`.
    ///
    /// The buffer is reserved at full size and kept. Its unused part costs no memory, while the allocator would keep
    /// the pieces of buffers that grow or are freed.
    pub fn read(
        &mut self,
        reader: &mut impl BufRead,
        most_lines: usize,
        most_bytes: usize,
    ) -> io::Result<()> {
        self.bytes.clear();
        self.bytes.reserve(most_bytes + crate::spool::LONGEST_LINE);
        self.damaged.clear();
        (self.lines, self.records, self.length) = (0, 0, 0);
        let mut kept = 0;
        while self.lines < most_lines as u64 && self.bytes.len() + kept < most_bytes {
            let start = self.bytes.len();
            let Some(length) = read_line(reader, &mut self.bytes)? else {
                // The end, or a line that was cut off.
                self.bytes.truncate(start);
                break;
            };
            kept += self.judge(start);
            self.length += length;
        }
        Ok(())
    }

    /// Keeps the record of the line that begins at `start`, and moves damaged bytes to `damaged`. Returns their
    /// number.
    fn judge(&mut self, start: usize) -> usize {
        let line = &self.bytes[start..];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if is_taken_out(line) {
            self.bytes.truncate(start);
            return 0;
        }
        self.lines += 1;
        let record = sound::record_at_a_glance(line);
        let damaged = line.len() - record.map_or(0, <[u8]>::len);
        let stamp = record.and_then(line::timestamp);
        self.records += u64::from(record.is_some());
        if damaged == 0 {
            return 0;
        }
        self.damaged.push(Damaged {
            at: self.length,
            bytes: self.bytes[start..start + damaged].to_vec(),
            is_line: stamp.is_none(),
        });
        match stamp {
            Some(_) => drop(self.bytes.drain(start..start + damaged)),
            None => self.bytes.truncate(start),
        }
        damaged
    }
}

/// Appends a line with its newline, and returns its length in the file; `None` where no whole line is left. Of a line
/// that is too long for a record only the beginning is appended.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
    let start = line.len();
    let most = sound::LONGEST as u64;
    let read = reader.by_ref().take(most).read_until(b'\n', line)? as u64;
    if line.len() > start && line.ends_with(b"\n") {
        return Ok(Some(read));
    }
    if read < most {
        return Ok(None);
    }
    let rest = reader.skip_until(b'\n')? as u64;
    line.push(b'\n');
    Ok((rest > 0).then_some(read + rest))
}
