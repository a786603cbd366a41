//! The sender thread: delivers sealed segments to InfluxDB, oldest first, and decides what to do
//! with each outcome. The only thread that syncs, and the only one that waits for InfluxDB.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::StoreOptions;
use super::downsampling::{self, InForce};
use super::influx::{Influx, Outcome, QueryError, TIMEOUT, Trouble};
use super::outage::Outage;
use super::periods::{Period, Periods};
use super::refused;
use super::rejected::{Rejected, RejectedDir, one_line};
use super::spool::{Segment, Spool};
use crate::checkin::line;
use crate::config::duration::QueryPeriod;
use crate::service::logging::Throttle;
use crate::service::metrics::Metrics;

/// Bytes of one request at most; InfluxDB takes 25 MB by default.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How often the open segment is synced.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
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
    periods: Periods,
    rejected: RejectedDir,
    outage: Outage,
    /// How far the oldest segment has come.
    progress: Progress,
    /// When the last attempt at a stop has to be over.
    deadline: Option<Instant>,
    refusals: Throttle,
    disk: Throttle,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    sequence: u64,
    offset: u64,
    lines: u64,
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
            outage: Outage::default(),
            progress: Progress::default(),
            deadline: None,
            refusals: Throttle::default(),
            disk: Throttle::default(),
        }
    }

    /// Runs until the writer has dropped its end of `woken` and everything is delivered, or the
    /// last attempt has failed or taken too long.
    pub fn run(mut self, woken: &Receiver<()>) {
        loop {
            self.sync();
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
            Err(trouble) => Err(trouble),
        };
        match worked {
            Ok(true) => Step::Worked,
            Ok(false) => {
                self.outage.over(&self.metrics);
                Step::Idle
            }
            Err(trouble) => Step::Wait(self.trouble(&trouble)),
        }
    }

    /// Sees to it that the database is set up; there is nothing to set up before there are records.
    fn ready(&mut self) -> Result<(), Trouble> {
        let (Some(influx), None) = (&self.influx, &self.in_force) else {
            return Ok(());
        };
        let in_force =
            downsampling::set_up(influx, self.query_period, &self.extra_tags, self.timeout())?;
        log::info!(
            "InfluxDB at {} is ready, database {:?}",
            influx.url(),
            influx.database()
        );
        for note in &in_force.notes {
            log::warn!("InfluxDB: {note}");
        }
        self.in_force = Some(in_force);
        Ok(())
    }

    fn work(&mut self) -> Result<bool, Trouble> {
        if self.deadline.is_none()
            && let Some(period) = self.periods.next(now_seconds())
        {
            self.recompute(&period)?;
            return Ok(true);
        }
        let Some(segment) = self.spool.take_oldest() else {
            return Ok(false);
        };
        let delivered = self.deliver(&segment);
        if delivered.is_err() {
            self.spool.put_back(segment.sequence, self.progress.lines);
        }
        delivered.map(|()| true)
    }

    fn recompute(&mut self, period: &Period) -> Result<(), Trouble> {
        let (Some(influx), Some(in_force)) = (&self.influx, &self.in_force) else {
            return Ok(());
        };
        match downsampling::recompute(influx, in_force, period) {
            Ok(()) => log::debug!("recomputed {} from {}s", period.target, period.start),
            Err(QueryError::Trouble(trouble)) => return Err(trouble),
            Err(QueryError::Refused(why)) => log::warn!(
                "InfluxDB: {} cannot be recomputed for the period at {}s: {}",
                period.target,
                period.start,
                one_line(&why)
            ),
        }
        self.periods.done(period);
        Ok(())
    }

    /// Sends what is left of a segment, batch by batch, and deletes it.
    fn deliver(&mut self, segment: &Segment) -> Result<(), Trouble> {
        if self.progress.sequence != segment.sequence {
            self.progress = Progress {
                sequence: segment.sequence,
                ..Progress::default()
            };
        }
        match self.send_batches(segment) {
            Ok(sent) => sent?,
            Err(error) => log::error!(
                "{}: cannot read: {error}; what is left of it is lost",
                segment.path(self.spool.dir()).display()
            ),
        }
        let unread = segment.lines.saturating_sub(self.progress.lines);
        self.metrics.records.dropped_vanished.add(unread);
        if unread > 0 {
            log::error!(
                "{}: {unread} records are missing from segment {}",
                self.spool.dir().display(),
                segment.sequence
            );
        }
        // Before the points' segment is deleted, so that no restart forgets their period.
        if let Err(error) = self.periods.save_new() {
            self.say_disk(&error);
        }
        if let Err(error) = self.spool.remove(segment.sequence) {
            self.say_disk(&error);
        }
        Ok(())
    }

    fn send_batches(&mut self, segment: &Segment) -> io::Result<Result<(), Trouble>> {
        let mut file = File::open(segment.path(self.spool.dir()))?;
        file.seek(SeekFrom::Start(self.progress.offset))?;
        // What stands behind the whole lines is torn.
        let whole = segment.bytes.saturating_sub(self.progress.offset);
        let mut reader = BufReader::with_capacity(64 * 1024, file.take(whole));
        loop {
            let left = segment.lines.saturating_sub(self.progress.lines);
            let most = self
                .batch_points
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let batch = Batch::read(&mut reader, most, self.batch_bytes)?;
            if batch.lines == 0 {
                return Ok(Ok(()));
            }
            if let Err(trouble) = self.send(&batch) {
                return Ok(Err(trouble));
            }
            self.progress.offset += batch.bytes.len() as u64;
            self.progress.lines += batch.lines;
        }
    }

    fn send(&mut self, batch: &Batch) -> Result<(), Trouble> {
        let Some(influx) = &self.influx else {
            return Ok(());
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
                    *batch_bytes = (lines.len() / 2).max(1);
                }
                _ => metrics.refused.add(1),
            }
            outcome
        })?;
        let refused = rejected
            .iter()
            .map(|rejected| rejected.lines.len() as u64)
            .sum();
        self.metrics.records.delivered.add(batch.lines - refused);
        self.metrics.records.rejected.add(refused);
        self.keep_rejected(&rejected);
        self.note_periods(batch);
        self.outage.delivered(batch.lines - refused);
        Ok(())
    }

    fn keep_rejected(&mut self, rejected: &[Rejected<'_>]) {
        for part in rejected {
            if let Err(error) = self.rejected.add(part) {
                self.say_disk(&error);
            }
            if let Some(times) = self.refusals.tick(part.lines.len() as u64) {
                log::warn!(
                    "InfluxDB refused {times} records for good: {:?}; they are in {}",
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

    /// Waits for a sealed segment, or `at_least` that long, or for the end; syncs meanwhile.
    fn wait(&mut self, woken: &Receiver<()>, at_least: Duration) {
        let until = Instant::now() + at_least;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let tick = if left.is_zero() {
                SYNC_INTERVAL
            } else {
                left.min(SYNC_INTERVAL)
            };
            match woken.recv_timeout(tick) {
                Err(RecvTimeoutError::Disconnected) => {
                    self.deadline.get_or_insert(Instant::now() + LAST_ATTEMPT);
                    return;
                }
                Ok(()) | Err(RecvTimeoutError::Timeout) if Instant::now() >= until => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) => self.sync(),
            }
        }
    }

    fn sync(&mut self) {
        for trouble in self.spool.sync() {
            log::error!("{trouble}; a loss of power now would lose records; check the disk");
        }
    }

    fn say_disk(&mut self, error: &io::Error) {
        if let Some(times) = self.disk.tick(1) {
            log::error!(
                "{}: {error}; failed {times} times",
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

/// Whole lines of a segment.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

impl Batch {
    /// Reads up to `most_lines`, or a few more bytes than `most_bytes`.
    fn read(reader: &mut impl BufRead, most_lines: usize, most_bytes: usize) -> io::Result<Batch> {
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

    fn timestamps(&self) -> impl Iterator<Item = i64> {
        self.bytes
            .split(|&byte| byte == b'\n')
            .filter_map(line::timestamp)
    }
}

fn now_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
