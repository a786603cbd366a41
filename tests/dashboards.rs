//! The Grafana dashboards. If these tests failed, a panel would show an error or a wrong number.
//!
//! The tests check the JSON, and run each query, expanded as Grafana does, in a real InfluxDB or Prometheus. They do not
//! run Grafana.

mod colours;
mod expected;
mod grafana;
mod installations;
mod lint;
mod played;
mod prometheus;
mod service;
