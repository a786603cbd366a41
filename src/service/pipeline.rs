//! The threads behind the queue, in the order in which they start and stop: the writer appends records
//! to the log, the syncer flushes them to the disk, the counter counts them in the ledger, and the sender
//! delivers them to a time-series database.
//!
//! Architecture invariants: only [`Record`](crate::line::Record) crosses the channel, and only line
//! protocol reaches the spool and the database. No request waits for anything here.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{self as channel, bounded};

use crate::delivery::protocol::Protocol;
use crate::delivery::{Sender, SenderOptions};
use crate::metrics::Metrics;
use crate::spool::append::Appender;
use crate::spool::cardinality::{Limiter, Limits, Listed};
use crate::spool::clock::{Clock, now_seconds};
use crate::spool::queue::{self, Recorder};
use crate::spool::writer::Writer;
use crate::spool::{Position, Spool, SpoolError, SpoolOptions, syncer};
use crate::state::StateDir;
use crate::totals::counter::Counter;
use crate::totals::left_out::LeftOutTable;
use crate::totals::presence::Presence;
use crate::totals::{Ledger, Opening, Outbox, OutboxOptions};
use crate::units::duration::QueryPeriod;

/// Within this time records and coverage reach the ledger: ten seconds and a sync.
const COUNTED: Duration = Duration::from_secs(12);

/// The options of the pipeline.
#[derive(Debug)]
pub struct PipelineOptions {
    pub state: StateDir,
    pub spool_max_size: u64,
    pub query_period: QueryPeriod,
    /// How long the ledger keeps periods in full detail.
    pub keep_periods: Duration,
    /// Extra tags with a down-sampled measurement of their own.
    pub extra_tags: Vec<String>,
    /// `None`: records stay in the spool.
    pub influx: Option<Protocol>,
    /// Whether records are sent, not only totals.
    pub sends_raw: bool,
    pub sync_interval: Duration,
    pub batch_points: usize,
    pub limits: Limits,
    /// Replaced at each reload.
    pub listed: Arc<ArcSwap<Listed>>,
    /// Where requests note the keys that they leave out.
    pub left_out: Arc<LeftOutTable>,
}

/// The running threads.
#[derive(Debug)]
pub struct Pipeline {
    writer: JoinHandle<()>,
    syncer: JoinHandle<()>,
    counter: JoinHandle<()>,
    /// `None` without a database.
    sender: Option<JoinHandle<()>>,
    /// Closing it makes the writer write the queue and end; the other threads follow.
    recorder: Recorder,
    serving: Arc<AtomicBool>,
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
}

impl Pipeline {
    /// Opens ledger and spool, takes the spool's lock, and starts the threads. It does not wait
    /// for a database. `fatal` gets a message if a thread panics.
    pub fn start(
        options: PipelineOptions,
        metrics: Arc<Metrics>,
        fatal: &channel::Sender<String>,
    ) -> Result<(Pipeline, Recorder), StartError> {
        let opening = Opening {
            path: options.state.totals(),
            query_period: options.query_period,
            keep: options.keep_periods,
        };
        let spool_dir = options.state.spool();
        let instance = options.state.instance();
        let instance = instance.map_err(|error| SpoolError::Unusable {
            path: options.state.path().to_owned(),
            error,
        })?;
        log::debug!("this server's own name is {instance:?}");
        // If this fails, the counter tries again and logs the error.
        let ledger = opening.open(now_seconds()).ok();
        let rejected_dir = options.state.rejected();
        let found = Spool::open(
            &spool_dir,
            SpoolOptions {
                rejected: &rejected_dir,
                max_size: options.spool_max_size,
                delivering: options.influx.is_some() && options.sends_raw,
                counted: ledger
                    .as_ref()
                    .map_or_else(Position::default, Ledger::position),
                oldest: ledger.as_ref().map_or(0, Ledger::oldest),
            },
        )?;
        metrics.records.found.add(found.lines + found.rejected);
        metrics.records.rejected.add(found.rejected);
        let spool = Arc::new(found.spool);
        let (recorder, queued) = queue::new(Arc::clone(&metrics), spool.losses());
        // One pending wake-up is enough.
        let (wake, woken) = bounded(1);
        let (append, appended) = bounded(1);
        let (sync, synced) = bounded(1);
        // The writer drops its end when its last segment is sealed.
        let (writing, written) = bounded::<()>(0);
        let serving = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(
            Appender::new(
                Arc::clone(&spool),
                options.sync_interval,
                options.batch_points,
            ),
            Arc::clone(&metrics),
            Clock::after(found.newest_timestamp.unwrap_or(i64::MIN)),
            Limiter::open(options.state.path(), options.limits),
            Arc::clone(&options.listed),
        );
        let counter = Counter::new(
            Arc::clone(&spool),
            Arc::clone(&metrics),
            Arc::clone(&options.listed),
            opening,
            ledger,
            Presence::new(Arc::clone(&serving), spool.losses()),
            options.left_out,
        );
        let sender = options.influx.map(|influx| {
            let outbox = OutboxOptions {
                path: options.state.totals(),
                instance,
                tags: options.extra_tags,
                fields: !options.sends_raw,
            };
            let sealing = if options.sends_raw {
                options.sync_interval
            } else {
                Duration::ZERO
            };
            let options = SenderOptions {
                state: options.state,
                totals: Box::new(Outbox::new(outbox)),
                settle: sealing + COUNTED,
                sends_raw: options.sends_raw,
                influx,
                batch_points: options.batch_points,
            };
            Sender::new(Arc::clone(&spool), Arc::clone(&metrics), options)
        });
        let writer = spawn("writer", fatal, move || {
            writer.run(&queued, &wake, &append);
            drop(writing);
        })?;
        let syncing = Arc::clone(&spool);
        let syncer = spawn("syncer", fatal, move || {
            syncer::run(&syncing, &appended, &written, &sync);
        })?;
        let counter = spawn("counter", fatal, move || counter.run(&synced))?;
        let sender = sender
            .map(|sender| spawn("sender", fatal, move || sender.run(&woken)))
            .transpose()?;
        Ok((
            Pipeline {
                writer,
                syncer,
                counter,
                sender,
                recorder: recorder.clone(),
                serving,
                spool,
                metrics,
            },
            recorder,
        ))
    }

    /// The spool, for the metrics.
    pub fn spool(&self) -> Arc<Spool> {
        Arc::clone(&self.spool)
    }

    /// Clients can connect: coverage begins.
    pub fn serves(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    /// Writes the queue to the spool, then gives counting and delivery at most `limit`. Requests that are still in
    /// flight are refused from here on. Returns how many records wait. They are counted in the spool files, not
    /// computed from the counters, so that the account in the log can show a loss.
    pub fn stop(self, limit: Duration) -> u64 {
        self.recorder.close();
        // A panic needs no handling here; the panic hook has logged it.
        let _ = self.writer.join();
        let deadline = Instant::now() + limit;
        let finished = |thread: &JoinHandle<()>| thread.is_finished();
        let all_finished = || {
            let sender = self.sender.as_ref().is_none_or(finished);
            sender && finished(&self.counter) && finished(&self.syncer)
        };
        while !all_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let vanished = self.spool.forget_vanished();
        let (records, totals) = (&self.metrics.records, &self.metrics.totals);
        let deleted = vanished.records();
        records.dropped_vanished.add(deleted);
        totals.dropped.add(vanished.uncounted);
        if deleted > 0 {
            log::error!(
                "{}: spool files were deleted; {deleted} records lost; do not modify the spool while the \
                 server runs",
                self.spool.dir().display()
            );
        }
        self.spool.waiting()
    }
}

/// Starts a thread whose panic must end the server: without it check-ins would be answered and lost.
fn spawn(
    name: &'static str,
    fatal: &channel::Sender<String>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let fatal = fatal.clone();
    let watched = move || {
        // The panic hook has logged the place.
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            // If the channel is full, the process ends already.
            let _ = fatal.try_send(format!("the {name} thread panicked"));
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(watched)
        .map_err(StartError::Thread)
}

/// Why the pipeline cannot start.
#[derive(Debug)]
pub enum StartError {
    Spool(SpoolError),
    Thread(io::Error),
}

impl From<SpoolError> for StartError {
    fn from(error: SpoolError) -> Self {
        StartError::Spool(error)
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Spool(error) => error.fmt(f),
            StartError::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}
