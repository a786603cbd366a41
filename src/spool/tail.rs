//! The counter's reader of the log: reads whole synced lines, in order, from where the last chunk ended. It must
//! never read a line that a loss of power could still take.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use super::damage;
use super::segment::{Pending, Segment, SegmentName};
use super::{Position, Spool};
use crate::line::sound;

/// Bytes read at once.
const CHUNK: usize = sound::LONGEST;

/// A reader that follows the log to its synced end.
#[derive(Debug)]
pub struct Tail {
    spool: Arc<Spool>,
    position: Position,
    /// Whole lines, then the beginning of one.
    buffer: Vec<u8>,
}

/// Lines that were read; at the end of a segment, the difference from the number of lines in its name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Whole lines.
    pub lines: &'a [u8],
    pub count: u64,
    /// Lines of the segment beyond the number in its name.
    pub surplus: u64,
    /// Lines that the segment lacks, or that cannot be read.
    pub missing: u64,
}

/// The content at a position.
enum Found {
    /// Whole lines; their bytes.
    Lines(usize),
    /// A line that is longer than this server writes; its bytes, and whether it was taken out.
    Long(u64, bool),
    /// No whole line.
    End,
}

/// The part of a segment that can be read.
struct Extent {
    sequence: u64,
    path: Vec<PathBuf>,
    /// The number of synced bytes.
    end: u64,
    /// The number of lines of a sealed segment; `None` for the open one.
    sealed: Option<u64>,
}

impl Tail {
    pub fn new(spool: Arc<Spool>, position: Position) -> Tail {
        Tail {
            spool,
            position,
            buffer: Vec::new(),
        }
    }

    /// The position after the last chunk.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes back to a position, to read lines again that could not be counted.
    pub fn go_to(&mut self, position: Position) {
        self.position = position;
    }

    /// The next lines; `None` at the end of the synced ones. An error can be temporary; the next call reads the same
    /// lines again.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk<'_>>> {
        let Some(extent) = self.spool.extent(self.position.segment) else {
            return Ok(None);
        };
        if extent.sequence > self.position.segment {
            self.position = start_of(extent.sequence);
        }
        if self.position.offset >= extent.end {
            let Some(lines) = extent.sealed else {
                return Ok(None);
            };
            return Ok(Some(self.finish(lines)));
        }
        match self.read(&extent) {
            Ok(Found::Lines(bytes)) => {
                let count = damage::count_lines(&self.buffer[..bytes]);
                Ok(Some(self.passed(bytes as u64, count)))
            }
            Ok(Found::Long(bytes, taken_out)) => {
                self.buffer.clear();
                Ok(Some(self.passed(bytes, u64::from(!taken_out))))
            }
            Ok(Found::End) => Ok(extent.sealed.map(|lines| self.finish(lines))),
            // The file was deleted by hand, or renamed because it cannot be read: the rest of its lines is missing.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(extent.sealed.map(|lines| self.finish(lines)))
            }
            Err(error) => Err(error),
        }
    }

    /// A chunk of the whole lines in the buffer. Moves the position on by `bytes` and `count`.
    fn passed(&mut self, bytes: u64, count: u64) -> Chunk<'_> {
        self.position.offset += bytes;
        self.position.lines += count;
        let end = memchr::memrchr(b'\n', &self.buffer).map_or(0, |last| last + 1);
        Chunk {
            lines: &self.buffer[..end],
            count,
            ..Chunk::default()
        }
    }

    /// Fills the buffer.
    fn read(&mut self, extent: &Extent) -> io::Result<Found> {
        let mut file = open(&extent.path)?;
        file.seek(SeekFrom::Start(self.position.offset))?;
        let mut left = file.take(extent.end - self.position.offset);
        self.buffer.clear();
        left.by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut self.buffer)?;
        if let Some(last) = memchr::memrchr(b'\n', &self.buffer) {
            return Ok(Found::Lines(last + 1));
        }
        // The end, or a line that is longer than this server writes, which is skipped.
        let before = self.buffer.len() as u64;
        let rest = BufReader::new(left).skip_until(b'\n')? as u64;
        match before == CHUNK as u64 && rest > 0 {
            true => Ok(Found::Long(
                before + rest,
                damage::is_taken_out(&self.buffer),
            )),
            false => Ok(Found::End),
        }
    }

    /// The chunk at the end of a sealed segment, whose name has this number of lines. Moves on to the next segment.
    fn finish(&mut self, lines: u64) -> Chunk<'static> {
        let read = self.position.lines;
        self.position = start_of(self.position.segment + 1);
        Chunk {
            surplus: read.saturating_sub(lines),
            missing: lines.saturating_sub(read),
            ..Chunk::default()
        }
    }
}

fn start_of(segment: u64) -> Position {
    Position {
        segment,
        ..Position::default()
    }
}

/// Opens the first of these paths that exists: the syncer may be renaming the file.
fn open(paths: &[PathBuf]) -> io::Result<File> {
    let mut opened = Err(ErrorKind::NotFound.into());
    for path in paths {
        opened = File::open(path);
        if !matches!(&opened, Err(error) if error.kind() == ErrorKind::NotFound) {
            break;
        }
    }
    opened
}

impl Spool {
    /// The first segment from a number on, and the part of it that the counter may read. The segment is not deleted
    /// to make room until it is counted.
    fn extent(&self, from: u64) -> Option<Extent> {
        let mut state = self.lock();
        let sealed = state.sealed.iter().find(|segment| segment.sequence >= from);
        let extent = match (sealed, &state.open) {
            (Some(segment), _) => self.extent_of(segment)?,
            (None, Some(open)) if open.sequence >= from => {
                let name = SegmentName {
                    sequence: open.sequence,
                    lines: None,
                };
                Extent {
                    sequence: open.sequence,
                    path: vec![self.dir.join(name.to_string())],
                    end: open.synced,
                    sealed: None,
                }
            }
            _ => return None,
        };
        state.counter.reading = Some(extent.sequence);
        Some(extent)
    }

    fn extent_of(&self, segment: &Segment) -> Option<Extent> {
        if matches!(segment.pending, Some(Pending::Sync(_))) {
            return None;
        }
        Some(Extent {
            sequence: segment.sequence,
            path: vec![segment.path(&self.dir), segment.final_path(&self.dir)],
            end: segment.bytes,
            sealed: Some(segment.lines),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::spool::SpoolOptions;
    use crate::spool::append::Appender;

    static NEXT: AtomicU64 = AtomicU64::new(0);

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Seal,
        Sync,
        Read,
        /// The records that were read are counted.
        Settle,
        /// The sender is past the oldest segment.
        Send,
        /// Records read since the last settling are dropped, as after a crash.
        Crash,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1usize..2000).prop_map(Step::Append),
            2 => Just(Step::Seal),
            3 => Just(Step::Sync),
            4 => Just(Step::Read),
            2 => Just(Step::Settle),
            2 => Just(Step::Send),
            1 => Just(Step::Crash),
        ]
    }

    fn lines(numbers: std::ops::Range<u64>) -> String {
        let line = |number| format!("upgrade_request,n={number} value=1i {number}\n");
        numbers.map(line).collect()
    }

    /// Reads one chunk; false at the end.
    fn read(tail: &mut Tail, seen: &mut Vec<u8>) -> bool {
        let chunk = tail.next_chunk().unwrap();
        let Some(chunk) = chunk else { return false };
        assert_eq!((chunk.surplus, chunk.missing), (0, 0));
        seen.extend_from_slice(chunk.lines);
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_line_is_read_once_in_order_and_no_segment_goes_before(
            steps in prop::collection::vec(step(), 1..60),
        ) {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let dir = std::env::temp_dir().join(format!("tail-{}-{number}", std::process::id()));
            let rejected = dir.with_extension("rejected");
            let options = SpoolOptions {
                rejected: &rejected,
                max_size: 1 << 30,
                delivering: true,
                counted: Position::default(),
                oldest: 0,
            };
            let spool = Arc::new(Spool::open(&dir, options).unwrap().spool);
            let mut appender = Appender::new(Arc::clone(&spool), Duration::from_secs(1), 5000);
            let mut tail = Tail::new(Arc::clone(&spool), Position::default());
            let (mut seen, mut settled, mut written) = (Vec::new(), 0, 0);
            for step in steps {
                match step {
                    Step::Append(count) => {
                        let text = lines(written..written + count as u64);
                        appender.append(text.as_bytes(), count as u64).unwrap();
                        written += count as u64;
                    }
                    Step::Seal => drop(appender.seal()),
                    Step::Sync => assert!(spool.sync().is_empty()),
                    Step::Read => drop(read(&mut tail, &mut seen)),
                    Step::Settle => {
                        spool.counted(tail.position()).unwrap();
                        settled = seen.len();
                    }
                    Step::Send => {
                        if let Some(segment) = spool.take_oldest() {
                            spool.passed(segment.sequence).unwrap();
                        }
                    }
                    Step::Crash => {
                        let state = spool.lock().counter.settled;
                        tail.go_to(state);
                        seen.truncate(settled);
                    }
                }
            }
            appender.seal();
            spool.sync();
            while read(&mut tail, &mut seen) {}
            prop_assert_eq!(String::from_utf8(seen).unwrap(), lines(0..written));
            spool.counted(tail.position()).unwrap();
            prop_assert_eq!(spool.uncounted(), 0);
            while let Some(segment) = spool.take_oldest() {
                spool.passed(segment.sequence).unwrap();
            }
            let names = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path());
            let left = names.filter(|path| path.extension().is_some_and(|end| end == "lp"));
            prop_assert_eq!(left.count(), 0);
            fs::remove_dir_all(&dir).unwrap();
        }
    }
}
