//! Delivery of a sealed segment: batch by batch, until each line is stored or rejected and the file can
//! go.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::http::TIMEOUT;
use super::keep::{Keep, Kept};
use super::outage::Outage;
use super::outcome::{Outcome, Trouble};
use super::protocol::Protocol;
use super::refused;
use super::unreadable::{self, Suspicion};
use crate::logging::Throttle;
use crate::metrics::Metrics;
use crate::spool::Spool;
use crate::spool::segment::Segment;

/// Bytes of one request at most; InfluxDB takes 25 MB by default.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// A request that is too large is not the reason to send single lines from then on.
const LEAST_BATCH_BYTES: usize = 16 * 1024;

/// How far delivery has come, and how it goes on.
#[derive(Debug)]
pub struct Delivery {
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    batch_points: usize,
    /// Shrinks when InfluxDB says that a request is too large.
    batch_bytes: usize,
    pub(super) keep: Keep,
    /// Kept for its room.
    batch: Batch,
    /// How far the oldest segment has come.
    progress: Progress,
    suspicion: Suspicion,
    missing: Throttle,
    unreadable: Throttle,
    disk: Throttle,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    sequence: u64,
    offset: u64,
    lines: u64,
}

/// Where the records go, and what takes note of it.
pub struct Destination<'a> {
    pub influx: &'a Protocol,
    pub outage: &'a mut Outage,
    /// When the last attempt at a stop has to be over.
    pub deadline: Option<Instant>,
}

/// Why a step did not come to its end.
pub enum Hindered {
    Influx(Trouble),
    Disk(io::Error),
}

impl From<Trouble> for Hindered {
    fn from(trouble: Trouble) -> Self {
        Hindered::Influx(trouble)
    }
}

impl From<io::Error> for Hindered {
    fn from(error: io::Error) -> Self {
        Hindered::Disk(error)
    }
}

impl Delivery {
    pub fn new(
        spool: Arc<Spool>,
        metrics: Arc<Metrics>,
        rejected: &Path,
        batch_points: usize,
    ) -> Delivery {
        Delivery {
            keep: Keep::new(rejected),
            spool,
            metrics,
            batch_points,
            batch_bytes: BATCH_BYTES,
            batch: Batch::default(),
            progress: Progress::default(),
            suspicion: Suspicion::default(),
            missing: Throttle::default(),
            unreadable: Throttle::default(),
            disk: Throttle::default(),
        }
    }

    /// Delivers the oldest sealed segment. Returns whether there was one.
    pub fn deliver_oldest(&mut self, to: &mut Destination<'_>) -> Result<bool, Hindered> {
        let Some(segment) = self.spool.take_oldest() else {
            return Ok(false);
        };
        let delivered = self.deliver(&segment, to);
        if delivered.is_err() {
            self.spool.put_back();
        }
        delivered.map(|()| true)
    }

    /// Sends what is left of a segment, batch by batch, and deletes it.
    fn deliver(&mut self, segment: &Segment, to: &mut Destination<'_>) -> Result<(), Hindered> {
        if self.progress.sequence != segment.sequence {
            self.progress = Progress {
                sequence: segment.sequence,
                ..Progress::default()
            };
        }
        let dir = self.spool.dir();
        let readable = match segment.with_path(dir, |path| File::open(path)) {
            Ok(file) => self.send_batches(segment, file, to)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Want of file descriptors passes, and whoever has changed its rights can change them back.
            // Set aside it would be lost to InfluxDB, and after it perhaps all others.
            Err(error) => {
                let path = segment.path(dir);
                let name = path.file_name().unwrap_or_default().display();
                let why = format!("{name} cannot be opened, what is behind it waits: {error}");
                return Err(io::Error::new(error.kind(), why).into());
            }
        };
        let missing = segment.lines.saturating_sub(self.progress.lines);
        self.metrics.records.dropped_vanished.add(missing);
        if missing > 0
            && let Some(missing) = self.missing.tick(missing)
        {
            log::error!(
                "{}: {missing} records are missing, lastly from segment {}; leave its files to the \
                 server",
                self.spool.dir().display(),
                segment.sequence
            );
        }
        let gone = match readable {
            Ok(()) => self.spool.passed(segment.sequence),
            Err(error) => {
                if let Some(times) = self.unreadable.tick(1) {
                    log::error!(
                        "{}: cannot be read to its end: {error}; it is kept as .lp.unreadable, \
                         {times} of them; check the disk",
                        segment.final_path(self.spool.dir()).display()
                    );
                }
                let missed = self.spool.set_aside(segment.sequence);
                missed.map(|missed| self.metrics.totals.dropped.add(missed.uncounted))
            }
        };
        if let Err(error) = gone {
            self.say_disk(&error);
        }
        Ok(())
    }

    /// The inner error is that of reading the file.
    fn send_batches(
        &mut self,
        segment: &Segment,
        mut file: File,
        to: &mut Destination<'_>,
    ) -> Result<io::Result<()>, Trouble> {
        if let Err(error) = file.seek(SeekFrom::Start(self.progress.offset)) {
            return Ok(Err(error));
        }
        // What stands behind the whole lines is torn.
        let whole = segment.bytes.saturating_sub(self.progress.offset);
        let mut reader = BufReader::with_capacity(64 * 1024, file.take(whole));
        let mut batch = mem::take(&mut self.batch);
        let sent = self.send_each(segment, &mut reader, &mut batch, to);
        self.batch = batch;
        sent
    }

    /// Fills the batch again and again.
    fn send_each(
        &mut self,
        segment: &Segment,
        reader: &mut impl BufRead,
        batch: &mut Batch,
        to: &mut Destination<'_>,
    ) -> Result<io::Result<()>, Trouble> {
        loop {
            match batch.read(reader, self.batch_points, self.batch_bytes) {
                Ok(()) if batch.length == 0 => return Ok(Ok(())),
                Ok(()) => {}
                Err(error) => return Ok(Err(error)),
            }
            let asked = Instant::now();
            let refused = self.send(batch, to)?;
            log::debug!(
                "segment {}: {} records in {} bytes delivered in {:.0?}, {} refused",
                segment.sequence,
                batch.records,
                batch.bytes.len(),
                asked.elapsed(),
                refused.all()
            );
            let damaged = self
                .keep
                .damaged(segment.sequence, self.progress.offset, batch);
            self.settle(batch, &refused, &damaged, segment.lines);
            to.outage.delivered(batch.records - refused.all());
        }
    }

    /// Counts a batch that is stored or refused. `expected` is the number of the segment's lines.
    fn settle(&mut self, batch: &Batch, refused: &Kept, damaged: &Kept, expected: u64) {
        self.progress.offset += batch.length;
        self.progress.lines += batch.lines;
        let records = &self.metrics.records;
        // Somebody added lines to a sealed file.
        let surplus = self.progress.lines.saturating_sub(expected);
        records.found.add(surplus.min(batch.lines));
        records.delivered.add(batch.records - refused.all());
        records.rejected.add(refused.kept + damaged.kept);
        records.dropped_unkept.add(refused.lost + damaged.lost);
        let settled = self.progress.lines;
        self.spool.settled(self.progress.sequence, settled);
    }

    /// Sends a batch until each of its lines is stored or refused; returns how many were refused.
    fn send(&mut self, batch: &Batch, to: &mut Destination<'_>) -> Result<Kept, Trouble> {
        if batch.records == 0 {
            return Ok(Kept::default());
        }
        let place = (self.progress.sequence, self.progress.offset);
        let suspected = self.suspicion.is_strong(place);
        let (influx, deadline) = (to.influx, to.deadline);
        let metrics = &self.metrics.influx;
        let batch_bytes = &mut self.batch_bytes;
        let mut send = |lines: &[u8]| {
            let outcome = influx.write(lines, timeout(deadline));
            match &outcome {
                Outcome::Stored => metrics.stored.add(1),
                Outcome::Kept(_) => metrics.retried.add(1),
                Outcome::TooLarge(_) => {
                    metrics.refused.add(1);
                    *batch_bytes = (lines.len() / 2).max(LEAST_BATCH_BYTES);
                }
                _ => metrics.refused.add(1),
            }
            outcome
        };
        let blames_lines =
            || suspected && unreadable::answers_without_lines(influx, timeout(deadline));
        let rejected = refused::settle(&batch.bytes, &mut send, &blames_lines)
            .inspect_err(|trouble| self.suspicion.failed(place, trouble))?;
        Ok(self.keep.refused(&rejected))
    }

    /// Says that the spool's disk hinders, once in a while.
    pub fn say_disk(&mut self, error: &io::Error) {
        if let Some(times) = self.disk.tick(1) {
            log::error!(
                "{}: {error}; failed {times} times; check the disk and whose the files are",
                self.spool.dir().display()
            );
        }
    }
}

/// How long a request may take.
pub fn timeout(deadline: Option<Instant>) -> Duration {
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    left.map_or(TIMEOUT, |left| {
        left.clamp(Duration::from_millis(100), TIMEOUT)
    })
}
