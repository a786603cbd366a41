//! The writer thread: takes records from the queue, stamps them, and appends them to the log.
//!
//! It must never wait for a reader or a flush. While writes fail, it retries the same lines, and records wait in
//! the queue. Only records that do not fit there, or cannot be written before the server stops, are dropped, counted
//! and logged.

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

/// Time that the first record of a group waits for others. Queueing a record wakes no thread while the writer
/// sleeps, which is cheaper than a wake-up for each. A record has to be in the spool 10 ms after its acceptance, so
/// this is less.
const GROUP: Duration = Duration::from_millis(5);
/// Most records in one append. A burst takes more appends instead of a larger buffer, whose memory the allocator
/// would keep.
const GROUP_RECORDS: usize = 4096;
/// Bytes of an append after which no further record is added.
const GROUP_BYTES: usize = 256 * 1024;
/// Bytes of the buffer for an append.
const BUFFER: usize = GROUP_BYTES + LONGEST_LINE;
/// Time between checks of an open segment while no records come.
const SEAL_CHECK: Duration = Duration::from_millis(250);
/// Time before a failed write is retried.
const RETRY: Duration = Duration::from_millis(50);
/// Time for which a stopping server retries a failed write.
const LAST_RETRIES: Duration = Duration::from_secs(2);

/// The state of the writer thread.
#[derive(Debug)]
pub struct Writer {
    metrics: Arc<Metrics>,
    appender: Appender,
    clock: Clock,
    limiter: Limiter,
    listed: Arc<ArcSwap<Listed>>,
    /// Lines that are not written yet.
    buffer: Vec<u8>,
    /// Number of lines in the buffer.
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

    /// Runs until the queue is closed and its records are written, then seals the segment. `wake` wakes the sender
    /// after a segment is sealed, `appended` the syncer after each append too. Both are disconnected at the end.
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
                    // A full channel wakes the syncer already.
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

    /// Writes a record and those that are queued now, in several appends where a batch or the buffer is full.
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

    /// Encodes the next records as lines in the buffer, at most `most`. Returns their number.
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

    /// Appends the lines in the buffer, and retries until that succeeds. A stopping server gives up after
    /// [`LAST_RETRIES`] and drops the lines.
    fn write(&mut self, queued: &Queue, wake: &Sender<()>, appended: &Sender<()>) {
        // Before a reader can see these lines and have the stamp written.
        self.appender.stamped(self.clock.last());
        let mut closed = None;
        while let Err(error) = self.append() {
            self.losses.look(&self.metrics);
            // Delivered segments are deleted, which makes room on a full disk: so the open one has to be sealed too.
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
            // A full channel wakes its thread already.
            let _ = wake.try_send(());
            let _ = appended.try_send(());
        }
    }
}
