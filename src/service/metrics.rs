//! The counters of the running service. This module counts; it never formats or serves.
//!
//! Architecture invariant: no counter is labelled by anything a client chose.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::checkin::request::LeftOut;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        // Independent numbers: nothing is ordered by them.
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted, from the start of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    pub http: HttpMetrics,
    pub check_ins: CheckInMetrics,
    pub records: RecordMetrics,
    pub influx: InfluxMetrics,
    pub config: ConfigMetrics,
}

/// Requests by what became of them.
#[derive(Debug, Default)]
pub struct HttpMetrics {
    pub connections: Counter,
    pub answered: Counter,
    pub refused: Counter,
    /// Broken off before there was a request to answer, or refused by tiny_http itself.
    pub broken: Counter,
}

/// Check-ins and what was left out of them.
#[derive(Debug, Default)]
pub struct CheckInMetrics {
    /// Answered, but not recorded, because `appVersion` breaks the schema.
    pub not_recordable: Counter,
    pub not_in_schema: Counter,
    pub wrong_type: Counter,
    pub too_long: Counter,
    pub bad_key: Counter,
    pub reserved: Counter,
    pub geo_found: Counter,
    pub geo_not_found: Counter,
    pub geo_broken: Counter,
}

impl CheckInMetrics {
    /// Adds what one check-in left out. Most leave out nothing, and cost nothing here.
    pub fn add_left_out(&self, left_out: &LeftOut) {
        if *left_out == LeftOut::default() {
            return;
        }
        self.not_in_schema.add(left_out.not_in_schema.into());
        self.wrong_type.add(left_out.wrong_type.into());
        self.too_long.add(left_out.too_long.into());
        self.bad_key.add(left_out.bad_key.into());
        self.reserved.add(left_out.reserved.into());
    }
}

/// The life of records. At every moment
/// `found + accepted = delivered + waiting + rejected + dropped`,
/// where waiting is what is in the channel and in the spool.
#[derive(Debug, Default)]
pub struct RecordMetrics {
    /// In the spool when the service started.
    pub found: Counter,
    /// Made from check-ins, whatever became of them.
    pub accepted: Counter,
    /// Stored by InfluxDB.
    pub delivered: Counter,
    /// Refused by InfluxDB and kept in the rejected files.
    pub rejected: Counter,
    /// Lost because the channel to the writer was full.
    pub dropped_channel_full: Counter,
    /// Lost because the spool could not be written.
    pub dropped_disk: Counter,
    /// Lost because the spool had reached its maximal size.
    pub dropped_spool_full: Counter,
    /// Lost because somebody removed or truncated spool files.
    pub dropped_vanished: Counter,
}

impl RecordMetrics {
    /// Records lost for any reason.
    pub fn dropped(&self) -> u64 {
        self.dropped_channel_full.get()
            + self.dropped_disk.get()
            + self.dropped_spool_full.get()
            + self.dropped_vanished.get()
    }

    /// Records in channel and spool, by the equation above.
    pub fn waiting(&self) -> u64 {
        let ended = self.delivered.get() + self.rejected.get() + self.dropped();
        (self.found.get() + self.accepted.get()).saturating_sub(ended)
    }
}

/// Write requests to InfluxDB by outcome.
#[derive(Debug, Default)]
pub struct InfluxMetrics {
    pub stored: Counter,
    pub refused: Counter,
    pub retried: Counter,
}

/// The state of the snapshot.
#[derive(Debug, Default)]
pub struct ConfigMetrics {
    pub reloaded: Counter,
    pub refused: Counter,
    /// The files on disk were refused: what is served is older than they are.
    pub outdated: AtomicBool,
}
