//! `/healthz`: whether the operator has to act, and why.

use std::sync::atomic::Ordering;

use super::answer::Answer;
use crate::metrics::Metrics;
use crate::spool::Spool;

/// 200, or 503 with a line for each reason.
pub(super) fn healthz(metrics: &Metrics, spool: &Spool) -> Answer {
    let health = &metrics.health;
    let reasons = [
        (
            health.deaf.load(Ordering::Relaxed) > 0,
            "unresponsive: the server does not answer its own requests",
        ),
        (
            health.disk_failing.load(Ordering::Relaxed),
            "disk: the spool cannot be written",
        ),
        (
            health.counting_failing.load(Ordering::Relaxed),
            "totals: the ledger cannot be written, records wait to be counted",
        ),
        (
            health.delivery_stalled.load(Ordering::Relaxed),
            "delivery: the database answers, but nothing was delivered for an hour",
        ),
        (
            is_nearly_full(spool),
            "spool: over 90 % of --spool-max-size",
        ),
        (
            metrics.config.outdated.load(Ordering::Relaxed),
            "configuration: the files on disk are invalid or keep changing, older ones are served",
        ),
    ];
    let failing: Vec<&str> = reasons
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, why)| *why)
        .collect();
    match failing.as_slice() {
        [] => Answer::text(200, "text/plain", "ok\n".to_owned()),
        reasons => Answer::text(503, "text/plain", reasons.join("\n") + "\n"),
    }
}

/// Whether records may soon be lost. Without a database to deliver to, a spool is full most of the time, and no
/// counted record is lost by it.
fn is_nearly_full(spool: &Spool) -> bool {
    let (size, max) = spool.size();
    spool.to_deliver().is_some() && size > max / 10 * 9
}
