//! `/metrics`: the names, descriptions and values on the page. `prometheus` writes the text format;
//! [`crate::metrics`] counts.
//!
//! Architecture invariant: no label holds anything a client chose.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::prometheus::Page;
use super::slots::Slots;
use crate::metrics::Metrics;
use crate::spool::Spool;

/// The sources of the page.
#[derive(Debug)]
pub struct MetricsPage {
    pub metrics: Arc<Metrics>,
    pub spool: Arc<Spool>,
    pub slots: Arc<Slots>,
    pub started: Instant,
}

impl MetricsPage {
    /// The page in the Prometheus text format.
    pub fn render(&self) -> String {
        let mut page = Page::new();
        self.requests(&mut page);
        self.check_ins(&mut page);
        self.rules(&mut page);
        self.records(&mut page);
        self.totals(&mut page);
        self.state(&mut page);
        page.into_text()
    }

    fn requests(&self, page: &mut Page) {
        let http = &self.metrics.http;
        page.counter(
            "connections_total",
            "Connections accepted.",
            http.connections.get(),
        );
        page.counter(
            "requests_malformed_total",
            "Malformed requests.",
            http.malformed.get(),
        );
        page.family(
            "requests_total",
            "Requests answered, by status, health checks included, the server's own too.",
            "status",
            &[
                ("200", http.status_200.get()),
                ("400", http.status_400.get()),
                ("404", http.status_404.get()),
                ("405", http.status_405.get()),
                ("408", http.status_408.get()),
                ("413", http.status_413.get()),
                ("415", http.status_415.get()),
                ("503", http.status_503.get()),
            ],
        );
        page.histogram(
            "request_duration_seconds",
            "Time from reading a request to its answer, in seconds, without health checks.",
            &http.handling,
        );
    }

    fn check_ins(&self, page: &mut Page) {
        let counts = &self.metrics.check_ins;
        page.family(
            "check_ins_total",
            "Check-ins answered, by outcome.",
            "outcome",
            &[
                ("recorded", counts.recorded.get()),
                ("app_version_invalid", counts.not_recordable.get()),
            ],
        );
        page.family(
            "keys_left_out_total",
            "Extra tags and fields that were left out, by reason.",
            "reason",
            &[
                ("not_in_schema", counts.not_in_schema.get()),
                ("wrong_type", counts.wrong_type.get()),
                ("too_long", counts.too_long.get()),
                ("not_allowed", counts.not_allowed.get()),
                ("bad_key", counts.bad_key.get()),
                ("reserved", counts.reserved.get()),
            ],
        );
        page.family(
            "geo_lookups_total",
            "Look-ups in the geo database, by result.",
            "result",
            &[
                ("found", counts.geo_found.get()),
                ("not_found", counts.geo_not_found.get()),
                ("broken", counts.geo_broken.get()),
            ],
        );
    }

    /// Without rules the page does not have these metrics.
    fn rules(&self, page: &mut Page) {
        let rules = self.metrics.rules.shown();
        if rules.is_empty() {
            return;
        }
        page.by_rule(
            "rule_decided_total",
            "Check-ins answered by a rule of the response config.",
            &rules,
            |rule| &rule.decided,
        );
        page.by_rule(
            "rule_let_through_total",
            "Check-ins that a rule fitted, but that its Share left to later rules.",
            &rules,
            |rule| &rule.let_through,
        );
    }

    fn records(&self, page: &mut Page) {
        let records = &self.metrics.records;
        page.counter(
            "records_found_total",
            "Records in the spool at start.",
            records.found.get(),
        );
        page.counter(
            "records_accepted_total",
            "Records made of check-ins.",
            records.accepted.get(),
        );
        page.counter(
            "records_delivered_total",
            "Records stored by InfluxDB.",
            records.delivered.get(),
        );
        page.counter(
            "records_rejected_total",
            "Records refused by InfluxDB or damaged, and kept in the rejected files.",
            records.rejected.get(),
        );
        page.family(
            "records_dropped_total",
            "Records lost, by reason.",
            "reason",
            &[
                ("channel_full", records.dropped_channel_full.get()),
                ("disk", records.dropped_disk()),
                ("spool_full", records.dropped_spool_full.get()),
                ("vanished", records.dropped_vanished.get()),
            ],
        );
        page.counter(
            "records_expired_total",
            "Records deleted because a spool without a database reached its maximal size.",
            records.expired.get(),
        );
        page.counter(
            "records_limited_total",
            "Records stored with tags replaced or left out, to limit the number of series.",
            records.limited.get(),
        );
        let influx = &self.metrics.influx;
        page.family(
            "influxdb_writes_total",
            "Write requests to InfluxDB, by outcome; failed attempts to create the database count as retried.",
            "outcome",
            &[
                ("stored", influx.stored.get()),
                ("refused", influx.refused.get()),
                ("retried", influx.retried.get()),
            ],
        );
    }

    fn totals(&self, page: &mut Page) {
        let totals = &self.metrics.totals;
        page.counter(
            "totals_found_total",
            "Records in the spool that were not counted yet when the ledger was opened.",
            totals.found.get(),
        );
        page.counter(
            "totals_counted_total",
            "Records counted in the ledger.",
            totals.counted.get(),
        );
        page.counter(
            "totals_dropped_total",
            "Records lost before they were counted.",
            self.metrics.dropped_uncounted(),
        );
        page.gauge(
            "totals_uncounted",
            "Records in channel and spool that are not counted yet.",
            self.metrics.uncounted(),
        );
        page.counter(
            "totals_commits_total",
            "Transactions of the ledger.",
            totals.commits.get(),
        );
        page.family(
            "totals_points_total",
            "Points with totals sent to the time-series database, by outcome.",
            "outcome",
            &[
                ("stored", totals.points_stored.get()),
                ("rejected", totals.points_rejected.get()),
            ],
        );
    }

    fn state(&self, page: &mut Page) {
        let (size, max) = self.spool.size();
        let age = self.spool.oldest_age().map_or(0.0, |age| age.as_secs_f64());
        let config = &self.metrics.config;
        let outdated = u64::from(config.outdated.load(Ordering::Relaxed));
        page.gauge(
            "records_waiting",
            "Records in channel and spool.",
            self.metrics.records.waiting(),
        );
        page.gauge("spool_bytes", "Bytes of the spool's segments.", size);
        page.gauge(
            "spool_max_bytes",
            "Maximal bytes of the spool (--spool-max-size).",
            max,
        );
        page.gauge(
            "spool_oldest_age_seconds",
            "Age of the oldest waiting record, in seconds.",
            age,
        );
        let connections = self.slots.connections();
        page.gauge("connections", "Connections being served.", connections);
        page.gauge(
            "connections_stuck",
            "Connections without progress for longer than the client time-out.",
            self.slots.stuck(),
        );
        page.counter(
            "config_reloads_total",
            "Configurations loaded after the start.",
            config.reloaded.get(),
        );
        page.counter(
            "config_refusals_total",
            "Configurations refused after the start.",
            config.refused.get(),
        );
        page.gauge(
            "config_outdated",
            "1 while the files on disk are invalid or keep changing, so that older ones are served.",
            outdated,
        );
        page.gauge(
            "config_loaded_timestamp_seconds",
            "Time at which the configuration in use was loaded, in seconds since 1970.",
            config.loaded.get(),
        );
        page.gauge(
            "snapshot_generation",
            "Number of the snapshot in use: 1 at the start, one more after each reload.",
            1 + config.reloaded.get(),
        );
        page.gauge(
            "snapshot_age_seconds",
            "Time since the snapshot in use was loaded, in seconds.",
            config.age().as_secs_f64(),
        );
        page.gauge(
            "uptime_seconds",
            "Time since the start, in seconds.",
            self.started.elapsed().as_secs(),
        );
    }
}
