//! What every integration test stands on: the real server, a real InfluxDB, a real nginx, a scripted
//! peer for what a real InfluxDB cannot be made to do, and a small HTTP client with a load generator.
//!
//! Two rules keep the tests honest. Nothing sleeps for luck: whoever needs something to be so waits for
//! it with [`wait_for`]. Whoever starts a process holds a handle whose drop ends exactly that process,
//! also when the test panics.

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

/// How often a condition that is waited for is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Waits until `holds` says yes; panics with `what` if that takes longer than `limit`.
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
