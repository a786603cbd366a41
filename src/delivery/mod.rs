//! The sender thread, reader 2 of the spool. It delivers sealed segments, oldest first, then the totals of ended
//! periods, and it waits and retries while InfluxDB fails. No other thread may wait for InfluxDB.

mod batch;
mod database;
pub mod foreign;
pub mod http;
mod keep;
mod login;
mod outage;
pub mod outcome;
mod points;
pub mod protocol;
mod reason;
mod refused;
mod segments;
mod stalled;
mod totals;
mod unreadable;
pub mod url;
pub mod v1;
pub mod v2;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

pub use login::read_password;
pub use points::{Line, PeriodPoints, TotalsSource};

use crate::metrics::Metrics;
use crate::spool::{Spool, rejected};
use crate::state::StateDir;
use database::Database;
use outage::Outage;
use outcome::Trouble;
use protocol::Protocol;
use segments::{Delivery, Destination, Hindered, timeout};
use stalled::Stalled;
use totals::Totals;

/// Time between checks for a period whose totals are due.
const TICK: Duration = Duration::from_secs(1);
/// Time before a file that could not be opened is retried: the process may be out of file descriptors.
const DISK_WAIT: Duration = Duration::from_secs(1);
/// Time for delivery while the server stops.
const LAST_ATTEMPT: Duration = Duration::from_secs(5);

/// Options of the sender.
pub struct SenderOptions {
    pub state: StateDir,
    pub totals: Box<dyn TotalsSource>,
    /// Time within which raw records are counted and, where they are sent, delivered.
    pub settle: Duration,
    /// Whether records are sent, not totals alone.
    pub sends_raw: bool,
    pub influx: Protocol,
    /// Most points in one request.
    pub batch_points: usize,
}

/// The state of the sender thread.
#[derive(Debug)]
pub struct Sender {
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    influx: Protocol,
    delivery: Delivery,
    totals: Totals,
    database: Database,
    outage: Outage,
    stalled: Stalled,
    /// The end of the last attempt; set while the server stops.
    deadline: Option<Instant>,
}

/// The result of a step.
enum Step {
    Worked,
    /// There is nothing to do.
    Idle,
    /// The next attempt has to wait for that time.
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
            totals: Totals::new(options.totals, options.settle, options.sends_raw),
            database: Database::default(),
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
    }

    /// One unit of work: the database, a segment, or the totals of a period.
    fn step(&mut self) -> Step {
        if self.deadline.is_some_and(|at| at <= Instant::now()) {
            return Step::Idle;
        }
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

    /// Delivers a segment or, if none waits, the totals of a period, so that raw points are stored before their
    /// totals. Returns whether there was something to do.
    fn work(&mut self) -> Result<bool, Hindered> {
        let influx = &self.influx;
        // Writes are counted where they are sent. Counted here, an outage before the first write shows in metrics too.
        let count = |_: &Trouble| self.metrics.influx.retried.add(1);
        if let Some(v1) = influx.v1() {
            let created = self.database.create(v1, timeout(self.deadline));
            if created.inspect_err(count)? {
                self.outage.answered();
            }
        }
        let delivered = self.delivery.deliver_oldest(&mut Destination {
            influx,
            outage: &mut self.outage,
            deadline: self.deadline,
        })?;
        if delivered {
            return Ok(true);
        }
        let keep = &mut self.delivery.keep;
        let totals = &mut self.totals;
        match totals.send_next(influx, keep, &self.metrics, self.deadline) {
            Ok(sent) => {
                if sent {
                    self.outage.answered();
                }
                Ok(sent)
            }
            Err(trouble) => {
                if trouble == Trouble::DatabaseMissing {
                    self.database.is_missing();
                }
                totals.wait_for(&trouble);
                Ok(false)
            }
        }
    }

    /// Checks whether delivery stands still, for `/healthz` and the log.
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

    /// Handles trouble with InfluxDB. Returns the time to wait.
    fn trouble(&mut self, trouble: &Trouble) -> Duration {
        if *trouble == Trouble::DatabaseMissing {
            // So the next step creates it.
            self.database.is_missing();
        }
        let url = self.influx.url().to_string();
        let password = match trouble {
            Trouble::Denied(_) => self.influx.denied(),
            _ => String::new(),
        };
        self.outage
            .failed(trouble, &url, &password, &self.spool, &self.metrics)
    }

    /// Waits for `at_least`, then until a segment is sealed or a tick has passed. Returns early, with a deadline set,
    /// when the writer has ended.
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
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
