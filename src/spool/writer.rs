//! The writer thread: takes records from the queue, stamps them, and appends them to the log.
//!
//! It never waits for a reader nor for a flush. While the disk refuses, it tries the same lines again, and
//! records wait in the queue; only records that do not fit there are dropped, counted and logged.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{RecvTimeoutError, Sender};

use super::LONGEST_LINE;
use super::append::Appender;
use super::cardinality::{Limited, Limiter, Listed};
use super::clock::Clock;
use super::losses::Losses;
use super::queue::{Queue, Queued};
use crate::line::encode as line;
use crate::metrics::Metrics;

/// How long the first record of a group waits for others. While the thread sleeps, queueing a
/// record wakes nobody, which is cheaper than a wake-up for each; and it keeps the promise of 10 ms
/// from acceptance to the spool.
const GROUP: Duration = Duration::from_millis(5);
/// Records in one append at most, and about how many bytes of them. A burst takes more appends instead of a
/// larger buffer, whose pieces the allocator would keep.
const GROUP_RECORDS: usize = 4096;
const GROUP_BYTES: usize = 256 * 1024;
/// The buffer for them.
const BUFFER: usize = GROUP_BYTES + LONGEST_LINE;
/// How often an open segment is looked at while no records come.
const SEAL_CHECK: Duration = Duration::from_millis(250);
/// How soon a disk that refused is tried again.
const RETRY: Duration = Duration::from_millis(50);
/// How long a stop waits for a disk that refuses.
const LAST_RETRIES: Duration = Duration::from_secs(2);

/// The state of the writer thread.
#[derive(Debug)]
pub struct Writer {
    metrics: Arc<Metrics>,
    appender: Appender,
    clock: Clock,
    limiter: Limiter,
    listed: Arc<ArcSwap<Listed>>,
    /// Lines that the disk has not taken yet.
    buffer: Vec<u8>,
    lines: u64,
    losses: Losses,
}

impl Writer {
    pub fn new(
        appender: Appender,
        metrics: Arc<Metrics>,
        clock: Clock,
        limiter: Limiter,
        listed: Arc<ArcSwap<Listed>>,
    ) -> Writer {
        Writer {
            losses: Losses::new(appender.dir()),
            metrics,
            appender,
            clock,
            limiter,
            listed,
            buffer: Vec::with_capacity(BUFFER),
            lines: 0,
        }
    }

    /// Runs until nobody can queue a record any more and all are written, and seals then. `wake` tells
    /// the sender of sealed segments, `appended` the syncer of everything else too; both learn of the end by
    /// its being dropped.
    pub fn run(mut self, queued: &Queue, wake: &Sender<()>, appended: &Sender<()>) {
        loop {
            let look_again = if self.appender.is_open() || self.losses.are_going_on() {
                SEAL_CHECK
            } else {
                Duration::MAX
            };
            match queued.records.recv_timeout(look_again) {
                Ok(record) => {
                    thread::sleep(GROUP);
                    self.write_group(record, queued, wake, appended);
                    // Full means that the syncer is about to wake up anyway.
                    let _ = appended.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.seal_if_due(wake, appended);
            self.losses.look(&self.metrics);
        }
        self.appender.seal();
    }

    /// Writes a record and those that are queued behind it now, in parts where a batch is full.
    fn write_group(
        &mut self,
        first: Queued,
        queued: &Queue,
        wake: &Sender<()>,
        appended: &Sender<()>,
    ) {
        let mut left = 1 + queued.records.len();
        let mut records = std::iter::once(first).chain(queued.records.try_iter());
        while left > 0 {
            let room = self.appender.room().min(GROUP_RECORDS);
            let written = self.encode(&mut records, left.min(room), queued);
            self.write(queued, wake, appended);
            left -= written;
            if self.appender.is_due() && self.appender.seal() {
                let _ = wake.try_send(());
            }
            if written == 0 {
                return;
            }
        }
    }

    /// Makes lines of the next records, `most` at most; returns how many.
    fn encode(
        &mut self,
        records: &mut impl Iterator<Item = Queued>,
        most: usize,
        queued: &Queue,
    ) -> usize {
        let (mut count, mut bytes) = (0, 0);
        let listed = self.listed.load_full();
        while count < most && self.buffer.len() < GROUP_BYTES {
            let Some(Queued { record, accepted }) = records.next() else {
                break;
            };
            bytes += record.point().len();
            let limited = self
                .limiter
                .admit(record.point(), &listed, &mut self.buffer);
            if limited != Limited::default() {
                self.metrics.records.limited.add(u64::from(limited.changed));
                limited.say();
            }
            line::finish(self.clock.stamp(accepted), &mut self.buffer);
            count += 1;
        }
        queued.gone(bytes);
        self.lines = count as u64;
        count
    }

    /// Appends the lines, however often the disk has to be asked. A stop waits a few seconds for it, and
    /// drops them then.
    fn write(&mut self, queued: &Queue, wake: &Sender<()>, appended: &Sender<()>) {
        // Before a reader can see them.
        self.appender.stamped(self.clock.last());
        let mut closed = None;
        while let Err(error) = self.append() {
            self.losses.look(&self.metrics);
            // A full disk has room again when what is on it is delivered, the open segment as well.
            self.seal_if_due(wake, appended);
            thread::sleep(RETRY);
            if !queued.is_closed() {
                continue;
            }
            let since: &mut Instant = closed.get_or_insert_with(Instant::now);
            if since.elapsed() >= LAST_RETRIES {
                self.metrics.records.dropped_unwritten.add(self.lines);
                self.losses.unwritten(self.lines, &error);
                break;
            }
        }
        self.limiter.save();
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER);
    }

    fn append(&mut self) -> io::Result<()> {
        let appended = self.appender.append(&self.buffer, self.lines);
        let failing = &self.metrics.health.disk_failing;
        failing.store(appended.is_err(), Ordering::Relaxed);
        let missed = self.appender.take_missed();
        self.losses.missed(missed, &self.metrics);
        match &appended {
            Ok(()) => self.losses.kept(),
            Err(error) => self.losses.refused(error),
        }
        appended
    }

    fn seal_if_due(&mut self, wake: &Sender<()>, appended: &Sender<()>) {
        if self.appender.is_due() && self.appender.seal() {
            // Full means that they are about to wake up anyway.
            let _ = wake.try_send(());
            let _ = appended.try_send(());
        }
    }
}
