//! The lines of one write request, read from a segment.

use std::io::{self, BufRead};

use crate::line::encode as line;

/// Whole lines of a segment.
#[derive(Debug, Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub lines: u64,
    /// A timestamp of each second that has lines, in ns since 1970, in the order of the lines: enough
    /// to tell their periods, which are whole seconds long.
    pub moments: Vec<i64>,
}

impl Batch {
    /// Reads up to `most_lines`, or a few more bytes than `most_bytes`, in place of what is in it.
    ///
    /// Room for all of it is made at once, and kept: what of it is not used costs no memory, while of buffers
    /// that grow, or come and go, the allocator keeps the pieces.
    pub fn read(
        &mut self,
        reader: &mut impl BufRead,
        most_lines: usize,
        most_bytes: usize,
    ) -> io::Result<()> {
        self.bytes.clear();
        self.bytes.reserve(most_bytes + crate::spool::LONGEST_LINE);
        self.moments.clear();
        self.lines = 0;
        while self.lines < most_lines as u64 && self.bytes.len() < most_bytes {
            let start = self.bytes.len();
            reader.read_until(b'\n', &mut self.bytes)?;
            if self.bytes.len() == start || self.bytes.last() != Some(&b'\n') {
                // The end, or a line that somebody cut off.
                self.bytes.truncate(start);
                break;
            }
            self.lines += 1;
            if let Some(timestamp) = line::timestamp(&self.bytes[start..]) {
                self.note(timestamp);
            }
        }
        Ok(())
    }

    fn note(&mut self, timestamp: i64) {
        let second = |timestamp: i64| timestamp.div_euclid(1_000_000_000);
        if self.moments.last().copied().map(second) != Some(second(timestamp)) {
            self.moments.push(timestamp);
        }
    }
}
