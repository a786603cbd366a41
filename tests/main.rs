//! All integration tests in one binary, so that they are linked once: the real server, a real InfluxDB,
//! a real nginx. What they share is in `support`.
#![forbid(unsafe_code)]

mod abuse;
mod bad_files;
mod cardinality;
mod changed_periods;
mod check_config;
mod check_in;
mod cli;
mod client_address;
mod clock;
mod copyright;
mod crash;
mod dashboards;
mod disk;
mod end_to_end;
mod harness_itself;
mod harness_server;
mod http_rules;
mod influx_setup;
mod influx_tls;
mod late_periods;
mod line_protocol;
mod listener;
mod metrics;
mod outage;
mod packaging;
mod query_period;
mod readme;
mod refusals;
mod reload;
mod silent_periods;
mod soak;
mod spool_recovery;
mod support;
mod systemd;
