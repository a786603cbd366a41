//! The line that summarises in the log what happened since the last one, and the account at the stop.

use std::sync::Arc;

use crate::metrics::{BUCKETS, Metrics, quantile};

/// Counts since the last log line.
#[derive(Debug)]
pub struct Summary {
    metrics: Arc<Metrics>,
    last: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    check_ins: u64,
    recorded: u64,
    refused: u64,
    delivered: u64,
    rejected: u64,
    dropped: u64,
    handling: [u64; BUCKETS.len() + 1],
}

impl Counts {
    fn of(metrics: &Metrics) -> Counts {
        let http = &metrics.http;
        let recorded = metrics.check_ins.recorded.get();
        Counts {
            check_ins: recorded + metrics.check_ins.not_recordable.get(),
            recorded,
            refused: http.refusals(),
            delivered: metrics.records.delivered.get(),
            rejected: metrics.records.rejected.get(),
            dropped: metrics.records.dropped(),
            handling: http.handling.counts(),
        }
    }
}

impl Summary {
    pub fn new(metrics: Arc<Metrics>) -> Summary {
        Summary {
            metrics,
            last: Counts::default(),
        }
    }

    /// The summary of what happened since the last one; `None` for nothing. Answers alone are nothing: views of the
    /// public page are no check-ins.
    pub fn since_last(&mut self) -> Option<String> {
        let now = Counts::of(&self.metrics);
        let last = std::mem::replace(&mut self.last, now);
        let counted = Counts {
            handling: last.handling,
            ..now
        };
        (counted != last).then(|| {
            let handling = std::array::from_fn(|i| now.handling[i] - last.handling[i]);
            format!(
                "{} check-ins, {} recorded, {} requests refused, {} records delivered, {} waiting, \
                 {} rejected, {} dropped{}",
                now.check_ins - last.check_ins,
                now.recorded - last.recorded,
                now.refused - last.refused,
                now.delivered - last.delivered,
                self.metrics.records.waiting(),
                now.rejected - last.rejected,
                now.dropped - last.dropped,
                handled_within(&handling),
            )
        })
    }
}

/// The time within which requests were handled; empty if there were none.
fn handled_within(handling: &[u64; BUCKETS.len() + 1]) -> String {
    if handling.iter().all(|count| *count == 0) {
        return String::new();
    }
    let bound = quantile(handling, 0.99);
    if bound.is_finite() {
        format!("; 99 % handled within {} ms", bound * 1000.0)
    } else {
        "; some took more than 10 s".to_owned()
    }
}

/// The counts since the start, for `systemctl status`.
pub fn status(metrics: &Metrics) -> String {
    let records = &metrics.records;
    format!(
        "{} check-ins recorded, {} records delivered, {} waiting, {} rejected, {} dropped",
        metrics.check_ins.recorded.get(),
        records.delivered.get(),
        records.waiting(),
        records.rejected.get(),
        records.dropped(),
    )
}

/// The equation of [`RecordMetrics`](crate::metrics::RecordMetrics), for the last log line. `waiting` is the number
/// that was counted in the spool.
pub fn totals(metrics: &Metrics, waiting: u64) -> String {
    let records = &metrics.records;
    format!(
        "records found {} + accepted {} = delivered {} + waiting {waiting} + rejected {} + dropped {} + expired {}",
        records.found.get(),
        records.accepted.get(),
        records.delivered.get(),
        records.rejected.get(),
        records.dropped(),
        records.expired.get(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_comes_only_if_one_of_its_numbers_has_changed() {
        let metrics = Arc::new(Metrics::default());
        let mut summary = Summary::new(Arc::clone(&metrics));
        assert_eq!(summary.since_last(), None);
        // A view of the public page.
        metrics.http.handling.observe(Duration::from_millis(1));
        assert_eq!(summary.since_last(), None);
        metrics.check_ins.recorded.add(1);
        let line = summary.since_last().unwrap_or_default();
        assert!(
            line.starts_with("1 check-ins, 1 recorded, 0 requests refused"),
            "{line}"
        );
        assert_eq!(summary.since_last(), None);
    }
}
