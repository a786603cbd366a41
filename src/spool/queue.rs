//! The queue between the connection threads and the writer thread: bounded by number and by bytes.
//!
//! A usual record has some hundred bytes, one of a hostile client 52 KB, of which the number alone would
//! let several GB wait.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::clock::now_ns;
use crate::line::Record;
use crate::metrics::Metrics;

/// Records that may wait for the writer thread.
const MOST_RECORDS: usize = 65_536;
/// Bytes of them: so much for each of that many that none but large ones are over it.
const MOST_BYTES: usize = MOST_RECORDS * 1024;

/// The connection threads' end.
#[derive(Clone, Debug)]
pub struct Recorder {
    records: Entrance,
    bytes: Arc<AtomicUsize>,
    /// How often a record was dropped.
    losses: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

/// `None` once no records are taken any more. A record is queued under the lock, so that none comes after
/// the writer has seen the end: that takes no longer than a `try_send`.
type Entrance = Arc<RwLock<Option<Sender<Queued>>>>;

/// A record and the moment at which it was accepted, in ns since 1970: a record that waits for the disk is
/// counted in the period in which its client asked.
#[derive(Debug)]
pub struct Queued {
    pub record: Record,
    pub accepted: i64,
}

/// The writer thread's end.
#[derive(Debug)]
pub struct Queue {
    pub records: Receiver<Queued>,
    entrance: Entrance,
    bytes: Arc<AtomicUsize>,
}

/// No records are taken any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Both ends. `losses` is told of each record that was dropped.
pub fn new(metrics: Arc<Metrics>, losses: Arc<AtomicU64>) -> (Recorder, Queue) {
    let (sender, records) = bounded(MOST_RECORDS);
    let bytes = Arc::new(AtomicUsize::new(0));
    let entrance = Arc::new(RwLock::new(Some(sender)));
    let recorder = Recorder {
        records: Arc::clone(&entrance),
        bytes: Arc::clone(&bytes),
        losses,
        metrics,
    };
    let queue = Queue {
        records,
        entrance,
        bytes,
    };
    (recorder, queue)
}

impl Recorder {
    /// Queues a record. Never blocks: where the queue is full, the record is dropped and counted.
    /// Fails only when the recorder is closed: then the check-in was not accepted.
    pub fn record(&self, record: Record) -> Result<(), Stopped> {
        let counts = &self.metrics.records;
        // Nothing that is done under the lock panics.
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let Some(records) = records.as_ref() else {
            return Err(Stopped);
        };
        let size = record.point().len();
        let queued = Queued {
            record,
            accepted: now_ns(),
        };
        // A bound, not an order: a few bytes more, of records that are being queued now, do not matter.
        let sent = if self.bytes.fetch_add(size, Ordering::Relaxed) < MOST_BYTES {
            records.try_send(queued)
        } else {
            Err(TrySendError::Full(queued))
        };
        match sent {
            Ok(()) => counts.accepted.add(1),
            Err(TrySendError::Full(_)) => {
                self.bytes.fetch_sub(size, Ordering::Relaxed);
                counts.accepted.add(1);
                counts.dropped_channel_full.add(1);
                self.losses.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => return Err(Stopped),
        }
        Ok(())
    }

    /// Lets no record in any more. The writer ends when it has written those that are queued.
    pub fn close(&self) {
        *self.records.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Queue {
    /// No more records come than those that are queued.
    pub fn is_closed(&self) -> bool {
        let entrance = self.entrance.read();
        entrance.unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// So many bytes of records that were taken out are gone.
    pub fn gone(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkin::request;
    use crate::geo::Location;

    #[test]
    fn large_records_fill_it_before_there_are_many_and_are_counted() {
        let body = format!("{{\"extraFieldInfo\":{{\"a\":\"{}\"}}}}", "x".repeat(190));
        let check_in = request::parse(body.as_bytes(), None).unwrap();
        let record = Record::new(&check_in.parts(Location::default(), None), &mut Vec::new());
        let metrics = Arc::new(Metrics::default());
        let (recorder, queue) = new(Arc::clone(&metrics), Arc::default());
        // As if others were waiting.
        let size = record.point().len();
        recorder
            .bytes
            .store(MOST_BYTES - 2 * size, Ordering::Relaxed);
        for _ in 0..5 {
            recorder.record(record.clone()).unwrap();
        }
        assert_eq!(queue.records.len(), 2);
        assert_eq!(metrics.records.accepted.get(), 5);
        assert_eq!(metrics.records.dropped_channel_full.get(), 3);
        queue.gone(size);
        recorder.record(record).unwrap();
        assert_eq!(queue.records.len(), 3);
    }
}
