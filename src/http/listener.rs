//! The accept loop and the bounded set of connection threads that answer in place.
//!
//! tiny_http's `Server::recv` is not used: the loop here takes connections from
//! `Server::accept_connection` and gives each to a thread that iterates its requests and answers
//! them, with no queue in between (13 µs of CPU a request against 17 µs). It must continue after any
//! error of accept(2), where the library's own acceptor ends while the process stays up.
//!
//! One fault of the library cannot be prevented here: it answers a kept connection that times out, or ends, with an
//! empty 400 without a request, then closes it. Proxies and clients check a kept connection before they use it again,
//! and nginx closes its own earlier (after 60 s, not 75).

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tiny_http::{Listener, Request, Server, SslContextWrap};

use super::answer::Then;
use super::buffers::Buffers;
use super::slots::{Slot, Slots, Step};
use super::socket::Bound;
use super::threads::{Job, Threads};
use crate::logging::Throttle;

/// Pause after a failed accept(2); without it, EMFILE would repeat immediately.
const BACK_OFF: Duration = Duration::from_millis(100);
/// Number of file descriptors for everything but connections.
const OTHER_FILES: u64 = 64;

/// The receiver of requests.
pub trait Handler: Send + Sync {
    /// Answers one request. `buffers` belong to the connection's thread.
    fn handle(&self, request: Request, buffers: &mut Buffers) -> Then;
    /// Notes an accepted connection.
    fn connected(&self) {}
    /// Notes a malformed request, which tiny_http has refused itself.
    fn broken(&self) {}
}

/// The running accept loop.
#[derive(Debug)]
pub struct Acceptor {
    thread: JoinHandle<()>,
    pub slots: Arc<Slots>,
    /// Dropping it wakes the loop's poll(2).
    wake: OwnedFd,
}

impl Acceptor {
    /// Stops accepting and closes the listening socket. Open connections are still served.
    pub fn stop(self) {
        self.slots.stop();
        drop(self.wake);
        // The loop catches panics.
        let _ = self.thread.join();
    }
}

/// Starts to accept connections, at most `max_connections` at once.
pub fn start(
    bound: Vec<Bound>,
    max_connections: usize,
    handler: Arc<dyn Handler>,
) -> io::Result<Acceptor> {
    let slots = Slots::new(cap_by_open_files(max_connections));
    // Never shutdown(2) to end a blocking accept(2): the socket may be shared with systemd.
    let (woken, wake) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let mut accept_loop = AcceptLoop {
        listeners: bound.into_iter().map(|bound| bound.listener).collect(),
        woken,
        slots: Arc::clone(&slots),
        threads: Threads::new(),
        handler,
        last: 0,
        trouble: Throttle::default(),
    };
    let thread = thread::Builder::new()
        .name("accept".to_owned())
        .spawn(move || accept_loop.run())?;
    Ok(Acceptor {
        thread,
        slots,
        wake,
    })
}

/// The number of connections that the limit on open files allows, after raising that limit if possible. A connection
/// takes two file descriptors, because the library duplicates each socket.
fn cap_by_open_files(max_connections: usize) -> usize {
    let wanted = 2 * max_connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: Some(wanted.min(allowed)),
        maximum: limit.maximum,
    };
    if limit.current.is_some_and(|current| current < wanted) {
        // After an error, the old limit is read back below.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if current >= wanted {
        return max_connections;
    }
    let cap = (current.saturating_sub(OTHER_FILES) / 2).max(1) as usize;
    log::warn!(
        "only {cap} connections at once instead of {max_connections}: they need {wanted} open \
         files and the limit is {current}; raise it (LimitNOFILE= in the unit) or lower \
         --max-connections"
    );
    cap
}

struct AcceptLoop {
    listeners: Vec<Listener>,
    woken: OwnedFd,
    slots: Arc<Slots>,
    threads: Threads,
    handler: Arc<dyn Handler>,
    /// The index of the listener whose turn was last.
    last: usize,
    trouble: Throttle,
}

impl AcceptLoop {
    fn run(&mut self) {
        while let Some(slot) = self.slots.take() {
            match self.wait_for_connection() {
                Some(index) => self.accept(index, slot),
                None => return,
            }
        }
    }

    /// The index of a listener with a waiting connection; `None` to end the loop. The listeners take turns.
    fn wait_for_connection(&mut self) -> Option<usize> {
        let woken = PollFd::new(&self.woken, PollFlags::IN);
        let listeners = self
            .listeners
            .iter()
            .map(|fd| PollFd::new(fd, PollFlags::IN));
        let mut fds: Vec<PollFd<'_>> = listeners.chain([woken]).collect();
        let count = self.listeners.len();
        loop {
            // After an error, such as a signal, no descriptor is ready, and poll is called again.
            let _ = poll(&mut fds, None);
            if !fds[count].revents().is_empty() {
                return None;
            }
            let turns = (1..=count).map(|turn| (self.last + turn) % count);
            if let Some(index) = turns.into_iter().find(|&i| !fds[i].revents().is_empty()) {
                self.last = index;
                return Some(index);
            }
        }
    }

    fn accept(&mut self, index: usize, slot: Slot) {
        let listener = &self.listeners[index];
        // The library panics when dup(2) fails.
        let accepted = catch_unwind(AssertUnwindSafe(|| {
            let no_tls = SslContextWrap::build_ssl_capabilities(None).map_err(io::Error::other)?;
            Server::accept_connection(listener, &no_tls)
        }));
        match accepted {
            Ok(Ok(Some(connection))) => {
                let handler = Arc::clone(&self.handler);
                handler.connected();
                let asked = match listener {
                    Listener::Unix(_) => Step::AskedByProxy,
                    Listener::Tcp(_) => Step::Asked,
                };
                let job: Job = Box::new(move |buffers| {
                    slot.step(Step::Accepted);
                    for request in connection {
                        slot.step(asked);
                        let request = match request {
                            Ok(request) => request,
                            Err(error) if is_end(&error) => return,
                            Err(_) => return handler.broken(),
                        };
                        let then = handler.handle(request, buffers);
                        buffers.shrink();
                        if then == Then::Close {
                            return;
                        }
                    }
                });
                if let Err(error) = self.threads.give(job) {
                    self.back_off(&format!("no thread for a connection: {error}"));
                }
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) if nothing_yet(&error) => {}
            Ok(Err(error)) => self.back_off(&error.to_string()),
            Err(_) => self.back_off("no file descriptor left to duplicate the socket"),
        }
    }

    fn back_off(&mut self, what: &str) {
        if let Some(times) = self.trouble.tick(1) {
            let times = times.times();
            log::warn!(
                "cannot accept connections: {what}; trying again, failed {times}; check the \
                 limits on open files and threads (LimitNOFILE= and TasksMax= in the unit)"
            );
        }
        thread::sleep(BACK_OFF);
    }
}

/// Whether the client ended the connection or timed out, and did not send a malformed request. The library's error
/// type is private, so its text is compared.
fn is_end(error: &impl std::fmt::Display) -> bool {
    error.to_string().starts_with("[ReadIoError]")
}

/// Whether an error of accept(2) concerns one connection only.
fn nothing_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
