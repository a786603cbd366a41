//! The self-check: the server sends a request to each of its own listeners every second. If one stays unresponsive,
//! the process ends, so that systemd restarts it. The self-check also feeds systemd's watchdog.
//!
//! A request can block a thread of tiny_http indefinitely, and other faults make a server unresponsive too. If idle
//! clients hold every slot, the server is busy, not unresponsive. Then the process ends only if no connection moves,
//! or if half of them are stuck (see `stuck`). Without the stuck check, a few slots that idle clients take in turns
//! would make the server look healthy indefinitely.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use socket2::{Domain, SockAddr, Socket, Type};

use super::stuck::Stuck;
use super::{notify, summary};
use crate::http::slots::{Slots, Turn};
use crate::http::socket::Reach;
use crate::metrics::Metrics;

/// How often the server asks itself.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long connecting may take, and then the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// With free slots, the process ends after this time without an answer. A failed check takes 2 s and the
/// pause 1 s, so it ends at most 10 s after the last answer.
const LIMIT: Duration = Duration::from_secs(8);
/// How many checks in a row must have failed as well: after a pause of the whole machine a single failure
/// means nothing.
const FAILURES: u32 = 3;
/// With every slot taken, the process ends this long after the client time-out, which should have cut
/// off idle clients.
const MARGIN: Duration = Duration::from_secs(5);
/// On a unix socket the local proxy closes idle connections; nginx does so after 60 s.
const PROXY_IDLE: Duration = Duration::from_secs(75);

/// What is watched: the sockets that share their slots.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What the connections are for, for the log.
    pub name: &'static str,
    pub reaches: Vec<Reach>,
    /// The path that is requested.
    pub path: &'static str,
    pub client_timeout: Duration,
    pub slots: Arc<Slots>,
    /// Whether this check feeds the systemd watchdog. One check is enough, since any unresponsive socket
    /// ends the process.
    pub speaks: bool,
}

/// Checks each socket from a thread of its own and feeds the watchdog. `fatal` gets a message when the
/// server is unresponsive.
pub fn watch(watched: &Watched, metrics: &Arc<Metrics>, fatal: &Sender<String>) -> io::Result<()> {
    let interval = notify::watchdog_interval().map_or(INTERVAL, |most| most.min(INTERVAL));
    for (index, reach) in watched.reaches.iter().enumerate() {
        let first = index == 0;
        let check = SelfCheck::new(reach.clone(), watched, first, Arc::clone(metrics));
        let fatal = fatal.clone();
        let speaks = first && watched.speaks;
        thread::Builder::new()
            .name("self-check".to_owned())
            .spawn(move || check.repeat(interval, speaks, &fatal))?;
    }
    Ok(())
}

const DEAF: &str = "the server does not answer its own requests any more";

/// The check of one socket.
#[derive(Debug)]
struct SelfCheck {
    reach: Reach,
    path: &'static str,
    slots: Arc<Slots>,
    /// How long all connections may stand still while every slot is taken.
    stillness: Duration,
    /// Only in the first of the checks that share slots.
    stuck: Option<Stuck>,
    metrics: Arc<Metrics>,
    answer: Missing,
    life: Missing,
    seen: Vec<Turn>,
    deaf: bool,
}

/// Since when something is missing, and from how many checks in a row.
#[derive(Debug)]
struct Missing {
    since: Instant,
    checks: u32,
}

impl Missing {
    fn new() -> Missing {
        Missing {
            since: Instant::now(),
            checks: 0,
        }
    }

    fn note(&mut self, is_there: bool) {
        if is_there {
            *self = Missing::new();
        } else {
            self.checks += 1;
        }
    }

    fn for_long(&self, limit: Duration) -> bool {
        self.checks >= FAILURES && self.since.elapsed() >= limit
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Health {
    Alive,
    /// No answer this time.
    Suspect,
    /// No answer for too long, with the details.
    Deaf(String),
}

impl SelfCheck {
    fn new(reach: Reach, watched: &Watched, first: bool, metrics: Arc<Metrics>) -> SelfCheck {
        let slots = Arc::clone(&watched.slots);
        let cut_off = watched.client_timeout + MARGIN;
        let is_unix = |reach: &Reach| matches!(reach, Reach::Unix(_));
        SelfCheck {
            reach,
            path: watched.path,
            stillness: if watched.reaches.iter().any(is_unix) {
                cut_off.max(PROXY_IDLE + MARGIN)
            } else {
                cut_off
            },
            stuck: first.then(|| Stuck::new(Arc::clone(&slots), watched.name, cut_off)),
            slots,
            metrics,
            answer: Missing::new(),
            life: Missing::new(),
            seen: Vec::new(),
            deaf: false,
        }
    }

    /// Repeats the check until the process ends.
    fn repeat(mut self, interval: Duration, speaks: bool, fatal: &Sender<String>) {
        loop {
            match self.check() {
                // If the channel is full, the process ends already.
                Health::Deaf(why) => drop(fatal.try_send(format!("{DEAF}: {why}"))),
                Health::Alive | Health::Suspect if speaks => {
                    notify::alive();
                    notify::status(&summary::status(&self.metrics));
                }
                Health::Alive | Health::Suspect => {}
            }
            thread::sleep(interval);
        }
    }

    /// Checks once; takes at most twice [`PATIENCE`].
    fn check(&mut self) -> Health {
        if let Some(stuck) = &mut self.stuck {
            stuck.look();
        }
        let full = self.slots.is_full();
        let answer = ask(&self.reach, self.path);
        let turns: Vec<Turn> = self.slots.turns().collect();
        // With every slot taken our own request waits like any other, while others may be served.
        let alive = answer.is_ok() || (full && turns != self.seen);
        self.seen = turns;
        self.answer.note(answer.is_ok());
        self.life.note(alive);
        let health = match answer {
            _ if alive && !self.is_choked(full) => Health::Alive,
            Err(error) if self.is_deaf(full) => Health::Deaf(self.why(full, &error)),
            Ok(()) | Err(_) => Health::Suspect,
        };
        self.show(health != Health::Alive);
        health
    }

    fn is_deaf(&self, full: bool) -> bool {
        let limit = if full { self.stillness } else { LIMIT };
        self.life.for_long(limit) || self.is_choked(full)
    }

    /// Every slot is taken, half of them are stuck, and our request gets no answer.
    fn is_choked(&self, full: bool) -> bool {
        full && 2 * self.slots.stuck() >= self.slots.most() && self.answer.for_long(LIMIT)
    }

    fn why(&self, full: bool, error: &io::Error) -> String {
        let (stuck, most) = (self.slots.stuck(), self.slots.most());
        let reach = &self.reach;
        if full {
            format!(
                "{reach}: all {most} connections are taken and {stuck} of them are stuck; put a proxy in \
                 front"
            )
        } else {
            format!(
                "{reach}: {error}, although connections are free{}",
                self.advice(error)
            )
        }
    }

    /// systemd recreates its socket file only when the socket unit is restarted, not with the service alone.
    fn advice(&self, error: &io::Error) -> &'static str {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        match (&self.reach, error.kind()) {
            (Reach::Unix(_), NotFound | ConnectionRefused) => {
                "; the socket file was deleted or replaced; if systemd created it: systemctl restart \
                 upgrade-responder.socket"
            }
            _ => "",
        }
    }

    /// Adds this socket to the number of unresponsive ones, or subtracts it.
    fn show(&mut self, deaf: bool) {
        let count = &self.metrics.health.deaf;
        match (self.deaf, deaf) {
            (false, true) => drop(count.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(count.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        self.deaf = deaf;
    }
}

fn ask(reach: &Reach, path: &str) -> io::Result<()> {
    let (domain, addr) = match reach {
        Reach::Tcp(addr) => (Domain::for_address(*addr), SockAddr::from(*addr)),
        Reach::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
    };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    // For a unix socket too: a full backlog must not block the check.
    socket.connect_timeout(&addr, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    exchange(socket, path)
}

/// Any answer counts: `/healthz` is 503 for many reasons.
fn exchange(mut stream: impl Read + Write, path: &str) -> io::Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: self\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 9];
    stream.read_exact(&mut answer)?;
    if &answer == b"HTTP/1.1 " {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}
