//! The programs that all integration tests use: the real server, InfluxDB and nginx, a simulated database for answers
//! that a real one cannot be made to give, and an HTTP client with a load generator.
//!
//! A test must never sleep and hope that a condition holds: it waits for the condition with [`wait_for`]. A started
//! process must have a handle whose drop ends exactly that process, also when the test panics.

pub mod account;
pub mod chromium;
pub mod client;
pub mod clock;
pub mod company;
pub mod crashes;
pub mod geodb;
pub mod http;
pub mod influx;
pub mod line_protocol;
pub mod load;
pub mod metrics;
pub mod mount;
pub mod nginx;
pub mod peer;
pub mod process;
pub mod prometheus;
pub mod scratch;
pub mod server;
pub mod skip;
pub mod spool;
pub mod tried;
pub mod victoria_metrics;

use std::thread;
use std::time::{Duration, Instant};

/// The time between two checks of a condition in [`wait_for`].
const POLL: Duration = Duration::from_millis(5);

/// Waits until `holds` returns true; panics with `what` after `limit`.
#[track_caller]
pub fn wait_for(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < limit,
            "waited {limit:?} in vain for: {what}"
        );
        thread::sleep(POLL);
    }
}
