//! The counter thread: reader 1 of the spool. It adds records up and commits them to the ledger, with how
//! far it has come and how long the server was there.
//!
//! Whatever is wrong with the ledger, check-ins are answered and spooled: the counter logs it once, tries
//! again, and counts what waits when the ledger can be written.

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

/// How often the counter looks, though nothing was synced.
const TICK: Duration = Duration::from_secs(1);
/// The least and the longest time from one commit to the next.
const COMMITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// A commit that took a while is followed by a pause so many times as long, so that commits cost a few
/// percent of a core at most.
const REST: u32 = 20;
/// A ledger that cannot be written is tried again then.
const RETRY: Duration = Duration::from_secs(1);

/// The state of the counter thread.
pub struct Counter {
    spool: Arc<Spool>,
    tail: Tail,
    metrics: Arc<Metrics>,
    listed: Arc<ArcSwap<Listed>>,
    opening: Opening,
    /// `None` while it cannot be opened.
    ledger: Option<Ledger>,
    counts: Counts,
    /// Lines in `counts`.
    lines: u64,
    presence: Presence,
    left_out: Keeper,
    next_commit: Instant,
    last_commit: Instant,
    trouble: Throttle,
    unreadable: Throttle,
    hindered: bool,
    /// The ledger has taken disk space in advance.
    reserved: bool,
    /// The ledger before was set aside, and the new one does not know it yet.
    replaced: bool,
}

impl Counter {
    /// `ledger` is the one that was opened at the start, where it could be.
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
        // Until there is a ledger that knows of other lengths.
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

    /// Runs until `synced` is disconnected, after the last sync, and everything is counted.
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

    /// A disk that is full already gives nothing: then counting goes on as long as it does.
    fn reserve(&mut self) {
        if let Some(Err(error)) = self.ledger.as_mut().map(Ledger::reserve) {
            log::debug!("no disk space in reserve: {error}");
        }
    }

    /// Counts what is synced, and commits it.
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
            // Before the records are counted: whoever sees them counted finds what was left out of them.
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

    /// Reads a chunk; whether there was one.
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
                        "{}: cannot be read to count it: {error}; failed {times} times; check the disk and \
                         who owns the files",
                        self.spool.dir().display()
                    );
                }
                false
            }
        }
    }

    /// Whether the ledger is open and its file intact; opens it where it is not.
    fn is_open(&mut self) -> bool {
        let intact = self.ledger.as_ref().map(Ledger::is_intact);
        if intact == Some(true) {
            return true;
        }
        self.ledger = None;
        if intact == Some(false) {
            // What was counted since the last commit is counted again, from the spool.
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

    fn opened(&mut self) -> Result<Ledger, LedgerError> {
        let mut ledger = self.opening.open(now_seconds())?;
        if self.replaced {
            ledger.leave_before(now_seconds())?;
            self.replaced = false;
        }
        Ok(ledger)
    }

    /// Goes on where a ledger stands.
    fn take(&mut self, ledger: Ledger) {
        let before = self.spool.uncounted();
        let position = ledger.position();
        let uncounted = self.spool.count_from(position);
        // A new ledger counts all that the spool holds, which an earlier one may have counted.
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

    /// One transaction; whether it worked.
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
                "{}: cannot delete a segment: {error}; failed {times} times; check the disk and who owns the \
                 files",
                self.spool.dir().display()
            );
        }
        self.works();
        self.last_commit = Instant::now();
        let pause = (began.elapsed() * REST).clamp(COMMITS.0, COMMITS.1);
        self.next_commit = self.last_commit + pause;
        true
    }

    /// Writes the keys that were left out of check-ins; whether it worked.
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

    /// Turns one day of full detail into day rows, where one is due.
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
                "{error}; failed {times} times; check-ins are answered and kept, and counted once it works \
                 again"
            );
        }
    }

    /// A damaged ledger makes room for a new one, which counts what the spool still holds.
    fn set_aside(&mut self, why: &str) {
        self.ledger = None;
        self.replaced = true;
        match self.opening.set_aside(now_seconds()) {
            Ok(Some(path)) => log::error!(
                "{why}; it was renamed to {}, and counting starts again with what the spool holds; \
                 restore a backup, or delete it",
                path.display()
            ),
            Ok(None) => log::error!(
                "{why}; its file is gone, and counting starts again with what the spool holds; \
                 restore a backup while the server is stopped"
            ),
            Err(error) => {
                if let Some(times) = self.trouble.tick(1) {
                    log::error!("{why}; it cannot be renamed: {error}; failed {times} times");
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
