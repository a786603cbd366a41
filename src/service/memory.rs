//! A limit on the process's memory, because tiny_http has no limit on the size of headers.
//!
//! tiny_http reads all headers of a request before our code sees it, and short header lines take 15 to 40 times their
//! size in memory. The allocator keeps much of that. So a single client that gets past the proxy could make the
//! kernel kill InfluxDB, or this process with records in its queue. Over the limit this process stops instead, and
//! writes its queue to the spool. Some 200 clients at once can delay that stop by seconds; at twice the limit the
//! process kills itself immediately, as in a crash.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io, thread};

use crossbeam_channel::Sender;
use rustix::process::{Signal, getpid, kill_process};

use crate::http::routes::App;
use crate::service::options::StartOptions;

/// How often the memory is checked: two cores fill several hundred MiB a second.
const INTERVAL: Duration = Duration::from_millis(200);
/// Bytes for everything but the following: 64 MiB of queue, a group and a batch of it, and what the allocator
/// keeps. 1024 connections with the largest check-ins were measured at 173 MiB in all.
const BASE: u64 = 512 << 20;
/// Bytes for a connection's stack, and for the largest check-in in its parts.
const PER_CONNECTION: u64 = 256 << 10;
/// Bytes for each of `--max-series`: values and hashes, and room for their tables to grow.
const PER_SERIES: u64 = 512;
const MIB: u64 = 1 << 20;

/// Checks the memory of the process against its limit.
pub struct Memory {
    app: Arc<App>,
    geodb: Option<PathBuf>,
    /// The limit without the geo databases, in bytes.
    without_geodb: u64,
    /// The memory above which the next warning is logged, in bytes.
    warn_at: u64,
}

impl Memory {
    pub fn new(options: &StartOptions, app: Arc<App>) -> Memory {
        Memory {
            app,
            geodb: options.sources.geodb.clone(),
            without_geodb: BASE
                + options.max_connections as u64 * PER_CONNECTION
                + options.limits.series as u64 * PER_SERIES,
            warn_at: 0,
        }
    }

    /// Checks the memory regularly from a thread of its own; `fatal` gets a message when the limit is exceeded.
    pub fn watch(mut self, fatal: Sender<String>) -> io::Result<()> {
        let look = move || {
            loop {
                match resident() {
                    Ok(resident) => self.look(resident, &fatal),
                    Err(error) => {
                        return log::warn!("memory cannot be limited: /proc/self/statm: {error}");
                    }
                }
                thread::sleep(INTERVAL);
            }
        };
        let name = "memory".to_owned();
        thread::Builder::new().name(name).spawn(look).map(drop)
    }

    fn look(&mut self, resident: u64, fatal: &Sender<String>) {
        // The usual case. Geo databases only raise the limit, so their sizes are not needed.
        if resident <= self.without_geodb / 2 {
            return;
        }
        let limit = self.limit();
        let found = || {
            format!(
                "{} MiB of memory in use, the limit is {} MiB",
                resident / MIB,
                limit / MIB
            )
        };
        if resident > limit {
            let why = format!(
                "{}; probably a client sends endless headers; allow connections only from a proxy that limits \
                 headers",
                found()
            );
            // If the channel is full, the process ends already.
            let _ = fatal.try_send(why);
            if resident > 2 * limit {
                log::error!(
                    "{}; killing the process now, because a normal stop takes too long",
                    found()
                );
                // exit(3) would wait for contended locks too.
                let _ = kill_process(getpid(), Signal::KILL);
            }
        } else if resident > self.warn_at.max(limit / 2) {
            // The allocator keeps this memory, so only further growth is worth another warning.
            self.warn_at = resident + limit / 8;
            log::warn!(
                "{}; at the limit the server stops, so that it is restarted; if there are no large requests, a \
                 client sends endless headers; refuse them with a proxy in front",
                found()
            );
        }
    }

    /// The limit in bytes, with room for the geo database in use and for one that a reload may be loading.
    fn limit(&self) -> u64 {
        let in_use = self.app.served.load();
        let in_use = in_use.snapshot.geodb.as_ref().map(|db| db.size());
        let on_disk = self.geodb.as_ref().and_then(|path| fs::metadata(path).ok());
        let on_disk = on_disk.map_or(0, |file| file.len());
        self.without_geodb + in_use.unwrap_or(0) as u64 + on_disk
    }
}

/// The memory of this process that is in RAM, in bytes (proc_pid_statm(5)).
fn resident() -> io::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    let pages = pages.ok_or(io::ErrorKind::InvalidData)?;
    Ok(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_grows_by_what_is_taken() {
        let before = resident().unwrap();
        assert!(before > MIB, "{before}");
        let taken = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = resident().unwrap();
        assert!(after > before + 32 * MIB, "{before}, {after}");
        drop(taken);
    }
}
