//! The queue between the connection threads and the writer thread, limited by number and by bytes of records.
//!
//! The limit in bytes is there because a hostile client's record can have 52 KB instead of some hundred bytes:
//! 65,536 of those would take several GB. Queueing a record must never block.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::clock::now_ns;
use crate::line::Record;
use crate::metrics::Metrics;

/// Records that may wait for the writer thread.
const MOST_RECORDS: usize = 65_536;
/// Bytes of records that may wait. Only records larger than usual reach this limit before the other.
const MOST_BYTES: usize = MOST_RECORDS * 1024;

/// The connection threads' end.
#[derive(Clone, Debug)]
pub struct Recorder {
    records: Entrance,
    bytes: Arc<AtomicUsize>,
    /// Number of dropped records.
    losses: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

/// The sending end, `None` once the queue is closed. A record is queued under the lock, so that none comes after
/// the writer has seen the queue closed. The lock is held no longer than a `try_send` takes.
type Entrance = Arc<RwLock<Option<Sender<Queued>>>>;

/// A record that waits for the writer.
#[derive(Debug)]
pub struct Queued {
    pub record: Record,
    /// The time of acceptance, in ns since 1970. A record that waits for the disk is counted in the period in which
    /// its client sent it.
    pub accepted: i64,
}

/// The writer thread's end.
#[derive(Debug)]
pub struct Queue {
    pub records: Receiver<Queued>,
    entrance: Entrance,
    bytes: Arc<AtomicUsize>,
}

/// Error: the queue is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Both ends of a queue. `losses` counts the dropped records.
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
    /// Queues a record. Never blocks: if the queue is full, the record is dropped and counted.
    /// Fails only after [`close`](Recorder::close): then the check-in was not accepted.
    pub fn record(&self, record: Record) -> Result<(), Stopped> {
        let counts = &self.metrics.records;
        // A poisoned lock is safe to use: nothing that is done under it panics.
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let Some(records) = records.as_ref() else {
            return Err(Stopped);
        };
        let size = record.point().len();
        let queued = Queued {
            record,
            accepted: now_ns(),
        };
        // Relaxed, because the limit may be passed by a few records that are queued at the same moment.
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

    /// Closes the queue for new records. The writer ends when it has written those that are queued.
    pub fn close(&self) {
        *self.records.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Queue {
    /// Whether no more records come than those that are queued.
    pub fn is_closed(&self) -> bool {
        let entrance = self.entrance.read();
        entrance.unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Subtracts the bytes of records that were taken out of the queue.
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
