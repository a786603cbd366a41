//! Debian's `wrk` as the client. Each of its connections sends one request at a time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::common::{ADDRESSES, Workload};
use crate::support::client::Address;
use crate::support::scratch::Scratch;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load/check-ins.lua");

/// The check-ins to send, the number of connections, and the time.
#[derive(Clone)]
pub struct Wrk {
    check_ins: PathBuf,
    connections: usize,
    time: Duration,
}

/// The number of answers and their latencies.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    /// Complete answers; at the end, each connection may have had one more in flight.
    pub count: u64,
    pub seconds: f64,
    /// In milliseconds.
    pub p50: f64,
    pub p99: f64,
    pub slowest: f64,
}

impl Wrk {
    pub fn new(scratch: &Scratch, workload: &Workload, connections: usize, time: Duration) -> Wrk {
        let lines = workload.bodies.iter().enumerate();
        // Addresses are assigned in turn.
        let lines = lines.map(|(n, body)| format!("{}\t{body}\n", ADDRESSES[n % ADDRESSES.len()]));
        let file = scratch.write("check-ins", lines.collect::<String>());
        Wrk {
            check_ins: file,
            connections,
            time,
        }
    }

    pub fn for_time(&self, time: Duration) -> Wrk {
        Wrk {
            time,
            ..self.clone()
        }
    }

    /// Sends check-ins until the time is over. An answer other than 200 is an error.
    pub fn send(&self, to: &Address) -> Result<Answers> {
        let output = Command::new("wrk")
            .args(["-t", "1", "-c", &self.connections.to_string()])
            .args(["-d", &format!("{}s", self.time.as_secs())])
            .args(["--timeout", "10s"])
            .args([Path::new("-s"), Path::new(SCRIPT)])
            .arg(format!("http://{to}"))
            .arg("--")
            .arg(&self.check_ins)
            .output()
            .map_err(|error| format!("wrk: {error}; install wrk"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let result = text.lines().find_map(|line| line.strip_prefix("result "));
        let numbers = result.map(|line| line.split(' ').map(str::parse::<f64>));
        let numbers = numbers.and_then(|n| n.collect::<std::result::Result<Vec<_>, _>>().ok());
        match numbers.as_deref() {
            Some(&[count, 0.0, micros, p50, p99, slowest]) => Ok(Answers {
                count: count as u64,
                seconds: micros / 1e6,
                p50: p50 / 1e3,
                p99: p99 / 1e3,
                slowest: slowest / 1e3,
            }),
            Some(_) => Err(format!("some check-ins got no answer of 200:\n{text}").into()),
            None => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("wrk printed no result:\n{text}{said}").into())
            }
        }
    }
}
