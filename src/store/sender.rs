//! The sender thread: delivers sealed segments to InfluxDB, oldest first, and decides what to do
//! with each outcome. The only thread that waits for InfluxDB.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::StoreOptions;
use super::batch::Batch;
use super::downsampling::{self, InForce};
use super::influx::{Influx, Outcome, QueryError, TIMEOUT, Trouble};
use super::outage::Outage;
use super::periods::{Period, Periods};
use super::refused;
use super::rejected::{Rejected, RejectedDir, one_line};
use super::segment::Segment;
use super::spool::Spool;
use crate::config::duration::QueryPeriod;
use crate::service::logging::Throttle;
use crate::service::metrics::Metrics;

/// Bytes of one request at most; InfluxDB takes 25 MB by default.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// A request that is too large is not the reason to send single lines from then on.
const LEAST_BATCH_BYTES: usize = 16 * 1024;
/// How often the sender looks whether a period is due.
const TICK: Duration = Duration::from_secs(1);
/// A file that cannot be opened, for want of file descriptors for example, is tried again then.
const DISK_WAIT: Duration = Duration::from_secs(1);
/// What a stop leaves for delivery.
const LAST_ATTEMPT: Duration = Duration::from_secs(5);

/// The state of the sender thread.
#[derive(Debug)]
pub struct Delivery {
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    influx: Option<Influx>,
    query_period: QueryPeriod,
    extra_tags: Vec<String>,
    batch_points: usize,
    /// Shrinks when InfluxDB says that a request is too large.
    batch_bytes: usize,
    in_force: Option<InForce>,
    /// What the operator was told about the set-up.
    said: Option<Vec<String>>,
    periods: Periods,
    rejected: RejectedDir,
    outage: Outage,
    /// How far the oldest segment has come.
    progress: Progress,
    /// When the last attempt at a stop has to be over.
    deadline: Option<Instant>,
    refusals: Throttle,
    recomputing: Throttle,
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

/// Why a step did not come to its end.
enum Hindered {
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

/// Whether a step found something to do.
enum Step {
    Worked,
    Idle,
    /// Nothing can be done before that time has passed.
    Wait(Duration),
}

impl Delivery {
    pub fn new(spool: Arc<Spool>, metrics: Arc<Metrics>, options: StoreOptions) -> Delivery {
        Delivery {
            periods: Periods::load(spool.dir()),
            rejected: RejectedDir::new(spool.dir()),
            spool,
            metrics,
            influx: options.influx,
            query_period: options.query_period,
            extra_tags: options.extra_tags,
            batch_points: options.batch_points,
            batch_bytes: BATCH_BYTES,
            in_force: None,
            said: None,
            outage: Outage::default(),
            progress: Progress::default(),
            deadline: None,
            refusals: Throttle::default(),
            recomputing: Throttle::default(),
            missing: Throttle::default(),
            unreadable: Throttle::default(),
            disk: Throttle::default(),
        }
    }

    /// Runs until the writer has dropped its end of `woken` and everything is delivered, or the
    /// last attempt has failed or taken too long.
    pub fn run(mut self, woken: &Receiver<()>) {
        loop {
            let wait = match self.step() {
                Step::Worked => continue,
                Step::Idle if self.deadline.is_some() => break,
                Step::Idle => Duration::ZERO,
                Step::Wait(_) if self.deadline.is_some() => break,
                Step::Wait(wait) => wait,
            };
            self.wait(woken, wait);
        }
        if let Err(error) = self.periods.save() {
            self.say_disk(&error);
        }
    }

    /// One unit of work: a set-up, a recomputed period, or a segment.
    fn step(&mut self) -> Step {
        if self.influx.is_none() || self.deadline.is_some_and(|at| at <= Instant::now()) {
            return Step::Idle;
        }
        let worked = match self.ready() {
            Ok(()) => self.work(),
            Err(trouble) => Err(trouble.into()),
        };
        match worked {
            Ok(true) => Step::Worked,
            Ok(false) => {
                self.outage.over(&self.spool, &self.metrics);
                Step::Idle
            }
            Err(Hindered::Influx(trouble)) => Step::Wait(self.trouble(&trouble)),
            Err(Hindered::Disk(error)) => {
                self.say_disk(&error);
                Step::Wait(DISK_WAIT)
            }
        }
    }

    /// Sees to it that the database is set up; there is nothing to set up before there are records.
    fn ready(&mut self) -> Result<(), Trouble> {
        let (Some(influx), None) = (&self.influx, &self.in_force) else {
            return Ok(());
        };
        let in_force =
            downsampling::set_up(influx, self.query_period, &self.extra_tags, self.timeout())?;
        // A database that is missing for long is looked for again and again.
        if self.said.as_ref() != Some(&in_force.notes) {
            log::info!(
                "InfluxDB at {} is ready, database {:?}",
                influx.url(),
                influx.database()
            );
            for note in &in_force.notes {
                log::warn!("InfluxDB: {note}");
            }
            self.said = Some(in_force.notes.clone());
        }
        self.outage.answered();
        self.in_force = Some(in_force);
        Ok(())
    }

    /// A segment and a period in turn, so that many periods do not keep fresh records waiting, nor
    /// a large backlog the graph.
    fn work(&mut self) -> Result<bool, Hindered> {
        let mut worked = false;
        if let Some(segment) = self.spool.take_oldest() {
            let delivered = self.deliver(&segment);
            if delivered.is_err() {
                self.spool.put_back(segment.sequence, self.progress.lines);
                // What is stored of it, even if the rest is dropped one day to make room.
                self.save_new_periods();
            }
            delivered?;
            worked = true;
        }
        if self.deadline.is_none()
            && let Some(period) = self.periods.next(now_seconds())
        {
            self.recompute(&period)?;
            worked = true;
        }
        Ok(worked)
    }

    fn recompute(&mut self, period: &Period) -> Result<(), Trouble> {
        let (Some(influx), Some(in_force)) = (&self.influx, &self.in_force) else {
            return Ok(());
        };
        match downsampling::recompute(influx, in_force, period) {
            Ok(()) => log::debug!("recomputed {} from {}s", period.target, period.start),
            // A user that may write, but not read: it will not be different next time.
            Err(QueryError::Trouble(Trouble::Denied(why))) if why.contains("not authorized") => {
                self.not_recomputed(period, &why);
            }
            Err(QueryError::Trouble(trouble)) => {
                // A query that takes too long must not keep records from being delivered.
                self.periods.postpone(period);
                return Err(trouble);
            }
            Err(QueryError::Refused(why)) => self.not_recomputed(period, &why),
        }
        self.outage.answered();
        self.periods.done(period);
        Ok(())
    }

    fn not_recomputed(&mut self, period: &Period, why: &str) {
        if let Some(times) = self.recomputing.tick(1) {
            log::warn!(
                "InfluxDB: {} cannot be recomputed for the period at {}s: {}; refused {times} \
                 times, the totals stay as they are; mend what it says",
                period.target,
                period.start,
                one_line(why)
            );
        }
    }

    /// Sends what is left of a segment, batch by batch, and deletes it.
    fn deliver(&mut self, segment: &Segment) -> Result<(), Hindered> {
        if self.progress.sequence != segment.sequence {
            self.progress = Progress {
                sequence: segment.sequence,
                ..Progress::default()
            };
        }
        let dir = self.spool.dir();
        let readable = match segment.with_path(dir, |path| File::open(path)) {
            Ok(file) => self.send_batches(segment, file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => return Err(error.into()),
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
        // Before the points' segment is deleted, so that no restart forgets their period; unless the
        // disk is so full that something has to be deleted first.
        self.save_new_periods();
        let gone = match readable {
            Ok(()) => self.spool.remove(segment.sequence),
            Err(error) => {
                if let Some(times) = self.unreadable.tick(1) {
                    log::error!(
                        "{}: cannot be read to its end: {error}; it is kept as .lp.unreadable, \
                         {times} of them; check the disk",
                        segment.final_path(self.spool.dir()).display()
                    );
                }
                self.spool.set_aside(segment.sequence)
            }
        };
        if let Err(error) = gone {
            self.say_disk(&error);
        }
        self.save_new_periods();
        Ok(())
    }

    /// The inner error is that of reading the file.
    fn send_batches(
        &mut self,
        segment: &Segment,
        mut file: File,
    ) -> Result<io::Result<()>, Trouble> {
        if let Err(error) = file.seek(SeekFrom::Start(self.progress.offset)) {
            return Ok(Err(error));
        }
        // What stands behind the whole lines is torn.
        let whole = segment.bytes.saturating_sub(self.progress.offset);
        let mut reader = BufReader::with_capacity(64 * 1024, file.take(whole));
        loop {
            let batch = match Batch::read(&mut reader, self.batch_points, self.batch_bytes) {
                Ok(batch) if batch.lines == 0 => return Ok(Ok(())),
                Ok(batch) => batch,
                Err(error) => return Ok(Err(error)),
            };
            let refused = self.send(&batch)?;
            self.settle(&batch, refused, segment.lines);
        }
    }

    /// Counts a batch that is stored or rejected. `expected` is the number of the segment's lines.
    fn settle(&mut self, batch: &Batch, refused: u64, expected: u64) {
        self.progress.offset += batch.bytes.len() as u64;
        self.progress.lines += batch.lines;
        let records = &self.metrics.records;
        // Somebody added lines to a sealed file.
        let surplus = self.progress.lines.saturating_sub(expected);
        records.found.add(surplus.min(batch.lines));
        records.delivered.add(batch.lines - refused);
        records.rejected.add(refused);
        self.outage.delivered(batch.lines - refused);
    }

    /// Sends a batch until each of its lines is stored or refused; returns how many were refused.
    fn send(&mut self, batch: &Batch) -> Result<u64, Trouble> {
        let Some(influx) = &self.influx else {
            return Ok(0);
        };
        let metrics = &self.metrics.influx;
        let (deadline, batch_bytes) = (self.deadline, &mut self.batch_bytes);
        let rejected = refused::settle(&batch.bytes, &mut |lines| {
            let outcome = influx.write(lines, timeout(deadline));
            match &outcome {
                Outcome::Stored => metrics.stored.add(1),
                Outcome::Kept(_) => metrics.retried.add(1),
                Outcome::TooLarge => {
                    metrics.refused.add(1);
                    *batch_bytes = (lines.len() / 2).max(LEAST_BATCH_BYTES);
                }
                _ => metrics.refused.add(1),
            }
            outcome
        })?;
        let refused = rejected
            .iter()
            .map(|rejected| rejected.lines.len() as u64)
            .sum();
        self.keep_rejected(&rejected);
        self.note_periods(batch);
        Ok(refused)
    }

    fn keep_rejected(&mut self, rejected: &[Rejected<'_>]) {
        for part in rejected {
            if let Err(error) = self.rejected.add(part) {
                self.say_disk(&error);
            }
            if let Some(times) = self.refusals.tick(part.lines.len() as u64) {
                log::warn!(
                    "InfluxDB refused {times} records for good: {:?}; they are in {}, to be mended and \
                     fed to it by hand, or deleted",
                    one_line(&part.reason),
                    self.rejected.path().display()
                );
            }
        }
    }

    fn note_periods(&mut self, batch: &Batch) {
        let Some(in_force) = &self.in_force else {
            return;
        };
        for (downsampling, seconds) in &in_force.periods {
            let mut last = None;
            for timestamp in batch.timestamps() {
                let start = timestamp.div_euclid(seconds.saturating_mul(1_000_000_000));
                if last.replace(start) != Some(start) {
                    self.periods
                        .note(Period::holding(timestamp, *seconds, &downsampling.target));
                }
            }
        }
    }

    /// What there is to do about trouble: how long to wait.
    fn trouble(&mut self, trouble: &Trouble) -> Duration {
        if *trouble == Trouble::DatabaseMissing {
            // Set up again at the next step.
            self.in_force = None;
        }
        let url = self.influx.as_ref().map(|influx| influx.url().to_string());
        self.outage.failed(
            trouble,
            &url.unwrap_or_default(),
            &self.spool,
            &self.metrics,
        )
    }

    /// Waits for a sealed segment, or `at_least` that long, or for the end.
    fn wait(&mut self, woken: &Receiver<()>, at_least: Duration) {
        let until = Instant::now() + at_least;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let wait = if left.is_zero() { TICK } else { left };
            match woken.recv_timeout(wait) {
                Err(RecvTimeoutError::Disconnected) => {
                    self.deadline.get_or_insert(Instant::now() + LAST_ATTEMPT);
                    return;
                }
                Ok(()) | Err(RecvTimeoutError::Timeout) if Instant::now() >= until => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn save_new_periods(&mut self) {
        if let Err(error) = self.periods.save_new() {
            self.say_disk(&error);
        }
    }

    fn say_disk(&mut self, error: &io::Error) {
        if let Some(times) = self.disk.tick(1) {
            log::error!(
                "{}: {error}; failed {times} times; check the disk and whose the files are",
                self.spool.dir().display()
            );
        }
    }

    fn timeout(&self) -> Duration {
        timeout(self.deadline)
    }
}

fn timeout(deadline: Option<Instant>) -> Duration {
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    left.map_or(TIMEOUT, |left| {
        left.clamp(Duration::from_millis(100), TIMEOUT)
    })
}

fn now_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
