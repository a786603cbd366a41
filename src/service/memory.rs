//! A limit on the process's memory, in place of one on headers that cannot be set.
//!
//! The HTTP library reads a head to its end before anybody else sees it, however many lines it has, and
//! takes 15 to 40 times the bytes of short ones. Much of that stays with the allocator. So whoever gets past
//! the proxy could fill the machine, and the kernel would end this process, or another, in the midst of its
//! work. Over the limit it ends by itself instead, with all that is queued in the spool. Some 200 clients
//! at once can starve that stop for seconds; at twice the limit it is killed immediately, as in a crash.
//!
//! Without it: one client that gets past the proxy makes the kernel kill InfluxDB or this process, with records in
//! the queue.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io, thread};

use crossbeam_channel::Sender;
use rustix::process::{Signal, getpid, kill_process};

use crate::http::routes::App;
use crate::service::options::StartOptions;

/// How often memory is looked at: two cores fill several hundred MiB a second.
const INTERVAL: Duration = Duration::from_millis(200);
/// For everything but the following: 64 MiB of queue, a group and a batch of it, and what the allocator
/// keeps. 1024 connections with the largest check-ins were measured at 173 MiB in all.
const BASE: u64 = 512 << 20;
/// A connection's stack, and the largest check-in in its parts.
const PER_CONNECTION: u64 = 256 << 10;
/// For each of `--max-series`: values and hashes, and room for their tables to grow.
const PER_SERIES: u64 = 512;
const MIB: u64 = 1 << 20;

/// What the process may take.
pub struct Memory {
    app: Arc<App>,
    geodb: Option<PathBuf>,
    /// The limit without the geo databases.
    without_geodb: u64,
    /// The memory that a warning comes at.
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

    /// Looks again and again from a thread of its own; `fatal` is told when the limit is passed.
    pub fn watch(mut self, fatal: Sender<String>) -> io::Result<()> {
        let look = move || {
            loop {
                match resident() {
                    Ok(resident) => self.look(resident, &fatal),
                    Err(error) => {
                        return log::warn!("the memory is not limited: /proc/self/statm: {error}");
                    }
                }
                thread::sleep(INTERVAL);
            }
        };
        let name = "memory".to_owned();
        thread::Builder::new().name(name).spawn(look).map(drop)
    }

    fn look(&mut self, resident: u64, fatal: &Sender<String>) {
        // As nearly always. Databases only raise the limit, so they need not be asked for.
        if resident <= self.without_geodb / 2 {
            return;
        }
        let limit = self.limit();
        let found = || {
            format!(
                "{} MiB of memory are taken, the limit is {}",
                resident / MIB,
                limit / MIB
            )
        };
        if resident > limit {
            let why = format!(
                "{}; a client that sends headers without end does that, past a proxy that should refuse \
                 them: let nobody reach the server but a proxy that limits headers",
                found()
            );
            // Full means that the process ends already.
            let _ = fatal.try_send(why);
            if resident > 2 * limit {
                log::error!(
                    "{}; killed immediately, because a stop takes too long",
                    found()
                );
                // exit(3) waits for locks that are as contended.
                let _ = kill_process(getpid(), Signal::KILL);
            }
        } else if resident > self.warn_at.max(limit / 2) {
            // What the allocator keeps is no news the next time; more than that is.
            self.warn_at = resident + limit / 8;
            log::warn!(
                "{}, at which the server ends, to be started again; if that is not one large request, \
                 somebody sends headers without end: let a proxy in front refuse them",
                found()
            );
        }
    }

    /// With room for the geo database in use, and for the one that a reload may be taking.
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
