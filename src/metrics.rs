//! The counters of the running service. This module only counts: it never formats or serves metrics.
//!
//! Architecture invariant: no label of a counter is chosen by a client.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

mod rules;

pub use rules::{RuleCounters, RuleMetrics};

/// A number that only increases.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        // Relaxed is enough: nothing depends on the order of counters.
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that is set to the current value.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counters, from the start of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    pub http: HttpMetrics,
    pub check_ins: CheckInMetrics,
    pub records: RecordMetrics,
    pub totals: TotalMetrics,
    pub influx: InfluxMetrics,
    pub config: ConfigMetrics,
    pub health: HealthMetrics,
    pub rules: RuleMetrics,
}

/// Requests by outcome.
#[derive(Debug, Default)]
pub struct HttpMetrics {
    pub connections: Counter,
    /// Requests that tiny_http refused as malformed.
    pub malformed: Counter,
    pub status_200: Counter,
    pub status_400: Counter,
    pub status_404: Counter,
    pub status_405: Counter,
    pub status_408: Counter,
    pub status_413: Counter,
    pub status_415: Counter,
    pub status_503: Counter,
    /// Time from a parsed request to its answer. Health checks, including the server's own, are not
    /// measured.
    pub handling: Histogram,
}

impl HttpMetrics {
    /// Counts an answer with another status than 200.
    pub fn refused(&self, status: u16) {
        let counter = match status {
            404 => &self.status_404,
            405 => &self.status_405,
            408 => &self.status_408,
            413 => &self.status_413,
            415 => &self.status_415,
            503 => &self.status_503,
            _ => &self.status_400,
        };
        counter.add(1);
    }

    /// Requests that were answered with another status than 200.
    pub fn refusals(&self) -> u64 {
        let refusals = [
            &self.status_400,
            &self.status_404,
            &self.status_405,
            &self.status_408,
            &self.status_413,
            &self.status_415,
            &self.status_503,
        ];
        refusals.into_iter().map(Counter::get).sum()
    }
}

/// Check-ins, keys left out of them, and look-ups of locations.
#[derive(Debug, Default)]
pub struct CheckInMetrics {
    pub recorded: Counter,
    /// Answered but not recorded, because `appVersion` breaks the schema.
    pub not_recordable: Counter,
    pub not_in_schema: Counter,
    pub wrong_type: Counter,
    pub too_long: Counter,
    pub not_allowed: Counter,
    pub bad_key: Counter,
    pub reserved: Counter,
    pub geo_found: Counter,
    pub geo_not_found: Counter,
    pub geo_broken: Counter,
}

/// Numbers of extra keys that were left out of one check-in, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    pub not_in_schema: u32,
    pub wrong_type: u32,
    pub too_long: u32,
    pub not_allowed: u32,
    pub bad_key: u32,
    pub reserved: u32,
}

impl CheckInMetrics {
    /// Adds the keys left out of one check-in. Most check-ins have none, and skip the additions.
    pub fn add_left_out(&self, left_out: &LeftOut) {
        if *left_out == LeftOut::default() {
            return;
        }
        self.not_in_schema.add(left_out.not_in_schema.into());
        self.wrong_type.add(left_out.wrong_type.into());
        self.too_long.add(left_out.too_long.into());
        self.not_allowed.add(left_out.not_allowed.into());
        self.bad_key.add(left_out.bad_key.into());
        self.reserved.add(left_out.reserved.into());
    }
}

/// Records by outcome. Invariant: `found + accepted = delivered + waiting + rejected + dropped + expired`, where
/// `waiting` are the records in the channel and in the spool.
#[derive(Debug, Default)]
pub struct RecordMetrics {
    /// Records in the spool at the start of the service.
    pub found: Counter,
    /// Made from check-ins, whatever their outcome.
    pub accepted: Counter,
    /// Stored by InfluxDB.
    pub delivered: Counter,
    /// Refused by InfluxDB or damaged, and kept in the rejected files.
    pub rejected: Counter,
    /// Lost because the channel to the writer was full.
    pub dropped_channel_full: Counter,
    /// Lost because the spool could not be written.
    pub dropped_unwritten: Counter,
    /// Refused by InfluxDB or damaged, and lost because the rejected files could not be written.
    pub dropped_unkept: Counter,
    /// Lost because the spool had reached `--spool-max-size`.
    pub dropped_spool_full: Counter,
    /// Lost because spool files were deleted or truncated by hand.
    pub dropped_vanished: Counter,
    /// Deleted because a spool without a sender had reached `--spool-max-size`; this is not a loss.
    pub expired: Counter,
    /// Stored, but with a tag value replaced by `other`, or without a key.
    pub limited: Counter,
}

impl ConfigMetrics {
    /// Notes that a snapshot was loaded now.
    pub fn loaded_now(&self) {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.loaded.set(since.as_secs());
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Time since the last snapshot was loaded, by the monotonic clock.
    pub fn age(&self) -> Duration {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl RecordMetrics {
    /// Records lost for any reason.
    pub fn dropped(&self) -> u64 {
        self.dropped_channel_full.get()
            + self.dropped_disk()
            + self.dropped_spool_full.get()
            + self.dropped_vanished.get()
    }

    /// Records lost because the disk could not be written.
    pub fn dropped_disk(&self) -> u64 {
        self.dropped_unwritten.get() + self.dropped_unkept.get()
    }

    /// Records in the channel and the spool, by the invariant of [`RecordMetrics`].
    pub fn waiting(&self) -> u64 {
        let ended =
            self.delivered.get() + self.rejected.get() + self.dropped() + self.expired.get();
        (self.found.get() + self.accepted.get()).saturating_sub(ended)
    }
}

/// Records by outcome in the ledger. Invariant: `found + accepted = counted + uncounted + dropped`, where `accepted`
/// is that of [`RecordMetrics`], and `dropped` includes records that never reached the spool.
#[derive(Debug, Default)]
pub struct TotalMetrics {
    /// Records in the spool that were not counted yet when the ledger was opened.
    pub found: Counter,
    pub counted: Counter,
    /// Lost because their segment was deleted before they were counted.
    pub dropped: Counter,
    pub commits: Counter,
    /// Points with totals that the time-series database stored, and that it rejected.
    pub points_stored: Counter,
    pub points_rejected: Counter,
}

impl Metrics {
    /// Records that were lost before they were counted.
    pub fn dropped_uncounted(&self) -> u64 {
        let records = &self.records;
        self.totals.dropped.get()
            + records.dropped_channel_full.get()
            + records.dropped_unwritten.get()
    }

    /// Records in the channel and the spool that are not counted yet, by the invariant of [`TotalMetrics`].
    pub fn uncounted(&self) -> u64 {
        let begun = self.totals.found.get() + self.records.accepted.get();
        begun.saturating_sub(self.totals.counted.get() + self.dropped_uncounted())
    }
}

/// Write requests to InfluxDB by outcome.
#[derive(Debug, Default)]
pub struct InfluxMetrics {
    pub stored: Counter,
    pub refused: Counter,
    /// Failed requests that are sent again, including those that set InfluxDB up.
    pub retried: Counter,
}

/// The state of the snapshot.
#[derive(Debug, Default)]
pub struct ConfigMetrics {
    pub reloaded: Counter,
    pub refused: Counter,
    /// Time at which the current snapshot was loaded, in seconds since 1970.
    pub loaded: Gauge,
    since: Mutex<Option<Instant>>,
    /// The files on disk are invalid or keep changing, so an older snapshot is served.
    pub outdated: AtomicBool,
}

/// Faults that `/healthz` reports.
#[derive(Debug, Default)]
pub struct HealthMetrics {
    /// Number of the server's sockets that do not answer its own requests.
    pub deaf: AtomicUsize,
    /// The last append to the spool failed.
    pub disk_failing: AtomicBool,
    /// The ledger cannot be written.
    pub counting_failing: AtomicBool,
    /// Records wait and the database answers, but nothing was delivered for an hour.
    pub delivery_stalled: AtomicBool,
}

/// Upper bounds of the histogram's buckets, in seconds. Longer durations have a bucket of their own.
pub const BUCKETS: [f64; 14] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05,
    0.1, 1.0, 10.0,
];

/// Durations, counted by bucket.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BUCKETS.len() + 1],
    nanos: Counter,
}

impl Histogram {
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.buckets[BUCKETS.partition_point(|bound| *bound < seconds)].add(1);
        self.nanos
            .add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Number of durations in each bucket; the last bucket is above all bounds.
    pub fn counts(&self) -> [u64; BUCKETS.len() + 1] {
        std::array::from_fn(|index| self.buckets[index].get())
    }

    pub fn count(&self) -> u64 {
        self.counts().iter().sum()
    }

    pub fn sum_seconds(&self) -> f64 {
        self.nanos.get() as f64 / 1e9
    }
}

/// Upper bound, in seconds, of the bucket in which the given share of the counts is reached.
pub fn quantile(counts: &[u64; BUCKETS.len() + 1], share: f64) -> f64 {
    let wanted = share * counts.iter().sum::<u64>() as f64;
    let mut seen = 0;
    for (count, bound) in counts.iter().zip(BUCKETS) {
        seen += count;
        if seen as f64 >= wanted {
            return bound;
        }
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let histogram = Histogram::default();
        for micros in [20, 20, 20, 700] {
            histogram.observe(Duration::from_micros(micros));
        }
        assert_eq!(quantile(&histogram.counts(), 0.5), 0.000_025);
        assert_eq!(quantile(&histogram.counts(), 0.99), 0.001);
        histogram.observe(Duration::from_secs(60));
        assert_eq!(quantile(&histogram.counts(), 0.99), f64::INFINITY);
        assert_eq!(histogram.count(), 5);
    }
}
