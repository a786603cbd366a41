//! The writer thread: takes records from the channel, stamps them, and appends them to the spool.
//!
//! It never waits for InfluxDB nor for a flush, and it goes on whatever the disk does: what cannot
//! be written is counted as dropped and said.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{RecvTimeoutError, Sender};

use super::LONGEST_LINE;
use super::Spool;
use super::cardinality::{Limited, Limiter, Limits, Listed};
use super::clock::{Clock, now_ns};
use super::drops::Drops;
use super::queue::Queue;
use super::segment::{AppendError, OpenSegment};
use crate::line::{Record, encode as line};
use crate::logging::Throttle;
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
/// Full batches that may wait for the sender before segments grow, as they do in an outage.
const FULL_BATCHES: usize = 8;
/// How often an open segment is looked at while no records come.
const SEAL_CHECK: Duration = Duration::from_millis(250);
/// A disk that took records for this long is mended.
const DISK_QUIET: Duration = Duration::from_secs(5);
/// Over the maximal size a segment goes at a time, which at a quiet hour is once in many minutes.
const FULL_QUIET: Duration = Duration::from_secs(3600);

/// The state of the writer thread.
#[derive(Debug)]
pub struct Writer {
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    sync_interval: Duration,
    batch_points: u64,
    open: Option<OpenSegment>,
    opened: Instant,
    clock: Clock,
    limiter: Limiter,
    listed: Arc<ArcSwap<Listed>>,
    buffer: Vec<u8>,
    disk: Drops,
    full: Drops,
    channel: Drops,
    /// What of the counter of the full channel is said already.
    channel_said: u64,
    vanished: Throttle,
}

impl Writer {
    pub fn new(
        spool: Arc<Spool>,
        metrics: Arc<Metrics>,
        sync_interval: Duration,
        batch_points: usize,
        newest_timestamp: Option<i64>,
        limits: Limits,
        listed: Arc<ArcSwap<Listed>>,
    ) -> Writer {
        Writer {
            limiter: Limiter::open(spool.dir(), limits),
            listed,
            spool,
            metrics,
            sync_interval,
            batch_points: batch_points as u64,
            open: None,
            opened: Instant::now(),
            clock: Clock::after(newest_timestamp.unwrap_or(i64::MIN)),
            buffer: Vec::with_capacity(BUFFER),
            disk: Drops::new("writing to the spool", DISK_QUIET),
            full: Drops::new("the full spool", FULL_QUIET),
            channel: Drops::new("too many check-ins at once", DISK_QUIET),
            channel_said: 0,
            vanished: Throttle::default(),
        }
    }

    /// Runs until nobody can queue a record any more and all are written, and seals then. `wake` tells
    /// the sender of sealed segments, and of the end by being dropped.
    pub fn run(mut self, queued: &Queue, wake: &Sender<()>) {
        loop {
            let look_again = if self.open.is_some() || self.is_dropping() {
                SEAL_CHECK
            } else {
                Duration::MAX
            };
            match queued.records.recv_timeout(look_again) {
                Ok(record) => {
                    thread::sleep(GROUP);
                    self.write_group(record, queued, wake);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.seal_if_due(wake);
            self.say_drops();
        }
        self.seal(wake);
    }

    /// Writes a record and those that are queued behind it now, in parts where a batch is full.
    fn write_group(&mut self, first: Record, queued: &Queue, wake: &Sender<()>) {
        let mut left = 1 + queued.records.len();
        let mut records = std::iter::once(first).chain(queued.records.try_iter());
        while left > 0 {
            let (written, bytes) = self.write(&mut records, left.min(self.room()));
            queued.gone(bytes);
            left -= written;
            self.seal_if_due(wake);
            if written == 0 {
                return;
            }
        }
    }

    /// How many records go into the next append at most: a request takes a full batch, and a few
    /// records more would be a request of their own.
    fn room(&self) -> usize {
        let lines = self.open.as_ref().map_or(0, |open| open.lines);
        match self.batch_points.saturating_sub(lines) {
            0 => GROUP_RECORDS,
            missing => GROUP_RECORDS.min(usize::try_from(missing).unwrap_or(usize::MAX)),
        }
    }

    /// Writes the next records, `most` at most; how many, and their bytes in the queue.
    fn write(&mut self, records: &mut impl Iterator<Item = Record>, most: usize) -> (usize, usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let (mut count, mut bytes) = (0, 0);
        let now = now_ns();
        let listed = self.listed.load_full();
        while count < most && buffer.len() < GROUP_BYTES {
            let Some(record) = records.next() else { break };
            bytes += record.point().len();
            let limited = self.limiter.admit(record.point(), &listed, &mut buffer);
            if limited != Limited::default() {
                self.metrics.records.limited.add(u64::from(limited.changed));
                limited.say();
            }
            line::finish(self.clock.stamp(now), &mut buffer);
            count += 1;
        }
        // Before the sender can see them.
        self.spool.stamped(self.clock.last());
        let lines = count as u64;
        let appended = self.append(&buffer, lines);
        self.limiter.save();
        let failing = &self.metrics.health.disk_failing;
        failing.store(appended.is_err(), Ordering::Relaxed);
        if appended.is_ok() {
            for drops in [&mut self.disk, &mut self.full, &mut self.channel] {
                drops.kept();
            }
        }
        if let Err(error) = appended {
            self.metrics.records.dropped_disk.add(lines);
            let dir = self.spool.dir().display();
            let why = format!(
                "{dir}: cannot write: {error}; check-ins are still answered, but not recorded; make \
                 room or mend the disk"
            );
            self.disk.add(lines, why);
        }
        buffer.clear();
        buffer.shrink_to(BUFFER);
        self.buffer = buffer;
        (count, bytes)
    }

    fn append(&mut self, lines: &[u8], count: u64) -> io::Result<()> {
        self.give_up_gone();
        let dropped = self.spool.make_room(lines.len() as u64);
        if dropped > 0 {
            self.metrics.records.dropped_spool_full.add(dropped);
            let dir = self.spool.dir().display();
            let why = format!(
                "{dir}: --spool-max-size is reached and the oldest records go; bring InfluxDB back \
                 or raise it"
            );
            self.full.add(dropped, why);
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        let appended = open.append(lines, count);
        self.spool.appended(&open);
        match appended {
            Ok(()) => self.open = Some(open),
            Err(AppendError::Undone(error)) => {
                self.open = Some(open);
                return Err(error);
            }
            Err(AppendError::Torn(error)) => {
                self.spool.seal(open);
                return Err(error);
            }
        }
        Ok(())
    }

    fn create(&mut self) -> io::Result<OpenSegment> {
        self.opened = Instant::now();
        match self.spool.create_segment() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let vanished = self.spool.recreate()?;
                self.metrics.records.dropped_vanished.add(vanished);
                self.say_vanished("the directory, it is made again", vanished);
                self.spool.create_segment()
            }
            created => created,
        }
    }

    /// A deleted file can still be written to, but nobody will find it.
    fn give_up_gone(&mut self) {
        let dir = self.spool.dir();
        let Some(open) = self.open.take_if(|open| open.is_gone(dir)) else {
            return;
        };
        self.spool.forget_open();
        self.metrics.records.dropped_vanished.add(open.lines);
        self.say_vanished("the segment that was written to", open.lines);
    }

    fn say_vanished(&mut self, what: &str, records: u64) {
        if let Some(records) = self.vanished.tick(records) {
            log::error!(
                "{}: somebody removed {what}; {records} records that waited there are lost; leave \
                 the spool to the server",
                self.spool.dir().display()
            );
        }
    }

    fn is_dropping(&self) -> bool {
        [&self.disk, &self.full, &self.channel]
            .iter()
            .any(|drops| drops.is_going_on())
    }

    fn say_drops(&mut self) {
        // The connection threads only count.
        let dropped = self.metrics.records.dropped_channel_full.get();
        if dropped > self.channel_said {
            let why = "more check-ins at once than can be written down; if that goes on, a faster \
                       disk or lower limits in the proxy help";
            self.channel.add(dropped - self.channel_said, why);
            self.channel_said = dropped;
        }
        for drops in [&mut self.disk, &mut self.full, &mut self.channel] {
            drops.look();
        }
    }

    /// While the sender is far behind, segments grow; else they are sealed by time or by number.
    fn is_due(&self) -> bool {
        let Some(open) = &self.open else { return false };
        if open.bytes >= self.spool.segment_size() || self.spool.is_sync_failed() {
            return true;
        }
        let old = self.opened.elapsed() >= self.sync_interval;
        let full = open.lines >= self.batch_points;
        match self.spool.to_deliver() {
            Some(0) => old || full,
            Some(waiting) => full && waiting < FULL_BATCHES,
            None => false,
        }
    }

    fn seal_if_due(&mut self, wake: &Sender<()>) {
        if self.is_due() {
            self.seal(wake);
        }
    }

    fn seal(&mut self, wake: &Sender<()>) {
        self.give_up_gone();
        if let Some(open) = self.open.take() {
            log::debug!(
                "sealed a segment of {} records, {} bytes",
                open.lines,
                open.bytes
            );
            self.spool.seal(open);
            // Full means that the sender is about to wake up anyway.
            let _ = wake.try_send(());
        }
    }
}
