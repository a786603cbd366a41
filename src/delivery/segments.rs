//! Delivery of a sealed segment: batch by batch, until each line is stored or rejected. Only then may the file be
//! deleted.

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

/// Most bytes of one request; InfluxDB accepts 25 MB by default.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Smallest limit for a request after one was too large, so that lines are not sent singly from then on.
const LEAST_BATCH_BYTES: usize = 16 * 1024;

/// The state of delivery.
#[derive(Debug)]
pub struct Delivery {
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    batch_points: usize,
    /// Most bytes of one request. It is halved when a request is too large.
    batch_bytes: usize,
    pub(super) keep: Keep,
    /// Reused, because its buffer is large.
    batch: Batch,
    /// The part of the oldest segment that is settled.
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

/// The database that records are sent to, and the state of its outages.
pub struct Destination<'a> {
    pub influx: &'a Protocol,
    pub outage: &'a mut Outage,
    /// The end of the last attempt; set while the server stops.
    pub deadline: Option<Instant>,
}

/// The cause of a step that failed.
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
            // Retried, because the process may be out of file descriptors, or the file's rights can be restored.
            // If it were skipped, its records would never be sent, perhaps nor those of all later segments.
            Err(error) => {
                let path = segment.path(dir);
                let name = path.file_name().unwrap_or_default().display();
                let why = format!("{name} cannot be opened, later segments wait: {error}");
                return Err(io::Error::new(error.kind(), why).into());
            }
        };
        let missing = segment.lines.saturating_sub(self.progress.lines);
        self.metrics.records.dropped_vanished.add(missing);
        if missing > 0
            && let Some(missing) = self.missing.tick(missing)
        {
            log::error!(
                "{}: {missing} records are missing, the last ones from segment {}; do not modify the \
                 spool while the server runs",
                self.spool.dir().display(),
                segment.sequence
            );
        }
        let gone = match readable {
            Ok(()) => self.spool.passed(segment.sequence),
            Err(error) => {
                if let Some(times) = self.unreadable.tick(1) {
                    log::error!(
                        "{}: cannot be read to its end: {error}; renamed to .lp.unreadable, as {times} \
                         segments were; check the disk",
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

    /// Sends the rest of a segment. The inner error is one of reading the file.
    fn send_batches(
        &mut self,
        segment: &Segment,
        mut file: File,
        to: &mut Destination<'_>,
    ) -> Result<io::Result<()>, Trouble> {
        if let Err(error) = file.seek(SeekFrom::Start(self.progress.offset)) {
            return Ok(Err(error));
        }
        // Bytes after the whole lines are a torn line.
        let whole = segment.bytes.saturating_sub(self.progress.offset);
        let mut reader = BufReader::with_capacity(64 * 1024, file.take(whole));
        let mut batch = mem::take(&mut self.batch);
        let sent = self.send_each(segment, &mut reader, &mut batch, to);
        self.batch = batch;
        sent
    }

    /// Reads and sends batch after batch.
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
        // There is a surplus if somebody added lines to a sealed file.
        let surplus = self.progress.lines.saturating_sub(expected);
        records.found.add(surplus.min(batch.lines));
        records.delivered.add(batch.records - refused.all());
        records.rejected.add(refused.kept + damaged.kept);
        records.dropped_unkept.add(refused.lost + damaged.lost);
        let settled = self.progress.lines;
        self.spool.settled(self.progress.sequence, settled);
    }

    /// Sends a batch until each of its lines is stored or rejected. Returns the numbers of rejected ones.
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

    /// Logs an error of the spool's disk, with a limit on how often.
    pub fn say_disk(&mut self, error: &io::Error) {
        if let Some(times) = self.disk.tick(1) {
            let times = times.times();
            log::error!(
                "{}: {error}; failed {times}; check the disk, and the files' owner and mode",
                self.spool.dir().display()
            );
        }
    }
}

/// The time limit of a request.
pub fn timeout(deadline: Option<Instant>) -> Duration {
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    left.map_or(TIMEOUT, |left| {
        left.clamp(Duration::from_millis(100), TIMEOUT)
    })
}
