//! The threads behind the channel, in the order in which they start and stop: the writer appends records
//! to the spool, the syncer brings them to the disk, the sender delivers them to InfluxDB.
//!
//! Architecture invariants: only [`Record`](crate::line::Record) crosses the channel, and only line
//! protocol reaches the spool and InfluxDB. Nothing here is waited for by a request.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{self as channel, bounded};

use crate::delivery::Sender;
use crate::delivery::influx::Influx;
use crate::metrics::Metrics;
use crate::spool::cardinality::{Limits, Listed};
use crate::spool::queue::{self, Recorder};
use crate::spool::{Spool, SpoolError, syncer, writer};
use crate::units::duration::QueryPeriod;

/// What the pipeline needs to know.
#[derive(Debug)]
pub struct PipelineOptions {
    pub spool_dir: PathBuf,
    pub spool_max_size: u64,
    pub database: String,
    pub query_period: QueryPeriod,
    /// Extra tags with a down-sampled measurement of their own.
    pub extra_tags: Vec<String>,
    /// Without it the spool is where records stay.
    pub influx: Option<Influx>,
    pub sync_interval: Duration,
    pub batch_points: usize,
    pub limits: Limits,
    /// Exchanged when the configuration is.
    pub listed: Arc<ArcSwap<Listed>>,
}

/// The three running threads.
#[derive(Debug)]
pub struct Pipeline {
    writer: JoinHandle<()>,
    syncer: JoinHandle<()>,
    sender: JoinHandle<()>,
    /// When it is closed, the writer writes what is queued and ends; the sender follows.
    recorder: Recorder,
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
}

impl Pipeline {
    /// Opens the spool, takes its lock, and starts the threads. InfluxDB is not waited for. `fatal`
    /// is told if one of them does not live to its end.
    pub fn start(
        options: PipelineOptions,
        metrics: Arc<Metrics>,
        fatal: &channel::Sender<String>,
    ) -> Result<(Pipeline, Recorder), StartError> {
        let found = Spool::open(
            &options.spool_dir.join(&options.database),
            options.spool_max_size,
            options.influx.is_some(),
        )?;
        metrics.records.found.add(found.lines);
        let spool = Arc::new(found.spool);
        let (recorder, queued) = queue::new(Arc::clone(&metrics));
        // One wake-up that is waiting is as good as many.
        let (wake, woken) = bounded(1);
        // The writer drops its end when its last segment is sealed.
        let (writing, written) = bounded::<()>(0);
        let writer = writer::Writer::new(
            Arc::clone(&spool),
            Arc::clone(&metrics),
            options.sync_interval,
            options.batch_points,
            found.newest_timestamp,
            options.limits,
            Arc::clone(&options.listed),
        );
        let sender = Sender::new(Arc::clone(&spool), Arc::clone(&metrics), options);
        let writer = spawn("writer", fatal, move || {
            writer.run(&queued, &wake);
            drop(writing);
        })?;
        let syncing = Arc::clone(&spool);
        let syncer = spawn("syncer", fatal, move || syncer::run(&syncing, &written))?;
        let sender = spawn("sender", fatal, move || sender.run(&woken))?;
        Ok((
            Pipeline {
                writer,
                syncer,
                sender,
                recorder: recorder.clone(),
                spool,
                metrics,
            },
            recorder,
        ))
    }

    /// The spool, to be looked at.
    pub fn spool(&self) -> Arc<Spool> {
        Arc::clone(&self.spool)
    }

    /// Writes everything that is queued to the spool, then gives delivery `limit`. Returns how many
    /// records wait in the files that are there, which is counted by them and not worked out from
    /// the other numbers, so that the account at the end can show a loss.
    /// A request that is still in flight is refused from here on.
    pub fn stop(self, limit: Duration) -> u64 {
        self.recorder.close();
        // A thread that panicked has nothing more to write; the panic hook has logged it.
        let _ = self.writer.join();
        let deadline = Instant::now() + limit;
        let finished = || self.sender.is_finished() && self.syncer.is_finished();
        while !finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let vanished = self.spool.forget_vanished();
        if vanished > 0 {
            self.metrics.records.dropped_vanished.add(vanished);
            log::error!(
                "{}: somebody removed segments; {vanished} records that waited there are lost; leave \
                 the spool to the server",
                self.spool.dir().display()
            );
        }
        self.spool.waiting()
    }
}

/// Starts a thread without which the server must not go on: it would answer check-ins and lose them.
fn spawn(
    name: &'static str,
    fatal: &channel::Sender<String>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let fatal = fatal.clone();
    let watched = move || {
        // The panic hook has logged where.
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            // Full means that the process ends already.
            let _ = fatal.try_send(format!("the {name} thread met a bug"));
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
