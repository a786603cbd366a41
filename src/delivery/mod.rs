//! The sender thread: sets InfluxDB up, delivers sealed segments, oldest first, and has the totals
//! recomputed; and waits when InfluxDB does not do its part. The only thread that waits for InfluxDB.

mod batch;
pub mod influx;
mod keep;
mod outage;
pub mod queries;
mod refused;
mod segments;
mod stalled;
mod unreadable;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::metrics::Metrics;
use crate::spool::{Spool, rejected};
use crate::state::StateDir;
use crate::units::duration::QueryPeriod;
use influx::{Influx, Trouble};
use outage::Outage;
use queries::totals::Totals;
use segments::{Delivery, Destination, Hindered, timeout};
use stalled::Stalled;

/// How often the sender looks whether a period has ended or is due.
const TICK: Duration = Duration::from_secs(1);
/// A file that cannot be opened, for want of file descriptors for example, is tried again then.
const DISK_WAIT: Duration = Duration::from_secs(1);
/// What a stop leaves for delivery.
const LAST_ATTEMPT: Duration = Duration::from_secs(5);

/// What the sender needs to know.
pub struct SenderOptions {
    pub state: StateDir,
    pub query_period: QueryPeriod,
    /// Extra tags with a down-sampled measurement of their own.
    pub extra_tags: Vec<String>,
    pub influx: Influx,
    /// Points in one request at most.
    pub batch_points: usize,
}

/// The state of the sender thread.
#[derive(Debug)]
pub struct Sender {
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    influx: Influx,
    delivery: Delivery,
    totals: Totals,
    outage: Outage,
    stalled: Stalled,
    /// When the last attempt at a stop has to be over.
    deadline: Option<Instant>,
}

/// Whether a step found something to do.
enum Step {
    Worked,
    Idle,
    /// Nothing can be done before that time has passed.
    Wait(Duration),
}

impl Sender {
    pub fn new(spool: Arc<Spool>, metrics: Arc<Metrics>, options: SenderOptions) -> Sender {
        let (writing, counting) = (Arc::clone(&spool), Arc::clone(&metrics));
        Sender {
            delivery: Delivery::new(
                writing,
                counting,
                &options.state.rejected(),
                options.batch_points,
            ),
            totals: Totals::new(
                options.state.path(),
                options.query_period,
                options.extra_tags,
            ),
            spool,
            metrics,
            influx: options.influx,
            outage: Outage::default(),
            stalled: Stalled::default(),
            deadline: None,
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
        if let Err(error) = self.totals.save() {
            self.delivery.say_disk(&error);
        }
    }

    /// One unit of work: a set-up, a recomputed period, or a segment.
    fn step(&mut self) -> Step {
        if self.deadline.is_some_and(|at| at <= Instant::now()) {
            return Step::Idle;
        }
        self.look_at_the_clock();
        self.outage.asks();
        let worked = self.work();
        self.look_at_progress(worked.is_err());
        match worked {
            Ok(true) => Step::Worked,
            Ok(false) => {
                self.outage.over(&self.spool, &self.metrics);
                Step::Idle
            }
            Err(Hindered::Influx(trouble)) => Step::Wait(self.trouble(&trouble)),
            Err(Hindered::Disk(error)) => {
                self.delivery.say_disk(&error);
                Step::Wait(DISK_WAIT)
            }
        }
    }

    /// A segment and a period in turn, so that many periods do not keep fresh records waiting, nor
    /// a large backlog the graph. While periods make trouble, segments go first.
    fn work(&mut self) -> Result<bool, Hindered> {
        let influx = &self.influx;
        // Writes count for themselves; without this, an outage before the first of them shows nowhere.
        let count = |_: &Trouble| self.metrics.influx.retried.add(1);
        let set_up = self.totals.set_up(influx, timeout(self.deadline));
        if set_up.inspect_err(count)? {
            self.outage.answered();
        }
        let delivered = self.delivery.deliver_oldest(&mut Destination {
            influx,
            totals: &mut self.totals,
            outage: &mut self.outage,
            deadline: self.deadline,
        })?;
        let recomputed = self.deadline.is_none() && self.totals.recompute_next(influx, &self.spool);
        if recomputed {
            self.outage.answered();
        }
        Ok(delivered || recomputed)
    }

    /// Shows in `/healthz` that delivery stands still.
    fn look_at_progress(&mut self, hindered: bool) {
        let records = &self.metrics.records;
        let settled = records.delivered.get() + records.rejected.get();
        let failed = hindered && self.spool.to_deliver() != Some(0);
        let (influx, deadline) = (&self.influx, self.deadline);
        let answers = || influx.ping(timeout(deadline)).is_ok();
        let stalled = self.stalled.look(Instant::now(), settled, failed, answers);
        let before = &self.metrics.health.delivery_stalled;
        if stalled && !before.load(Ordering::Relaxed) {
            log::error!(
                "InfluxDB at {}: it answers, but nothing was delivered for an hour, and {} records wait; see \
                 the errors and warnings before this one for the cause",
                self.influx.url(),
                records.waiting()
            );
        }
        before.store(stalled, Ordering::Relaxed);
    }

    /// To be called every second.
    fn look_at_the_clock(&mut self) {
        if self.deadline.is_some() {
            return;
        }
        // Whose version breaks the schema has checked in, though it is not recorded.
        let not_recorded = self.metrics.check_ins.not_recordable.get();
        let heard = self.metrics.records.accepted.get() + not_recorded;
        if let Err(error) = self.totals.note_silent(heard) {
            self.delivery.say_disk(&error);
        }
    }

    /// What there is to do about trouble: how long to wait.
    fn trouble(&mut self, trouble: &Trouble) -> Duration {
        if *trouble == Trouble::DatabaseMissing {
            // Set up again at the next step.
            self.totals.forget_set_up();
        }
        let url = self.influx.url().to_string();
        let password = match trouble {
            Trouble::Denied(_) => self.influx.denied(),
            _ => String::new(),
        };
        self.outage
            .failed(trouble, &url, &password, &self.spool, &self.metrics)
    }

    /// Waits for a sealed segment, or `at_least` that long, or for the end.
    fn wait(&mut self, woken: &Receiver<()>, at_least: Duration) {
        let until = Instant::now() + at_least;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let wait = if left.is_zero() { TICK } else { left.min(TICK) };
            match woken.recv_timeout(wait) {
                Err(RecvTimeoutError::Disconnected) => {
                    self.deadline.get_or_insert(Instant::now() + LAST_ATTEMPT);
                    return;
                }
                Ok(()) | Err(RecvTimeoutError::Timeout) if Instant::now() >= until => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) => self.look_at_the_clock(),
            }
        }
    }
}
