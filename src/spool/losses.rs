//! Log lines about failed writes and lost records: immediately, then once a minute, and when they have ended.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::append::Gone;
use super::drops::Drops;
use crate::logging::Throttle;
use crate::metrics::Metrics;
use crate::state::disk_advice;

/// Time without a drop after which the disk counts as repaired.
const DISK_QUIET: Duration = Duration::from_secs(5);
/// The same for `--spool-max-size`, beyond which one segment is deleted at a time: with few check-ins that is once
/// in many minutes.
const FULL_QUIET: Duration = Duration::from_secs(3600);

/// Failed writes and lost records, by cause.
#[derive(Debug)]
pub struct Losses {
    dir: PathBuf,
    /// Time of the first failed write since one succeeded.
    refusing: Option<Instant>,
    refusals: Throttle,
    full: Drops,
    uncounted: Drops,
    queue: Drops,
    unwritten: Drops,
    /// Drops at the full queue that were logged already.
    queue_logged: u64,
    deleted: Throttle,
    expired: bool,
}

impl Losses {
    pub fn new(dir: PathBuf) -> Losses {
        Losses {
            dir,
            refusing: None,
            refusals: Throttle::default(),
            full: Drops::new("drops from the full spool", FULL_QUIET),
            uncounted: Drops::new("deletion of uncounted records", FULL_QUIET),
            queue: Drops::new("drops at the full queue", DISK_QUIET),
            unwritten: Drops::new("drops of records that cannot be written", DISK_QUIET),
            queue_logged: 0,
            deleted: Throttle::default(),
            expired: false,
        }
    }

    /// Notes a failed write, which is retried.
    pub fn refused(&mut self, error: &io::Error) {
        self.refusing.get_or_insert_with(Instant::now);
        if self.refusals.tick(1).is_some() {
            log::error!(
                "{}: cannot write: {error}; check-ins are answered, and their records wait in memory until \
                 they can be written; {}",
                self.dir.display(),
                disk_advice(error)
            );
        }
    }

    /// Notes records that were dropped because the process stops while writes fail.
    pub fn unwritten(&mut self, records: u64, error: &io::Error) {
        let why = format!(
            "{}: cannot write while stopping: {error}",
            self.dir.display()
        );
        self.unwritten.add(records, why);
    }

    /// Notes a successful write.
    pub fn kept(&mut self) {
        if let Some(since) = self.refusing.take() {
            self.refusals = Throttle::default();
            log::info!(
                "{}: writing works again after {:.1} s",
                self.dir.display(),
                since.elapsed().as_secs_f64()
            );
        }
        for drops in self.all() {
            drops.kept();
        }
    }

    /// Counts and logs records that readers missed.
    pub fn missed(&mut self, gone: Gone, metrics: &Metrics) {
        let (room, by_hand) = (gone.to_make_room, gone.by_hand);
        metrics.records.dropped_spool_full.add(room.undelivered);
        metrics.records.expired.add(room.expired);
        metrics.records.dropped_vanished.add(by_hand.records());
        metrics
            .totals
            .dropped
            .add(room.uncounted + by_hand.uncounted);
        let dir = self.dir.display();
        if room.undelivered > 0 {
            let why = format!(
                "{dir}: --spool-max-size reached, deleting the oldest records; restore InfluxDB or raise \
                 --spool-max-size"
            );
            self.full.add(room.undelivered, why);
        }
        if room.uncounted > 0 {
            let why = format!(
                "{dir}: --spool-max-size reached, deleting records that are not counted yet; check why \
                 totals.db cannot be written"
            );
            self.uncounted.add(room.uncounted, why);
        }
        if room.expired > 0 && !std::mem::replace(&mut self.expired, true) {
            log::info!(
                "{dir}: --spool-max-size reached; from now on the oldest records are deleted; their totals \
                 are kept"
            );
        }
        let deleted = by_hand.records();
        if deleted > 0
            && let Some(records) = self.deleted.tick(deleted)
        {
            log::error!(
                "{dir}: spool files were deleted; {records} records lost; do not modify the spool while \
                 the server runs"
            );
        }
    }

    /// Whether drops have not ended yet, so that [`look`](Losses::look) has to be called regularly.
    pub fn are_going_on(&self) -> bool {
        let all = [&self.full, &self.uncounted, &self.queue, &self.unwritten];
        all.iter().any(|drops| drops.is_going_on())
    }

    /// Logs the drops that the connection threads counted, and the drops that have ended.
    pub fn look(&mut self, metrics: &Metrics) {
        let dropped = metrics.records.dropped_channel_full.get();
        if dropped > self.queue_logged {
            let why = match self.refusing {
                Some(_) => "writes to the disk fail and the queue in memory is full",
                None => {
                    "more check-ins at once than can be written; if this continues, use a faster disk or \
                     lower limits in the proxy"
                }
            };
            self.queue.add(dropped - self.queue_logged, why);
            self.queue_logged = dropped;
        }
        for drops in self.all() {
            drops.look();
        }
    }

    fn all(&mut self) -> [&mut Drops; 4] {
        [
            &mut self.full,
            &mut self.uncounted,
            &mut self.queue,
            &mut self.unwritten,
        ]
    }
}
