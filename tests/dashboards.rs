//! The Grafana dashboards: that their JSON is sound, and that each of their queries, expanded as Grafana
//! expands it, gives the numbers that were played into a real InfluxDB and a real Prometheus. Grafana
//! itself takes no part.

mod colours;
mod expected;
mod grafana;
mod installations;
mod lint;
mod played;
mod prometheus;
mod service;
