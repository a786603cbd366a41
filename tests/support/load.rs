//! A load generator: many check-ins over kept-alive connections. It must note exactly the check-ins whose whole answer
//! was read, because tests count these as acknowledged.

use std::collections::BTreeSet;
use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::client::{Address, Connection};

/// The time without a connection after which the test fails although errors are tolerated.
const AWAY: Duration = Duration::from_secs(60);
/// The pause before the next attempt to connect.
const RECONNECT: Duration = Duration::from_millis(5);

static NEXT_LOAD: AtomicU64 = AtomicU64::new(0);

/// The load to send. By default 1 thread sends 1 check-in without pauses, and any error fails the test.
#[derive(Clone)]
pub struct Load {
    address: Address,
    number: u64,
    threads: usize,
    each: usize,
    pause: Duration,
    body: String,
    tolerant: bool,
}

/// A check-in whose answer, a 200, was read completely.
pub struct Acknowledged {
    /// The `X-Request-Id`, which the server stores as `x_request_id`.
    pub id: String,
    /// The time when the answer had been read.
    pub at: Instant,
    pub latency: Duration,
}

/// The result of a load.
pub struct Outcome {
    pub acknowledged: Vec<Acknowledged>,
    /// The number of check-ins without a complete 200, and of refused connections.
    pub errors: usize,
}

/// A load that is being sent.
pub struct Running {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Outcome>>,
}

struct Shared {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Load {
    pub fn new(address: &Address) -> Load {
        Load {
            address: address.clone(),
            number: NEXT_LOAD.fetch_add(1, Ordering::Relaxed),
            threads: 1,
            each: 1,
            pause: Duration::ZERO,
            body: r#"{"appVersion":"v1.0.0","extraTagInfo":{},"extraFieldInfo":{}}"#.to_string(),
            tolerant: false,
        }
    }

    /// Sets the number of connections.
    pub fn threads(mut self, threads: usize) -> Load {
        self.threads = threads;
        self
    }

    /// Sets the number of check-ins per connection.
    pub fn each(mut self, each: usize) -> Load {
        self.each = each;
        self
    }

    /// Lets each connection send until the load is stopped.
    pub fn endless(self) -> Load {
        self.each(usize::MAX)
    }

    /// Sets the pause of each connection between two check-ins.
    pub fn pause(mut self, pause: Duration) -> Load {
        self.pause = pause;
        self
    }

    pub fn body(mut self, body: &str) -> Load {
        self.body = body.to_string();
        self
    }

    /// Counts errors and continues over a new connection: for servers that are killed.
    pub fn tolerant(mut self) -> Load {
        self.tolerant = true;
        self
    }

    /// Sends everything and waits for the answers.
    #[track_caller]
    pub fn run(self) -> Outcome {
        self.start().finish()
    }

    pub fn start(self) -> Running {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            acknowledged: AtomicUsize::new(0),
        });
        let start = |thread| {
            let (load, shared) = (self.clone(), shared.clone());
            thread::spawn(move || load.send(thread, &shared))
        };
        let threads = (0..self.threads).map(start).collect();
        Running { shared, threads }
    }

    /// The work of one thread.
    fn send(&self, thread: usize, shared: &Shared) -> Outcome {
        let mut outcome = Outcome {
            acknowledged: Vec::new(),
            errors: 0,
        };
        let mut connection = None;
        let mut last_success = Instant::now();
        let mut sent = 0;
        while sent < self.each && !shared.stop.load(Ordering::Relaxed) {
            let open = match connection.take() {
                Some(open) => Ok(open),
                None => Connection::open(&self.address),
            };
            // A failed connection does not count as a check-in.
            let Ok(mut open) = open else {
                outcome.errors += 1;
                let away = last_success.elapsed();
                assert!(self.tolerant, "{}: {}", self.address, open.err().unwrap());
                assert!(away < AWAY, "{}: away for {away:?}", self.address);
                thread::sleep(RECONNECT);
                continue;
            };
            let id = format!("load{}-{thread}-{sent}", self.number);
            sent += 1;
            match self.post(&mut open, id) {
                Ok(acknowledged) => {
                    last_success = acknowledged.at;
                    outcome.acknowledged.push(acknowledged);
                    shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                    connection = Some(open);
                }
                Err(e) => {
                    assert!(self.tolerant, "{}: check-in {sent}: {e}", self.address);
                    outcome.errors += 1;
                }
            }
            thread::sleep(self.pause);
        }
        outcome
    }

    fn post(&self, connection: &mut Connection, id: String) -> io::Result<Acknowledged> {
        let start = Instant::now();
        let response = connection.post_checkin(&self.body, &[("X-Request-Id", &id)])?;
        if response.status != 200 {
            let (status, text) = (response.status, response.text());
            return Err(io::Error::other(format!("answered {status}: {text:?}")));
        }
        let (at, latency) = (Instant::now(), start.elapsed());
        Ok(Acknowledged { id, at, latency })
    }
}

impl Running {
    /// The number of check-ins answered so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until everything is sent.
    #[track_caller]
    pub fn finish(self) -> Outcome {
        let mut whole = Outcome {
            acknowledged: Vec::new(),
            errors: 0,
        };
        for thread in self.threads {
            let part = thread.join().unwrap_or_else(|e| panic::resume_unwind(e));
            whole.acknowledged.extend(part.acknowledged);
            whole.errors += part.errors;
        }
        whole
    }

    /// Stops the load after the current check-in of each connection.
    #[track_caller]
    pub fn stop(self) -> Outcome {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish()
    }
}

impl Outcome {
    /// The ids of all answered check-ins.
    pub fn ids(&self) -> BTreeSet<String> {
        self.acknowledged.iter().map(|a| a.id.clone()).collect()
    }

    /// The latency that `share` (0.0 to 1.0) of the answered check-ins did not exceed.
    pub fn latency(&self, share: f64) -> Duration {
        let mut all: Vec<Duration> = self.acknowledged.iter().map(|a| a.latency).collect();
        all.sort();
        let last = all.len().checked_sub(1).expect("no check-in was answered");
        all[(last as f64 * share).ceil() as usize]
    }

    pub fn p50(&self) -> Duration {
        self.latency(0.50)
    }

    pub fn p99(&self) -> Duration {
        self.latency(0.99)
    }

    pub fn max(&self) -> Duration {
        self.latency(1.0)
    }
}
