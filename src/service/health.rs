//! The self-check: a real request to our own listener, so that a server that is alive but deaf does
//! not stay so. It feeds systemd's watchdog.
//!
//! It exists because tiny_http can be brought to lose a thread for good, and because whatever else
//! makes a server deaf shows here too. With every slot taken by idle clients the server is busy, not
//! deaf: then only a time without any answer and any freed slot counts.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use socket2::{Domain, SockAddr, Socket, Type};

use super::metrics::Metrics;
use super::{notify, summary};
use crate::http::slots::Slots;
use crate::http::socket::Reach;

/// How often the server asks itself.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long connecting, and then an answer, may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Deaf for this long with slots to spare, the process ends: a failed check takes 2 s and the pause
/// 1 s, so it ends 10 s after the last answer at the latest.
const LIMIT: Duration = Duration::from_secs(8);
/// So many checks in a row must have failed as well: after a pause of the whole machine one failure
/// says nothing.
const FAILURES: u32 = 3;
/// Deaf with every slot taken, it ends this long after the client time-out, by which idle clients
/// should have been cut off.
const MARGIN: Duration = Duration::from_secs(5);

/// Checks each socket from a thread of its own and feeds the watchdog. `fatal` is told when the
/// server is deaf.
pub fn watch(
    reaches: Vec<Reach>,
    client_timeout: Duration,
    slots: &Arc<Slots>,
    metrics: &Arc<Metrics>,
    fatal: &Sender<String>,
) -> io::Result<()> {
    let interval = notify::watchdog_interval().map_or(INTERVAL, |most| most.min(INTERVAL));
    for (index, reach) in reaches.into_iter().enumerate() {
        let check = SelfCheck::new(
            reach,
            client_timeout,
            Arc::clone(slots),
            Arc::clone(metrics),
        );
        let fatal = fatal.clone();
        thread::Builder::new()
            .name("self-check".to_owned())
            .spawn(move || check.repeat(interval, index == 0, &fatal))?;
    }
    Ok(())
}

const DEAF: &str = "the server does not answer its own requests any more";

/// Asks the server through one of its sockets.
#[derive(Debug)]
struct SelfCheck {
    reach: Reach,
    client_timeout: Duration,
    slots: Arc<Slots>,
    metrics: Arc<Metrics>,
    /// When there was a sign of life, and how many answers and freed slots there were then.
    alive: Instant,
    /// Checks in a row that failed.
    failures: u32,
    seen: (u64, u64),
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Alive,
    /// No answer this time.
    Suspect,
    /// No answer for too long.
    Deaf,
}

impl SelfCheck {
    fn new(
        reach: Reach,
        client_timeout: Duration,
        slots: Arc<Slots>,
        metrics: Arc<Metrics>,
    ) -> SelfCheck {
        let alive = Instant::now();
        SelfCheck {
            reach,
            client_timeout,
            slots,
            metrics,
            alive,
            failures: 0,
            seen: (0, 0),
        }
    }

    /// Asks for ever. `speaks` for the process: one socket's life is enough for the watchdog, since a
    /// deaf one ends the process anyway.
    fn repeat(mut self, interval: Duration, speaks: bool, fatal: &Sender<String>) {
        loop {
            match self.check() {
                // Full means that it has been told already.
                Health::Deaf => drop(fatal.try_send(DEAF.to_owned())),
                Health::Alive | Health::Suspect if speaks => {
                    notify::alive();
                    notify::status(&summary::status(&self.metrics));
                }
                Health::Alive | Health::Suspect => {}
            }
            thread::sleep(interval);
        }
    }

    /// Asks once; takes twice [`PATIENCE`] at most.
    fn check(&mut self) -> Health {
        let (free, returned) = self.slots.free();
        let full = free == 0;
        let answered = ask(&self.reach).is_ok();
        // At the cap our own request waits like everybody's, but others may be served.
        let seen = (self.metrics.http.handling.count(), returned);
        let moved = seen != self.seen;
        self.seen = seen;
        let health = if answered || (full && moved) {
            self.alive = Instant::now();
            self.failures = 0;
            Health::Alive
        } else {
            self.failures += 1;
            let limit = if full {
                self.client_timeout + MARGIN
            } else {
                LIMIT
            };
            let long = self.failures >= FAILURES && self.alive.elapsed() >= limit;
            if long { Health::Deaf } else { Health::Suspect }
        };
        self.metrics
            .health
            .deaf
            .store(health != Health::Alive, Ordering::Relaxed);
        health
    }
}

fn ask(reach: &Reach) -> io::Result<()> {
    let (domain, addr) = match reach {
        Reach::Tcp(addr) => (Domain::for_address(*addr), SockAddr::from(*addr)),
        Reach::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
    };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    // For a unix socket too: a full backlog must not block the check.
    socket.connect_timeout(&addr, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    exchange(socket)
}

fn exchange(mut stream: impl Read + Write) -> io::Result<()> {
    stream.write_all(b"GET /v1/healthcheck HTTP/1.1\r\nHost: self\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    if &answer == b"HTTP/1.1 200" {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}
