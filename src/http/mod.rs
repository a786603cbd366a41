//! The HTTP side: connections, limits, routes, answers. The only modules that see tiny_http.
//!
//! Architecture invariant: a request never waits for InfluxDB, for DNS or for a disk flush.

pub mod answer;
pub mod buffers;
pub mod client_addr;
mod headers;
mod healthz;
pub mod installations;
pub mod listener;
pub mod metrics_page;
pub mod operator;
pub mod pages;
mod prometheus;
pub mod public;
mod read_body;
pub mod routes;
pub mod served;
pub mod slots;
pub mod socket;
mod target;
mod threads;
mod wanted;
