//! All integration tests in one binary, so that they are linked once. They use the real server, InfluxDB and nginx; shared
//! code is in `support`.
//!
//! A test that lacks a program or a permission fails; with MAY_SKIP=1 it is skipped. Tests that need root are skipped
//! without root, and the test of the units without systemd-analyze. A skipped test prints "skipped:" and the reason;
//! libtest counts it as passed.
#![forbid(unsafe_code)]

mod abuse;
mod applications;
mod bad_answers;
mod bad_files;
mod cardinality;
mod check_config;
mod check_in;
mod cli;
mod client_address;
mod clients;
mod clock;
mod copyright;
mod crash;
mod damaged_spool;
mod dashboards;
mod disk;
mod documents;
mod end_to_end;
mod floors;
mod harness_itself;
mod harness_server;
mod history;
mod http_rules;
mod influx_setup;
mod influx_tls;
mod left_out;
mod line_protocol;
mod listener;
mod metrics;
mod odd_check_ins;
mod outage;
mod packaging;
mod page;
mod protocols;
mod refusals;
mod reload;
mod report;
mod rules;
mod same_hours;
mod scale;
mod sent_totals;
mod settings;
mod several_servers;
mod soak;
mod spool_recovery;
mod support;
mod systemd;
mod totals;
