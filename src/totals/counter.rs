//! The counter thread: reader 1 of the spool. It counts records and commits the counts to the ledger, with its
//! position in the spool and the time that the server covered.
//!
//! Invariant: a fault of the ledger never affects answers or the spool. The counter logs the fault at most once a
//! minute, retries, and counts the waiting records when the ledger can be written again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::error::{Fault, LedgerError};
use super::ledger::Ledger;
use super::left_out::LeftOutTable;
use super::left_out_rows::Keeper;
use super::presence::Presence;
use super::{Counts, Lengths, Opening};
use crate::logging::Throttle;
use crate::metrics::Metrics;
use crate::spool::cardinality::Listed;
use crate::spool::clock::now_seconds;
use crate::spool::{Position, Spool, Tail};

/// Longest time between two steps of the counter, also when nothing was synced.
const TICK: Duration = Duration::from_secs(1);
/// Shortest and longest time from one commit to the next.
const COMMITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// Length of the pause after a commit, as a multiple of the time that the commit took: commits then take at most
/// a few percent of a core.
const REST: u32 = 20;
/// Time until the next attempt to write the ledger after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// The state of the counter thread.
pub struct Counter {
    spool: Arc<Spool>,
    tail: Tail,
    metrics: Arc<Metrics>,
    listed: Arc<ArcSwap<Listed>>,
    opening: Opening,
    /// `None` while the ledger cannot be opened.
    ledger: Option<Ledger>,
    counts: Counts,
    /// Number of lines in `counts`.
    lines: u64,
    presence: Presence,
    left_out: Keeper,
    next_commit: Instant,
    last_commit: Instant,
    trouble: Throttle,
    unreadable: Throttle,
    /// The last attempt to open or write the ledger failed.
    hindered: bool,
    /// The open ledger has reserved disk space, or tried to.
    reserved: bool,
    /// The previous ledger was set aside, and its successor has not recorded that yet.
    replaced: bool,
}

impl Counter {
    /// `ledger` is `None` if it could not be opened at the start.
    pub fn new(
        spool: Arc<Spool>,
        metrics: Arc<Metrics>,
        listed: Arc<ArcSwap<Listed>>,
        opening: Opening,
        ledger: Option<Ledger>,
        presence: Presence,
        left_out: Arc<LeftOutTable>,
    ) -> Counter {
        let position = ledger
            .as_ref()
            .map_or_else(Position::default, Ledger::position);
        // Without a ledger the query period holds for all time, until a ledger with other lengths is opened.
        let lengths = ledger.as_ref().map(|ledger| ledger.lengths().clone());
        let lengths = lengths.unwrap_or_else(|| Lengths::always(opening.query_period.seconds()));
        if ledger.is_some() {
            metrics.totals.found.add(spool.count_from(position));
        }
        Counter {
            tail: Tail::new(Arc::clone(&spool), position),
            counts: Counts::new(&listed.load().counted, lengths),
            spool,
            metrics,
            listed,
            opening,
            ledger,
            lines: 0,
            presence,
            left_out: Keeper::new(left_out),
            next_commit: Instant::now(),
            last_commit: Instant::now(),
            trouble: Throttle::default(),
            unreadable: Throttle::default(),
            hindered: false,
            reserved: false,
            replaced: false,
        }
    }

    /// Runs until `synced` is disconnected, which happens after the last sync; then counts the rest and returns.
    pub fn run(mut self, synced: &Receiver<()>) {
        // Something was synced since the last count.
        let mut news = false;
        loop {
            let due = self.next_commit.saturating_duration_since(Instant::now());
            let wait = if news { due.min(TICK) } else { TICK };
            let message = synced.recv_timeout(wait);
            let end = message == Err(RecvTimeoutError::Disconnected);
            news |= message.is_ok();
            self.presence.note(&mut self.counts);
            if !std::mem::replace(&mut self.reserved, self.ledger.is_some()) {
                self.reserve();
            }
            if end || self.next_commit <= Instant::now() {
                self.count(end);
                news = false;
            }
            if end {
                return;
            }
        }
    }

    /// Reserves disk space for commits. A failure is not fatal: on a disk that is full already, counting continues
    /// until a commit fails.
    fn reserve(&mut self) {
        if let Some(Err(error)) = self.ledger.as_mut().map(Ledger::reserve) {
            log::debug!("cannot reserve disk space for commits: {error}");
        }
    }

    /// Counts the synced records and commits the counts.
    fn count(&mut self, end: bool) {
        self.counts.set_dimensions(&self.listed.load().counted);
        loop {
            if !self.is_open() {
                self.next_commit = Instant::now() + RETRY;
                return;
            }
            let more = !self.counts.is_large() && self.read();
            let begun = self.last_commit.elapsed();
            let due = self.lines > 0 || end || begun >= COMMITS.1;
            let full = self.counts.is_large() || begun >= COMMITS.0;
            if more && !full {
                continue;
            }
            // Left-out keys first: once a record is counted, the keys left out of it must be readable as well.
            if !self.write_left_out() || (due && !self.commit()) {
                self.next_commit = Instant::now() + RETRY;
                return;
            }
            if !more {
                break;
            }
        }
        self.keep_days();
    }

    /// Counts the next chunk of the spool; false if there was none or it could not be read.
    fn read(&mut self) -> bool {
        match self.tail.next_chunk() {
            Ok(Some(chunk)) => {
                self.counts.add(chunk.lines);
                self.lines += chunk.count;
                self.metrics.totals.found.add(chunk.surplus);
                self.metrics.totals.dropped.add(chunk.missing);
                true
            }
            Ok(None) => false,
            Err(error) => {
                if let Some(times) = self.unreadable.tick(1) {
                    log::error!(
                        "{}: cannot read the spool to count records: {error}; failed {}; check the \
                         disk and the owner of the files",
                        self.spool.dir().display(),
                        times.times()
                    );
                }
                false
            }
        }
    }

    /// Whether the ledger is open and its file intact. Opens the ledger if it is not open.
    fn is_open(&mut self) -> bool {
        let intact = self.ledger.as_ref().map(|ledger| ledger.file().is_intact());
        if intact == Some(true) {
            return self.has_log();
        }
        self.ledger = None;
        if intact == Some(false) {
            // Uncommitted counts are dropped: their records are counted again from the spool.
            let path = self.opening.path.display();
            let why = format!("{path}: the ledger was replaced or overwritten");
            self.set_aside(&why);
        }
        match self.opened() {
            Ok(ledger) => self.take(ledger),
            Err(error) => self.hindered_by(&error),
        }
        self.ledger.is_some()
    }

    /// Whether the ledger has its write-ahead log. Without it nothing is committed, and the records wait in the spool.
    fn has_log(&mut self) -> bool {
        let log = self
            .ledger
            .as_ref()
            .map(|ledger| ledger.file().expect_log());
        let Some(Err(error)) = log else {
            return true;
        };
        self.hindered_by(&error);
        false
    }

    fn opened(&mut self) -> Result<Ledger, LedgerError> {
        let mut ledger = self.opening.open(now_seconds())?;
        if self.replaced {
            ledger.leave_before(now_seconds())?;
            self.replaced = false;
        }
        Ok(ledger)
    }

    /// Continues from the position of a newly opened ledger.
    fn take(&mut self, ledger: Ledger) {
        let before = self.spool.uncounted();
        let position = ledger.position();
        let uncounted = self.spool.count_from(position);
        // A new ledger counts all records in the spool, also those that the previous ledger had counted.
        self.metrics
            .totals
            .found
            .add(uncounted.saturating_sub(before));
        self.tail.go_to(position);
        self.counts = Counts::new(&self.listed.load().counted, ledger.lengths().clone());
        self.lines = 0;
        self.reserved = false;
        self.ledger = Some(ledger);
    }

    /// Commits the counts in one transaction; false if that failed.
    fn commit(&mut self) -> bool {
        let Some(ledger) = &mut self.ledger else {
            return false;
        };
        let began = Instant::now();
        let position = self.tail.position();
        let oldest = self.spool.oldest_after(position);
        if let Err(error) = ledger.commit(&mut self.counts, position, oldest) {
            self.hindered_by(&error);
            return false;
        }
        self.metrics.totals.counted.add(self.lines);
        self.metrics.totals.commits.add(1);
        self.counts.clear();
        self.lines = 0;
        if let Err(error) = self.spool.counted(position)
            && let Some(times) = self.unreadable.tick(1)
        {
            log::error!(
                "{}: cannot delete a segment: {error}; failed {}; check the disk and the owner of the \
                 files",
                self.spool.dir().display(),
                times.times()
            );
        }
        self.works();
        self.last_commit = Instant::now();
        let pause = (began.elapsed() * REST).clamp(COMMITS.0, COMMITS.1);
        self.next_commit = self.last_commit + pause;
        true
    }

    /// Writes the keys that were left out of check-ins; false if that failed.
    fn write_left_out(&mut self) -> bool {
        let Some(ledger) = &mut self.ledger else {
            return false;
        };
        match self.left_out.write(ledger, now_seconds()) {
            Ok(()) => true,
            Err(error) => {
                self.hindered_by(&error);
                false
            }
        }
    }

    /// Turns the periods of one day into day rows, if a day is due.
    fn keep_days(&mut self) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        if let Err(error) = ledger.keep_days(now_seconds()) {
            self.hindered_by(&error);
        }
    }

    fn hindered_by(&mut self, error: &LedgerError) {
        self.hindered = true;
        let failing = &self.metrics.health.counting_failing;
        failing.store(true, Ordering::Relaxed);
        if let Fault::Corrupt(_) = error.fault {
            self.set_aside(&error.to_string());
            return;
        }
        if let Some(times) = self.trouble.tick(1) {
            log::error!(
                "{error}; failed {}; check-ins are answered and spooled, and counted when the ledger \
                 can be written again",
                times.times()
            );
        }
    }

    /// Renames a damaged ledger. A new one then counts the records that are still in the spool.
    fn set_aside(&mut self, why: &str) {
        self.ledger = None;
        self.replaced = true;
        match self.opening.set_aside(now_seconds()) {
            Ok(Some(path)) => log::error!(
                "{why}; renamed the file to {}; counting starts again with the records in the spool; \
                 restore a backup, or delete the renamed file",
                path.display()
            ),
            Ok(None) => log::error!(
                "{why}; the file no longer exists; counting starts again with the records in the spool; \
                 restore a backup while the server is stopped"
            ),
            Err(error) => {
                if let Some(times) = self.trouble.tick(1) {
                    log::error!(
                        "{why}; cannot rename the file: {error}; failed {}",
                        times.times()
                    );
                }
            }
        }
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.hindered) {
            self.trouble = Throttle::default();
            let failing = &self.metrics.health.counting_failing;
            failing.store(false, Ordering::Relaxed);
            log::info!("the ledger can be written again");
        }
    }
}
