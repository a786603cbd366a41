//! The self-check: a real request to our own listener, so that a server that is alive but deaf does
//! not stay so. It feeds systemd's watchdog.
//!
//! It exists because tiny_http can be brought to lose a thread for good, and because whatever else
//! makes a server deaf shows here too. With every slot taken by idle clients the server is busy, not
//! deaf: then only a time in which no connection moves counts, or that half of them are stuck (see `stuck`).
//! Without the stuck check, a few slots that idle clients take in turns would make the server look healthy for ever.
//!
//! Without it: a server that accepts and never answers stays so until somebody notices.

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
/// On a unix socket the local proxy is the one that ends idle connections: nginx does after 60 s.
const PROXY_IDLE: Duration = Duration::from_secs(75);

/// What is watched: the sockets that share their slots.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What the connections are for, for the log.
    pub name: &'static str,
    pub reaches: Vec<Reach>,
    /// What is asked for.
    pub path: &'static str,
    pub client_timeout: Duration,
    pub slots: Arc<Slots>,
    /// Whether this check feeds the systemd watchdog. One socket's is enough, since a
    /// deaf one ends the process anyway.
    pub speaks: bool,
}

/// Checks each socket from a thread of its own and feeds the watchdog. `fatal` is told when the
/// server is deaf.
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

/// Asks the server through one of its sockets.
#[derive(Debug)]
struct SelfCheck {
    reach: Reach,
    path: &'static str,
    slots: Arc<Slots>,
    /// How long nothing need move while every slot is taken.
    stillness: Duration,
    /// Of the checks that share slots, the first looks after them.
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

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Health {
    Alive,
    /// No answer this time.
    Suspect,
    /// No answer for too long, and what it looks like.
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

    /// Asks for ever.
    fn repeat(mut self, interval: Duration, speaks: bool, fatal: &Sender<String>) {
        loop {
            match self.check() {
                // Full means that it has been told already.
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

    /// Asks once; takes twice [`PATIENCE`] at most.
    fn check(&mut self) -> Health {
        if let Some(stuck) = &mut self.stuck {
            stuck.look();
        }
        let full = self.slots.is_full();
        let answer = ask(&self.reach, self.path);
        let turns: Vec<Turn> = self.slots.turns().collect();
        // At the cap our own request waits like everybody's, but others may be served.
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

    /// Every slot is taken, half of them do not move any more, and we are not let in.
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
                "{reach}: {error}, with connections to spare{}",
                self.advice(error)
            )
        }
    }

    /// A socket file that systemd made is not made again when only the service is started again.
    fn advice(&self, error: &io::Error) -> &'static str {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        match (&self.reach, error.kind()) {
            (Reach::Unix(_), NotFound | ConnectionRefused) => {
                "; the socket file is gone or another's, if systemd made it: systemctl restart \
                 upgrade-responder.socket"
            }
            _ => "",
        }
    }

    /// One of several may be deaf.
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

/// Any answer is a sign of life: `/healthz` is 503 for many reasons.
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
