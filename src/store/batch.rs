//! The lines of one write request, read from a segment.

use std::io::{self, BufRead};

use crate::checkin::line;

/// Room for the last line of a batch, which may pass its bound.
const LONGEST_LINE: usize = 128 * 1024;

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
    /// Reads up to `most_lines`, or a few more bytes than `most_bytes`.
    ///
    /// Room for all of it is made at once. Where it is not used it costs no memory, and glibc gives back what is
    /// as large as that each time, while of a buffer that grows it keeps the pieces.
    pub fn read(
        reader: &mut impl BufRead,
        most_lines: usize,
        most_bytes: usize,
    ) -> io::Result<Batch> {
        let mut batch = Batch {
            bytes: Vec::with_capacity(most_bytes + LONGEST_LINE),
            ..Batch::default()
        };
        while batch.lines < most_lines as u64 && batch.bytes.len() < most_bytes {
            let start = batch.bytes.len();
            reader.read_until(b'\n', &mut batch.bytes)?;
            if batch.bytes.len() == start || batch.bytes.last() != Some(&b'\n') {
                // The end, or a line that somebody cut off.
                batch.bytes.truncate(start);
                break;
            }
            batch.lines += 1;
            if let Some(timestamp) = line::timestamp(&batch.bytes[start..]) {
                batch.note(timestamp);
            }
        }
        Ok(batch)
    }

    fn note(&mut self, timestamp: i64) {
        let second = |timestamp: i64| timestamp.div_euclid(1_000_000_000);
        if self.moments.last().copied().map(second) != Some(second(timestamp)) {
            self.moments.push(timestamp);
        }
    }
}
