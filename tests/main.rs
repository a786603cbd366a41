//! All integration tests in one binary, so that they are linked once: the real server, a real InfluxDB,
//! a real nginx. What they share is in `support`.
#![forbid(unsafe_code)]

mod dashboards;
mod harness_itself;
mod harness_server;
mod support;
