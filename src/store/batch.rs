//! The lines of one write request, read from a segment.

use std::io::{self, BufRead};

use crate::checkin::line;

/// Whole lines of a segment.
#[derive(Debug, Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub lines: u64,
}

impl Batch {
    /// Reads up to `most_lines`, or a few more bytes than `most_bytes`.
    pub fn read(
        reader: &mut impl BufRead,
        most_lines: usize,
        most_bytes: usize,
    ) -> io::Result<Batch> {
        let mut batch = Batch::default();
        while batch.lines < most_lines as u64 && batch.bytes.len() < most_bytes {
            let start = batch.bytes.len();
            reader.read_until(b'\n', &mut batch.bytes)?;
            if batch.bytes.len() == start || batch.bytes.last() != Some(&b'\n') {
                // The end, or a line that somebody cut off.
                batch.bytes.truncate(start);
                break;
            }
            batch.lines += 1;
        }
        Ok(batch)
    }

    /// In nanoseconds since 1970, in the order of the lines.
    pub fn timestamps(&self) -> impl Iterator<Item = i64> {
        self.bytes
            .split(|&byte| byte == b'\n')
            .filter_map(line::timestamp)
    }
}
