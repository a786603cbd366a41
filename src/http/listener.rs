//! The accept loop and the bounded set of connection threads that answer in place.
//!
//! What of tiny_http is used, and why not its `Server::recv`: the loop here takes connections from
//! `Server::accept_connection` and gives each to a thread that iterates its requests and answers
//! them, with no queue in between (13 µs of CPU a request against 17 µs). It goes on after any
//! error of accept(2), where the library's own acceptor ends while the process stays up.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tiny_http::{Listener, Server, SslContextWrap};

use super::routes::{App, Buffers};
use super::slots::{Slot, Slots};
use crate::service::logging::Throttle;

/// How long a connection thread waits for its next connection before it ends.
const IDLE_THREAD: Duration = Duration::from_secs(10);
/// Connection threads parse JSON of bounded depth and copy small buffers.
const STACK: usize = 256 * 1024;
/// Pause after a failed accept(2); without one, an EMFILE is met again at once.
const BACK_OFF: Duration = Duration::from_millis(100);
/// File descriptors for everything but connections.
const OTHER_FILES: u64 = 64;

/// tiny_http's name for it cannot be spelled: the type is not exported.
type Job = Box<dyn FnOnce(&mut Buffers) + Send>;

/// The running accept loop.
#[derive(Debug)]
pub struct Acceptor {
    thread: JoinHandle<()>,
    slots: Arc<Slots>,
    /// Dropping it wakes the loop's poll(2).
    wake: OwnedFd,
}

impl Acceptor {
    /// Stops accepting and closes the listening socket. Connections go on.
    pub fn stop(self) {
        self.slots.stop();
        drop(self.wake);
        // The loop catches what can panic in it.
        let _ = self.thread.join();
    }
}

/// Starts to accept connections, `max_connections` at once at most.
pub fn start(listener: Listener, max_connections: usize, app: Arc<App>) -> io::Result<Acceptor> {
    let slots = Slots::new(cap_by_open_files(max_connections));
    // Never shutdown(2) to end a blocking accept(2): the socket may be shared with systemd.
    let (woken, wake) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let mut accept_loop = AcceptLoop {
        listener,
        woken,
        slots: Arc::clone(&slots),
        threads: Threads::new(app),
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

/// The library duplicates each socket, so a connection takes two file descriptors.
fn cap_by_open_files(max_connections: usize) -> usize {
    let wanted = 2 * max_connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: Some(wanted.min(allowed)),
        maximum: limit.maximum,
    };
    if limit.current.is_some_and(|current| current < wanted) {
        // If it does not work, the limit read back below is the old one.
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
    listener: Listener,
    woken: OwnedFd,
    slots: Arc<Slots>,
    threads: Threads,
    trouble: Throttle,
}

impl AcceptLoop {
    fn run(&mut self) {
        while let Some(slot) = self.slots.take() {
            if !self.wait_for_connection() {
                return;
            }
            self.accept(slot);
        }
    }

    /// False when the loop is to end.
    fn wait_for_connection(&self) -> bool {
        let mut fds = [
            PollFd::new(&self.listener, PollFlags::IN),
            PollFd::new(&self.woken, PollFlags::IN),
        ];
        // An interrupted poll reports nothing ready, and accept then finds nothing.
        let _ = poll(&mut fds, None);
        fds[1].revents().is_empty()
    }

    fn accept(&mut self, slot: Slot) {
        let listener = &self.listener;
        // Inside, a failed dup(2) is unwrapped.
        let accepted = catch_unwind(AssertUnwindSafe(|| {
            let no_tls = SslContextWrap::build_ssl_capabilities(None).map_err(io::Error::other)?;
            Server::accept_connection(listener, &no_tls)
        }));
        match accepted {
            Ok(Ok(Some(connection))) => {
                let app = Arc::clone(&self.threads.app);
                app.metrics.http.connections.add(1);
                let job: Job = Box::new(move |buffers| {
                    let _slot = slot;
                    for request in connection {
                        let Ok(request) = request else {
                            app.metrics.http.broken.add(1);
                            return;
                        };
                        if app.handle(request, buffers) == super::answer::Then::Close {
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
            Err(_) => self.back_off("no file descriptor left for a second handle of the socket"),
        }
    }

    fn back_off(&mut self, what: &str) {
        if let Some(times) = self.trouble.tick(1) {
            log::warn!("cannot accept connections: {what}; trying again, failed {times} times");
        }
        thread::sleep(BACK_OFF);
    }
}

/// Errors of accept(2) that are over with that connection.
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

/// Connection threads, made when needed and kept for a while.
struct Threads {
    app: Arc<App>,
    /// Has no room: a send succeeds only when a thread is waiting at the other end.
    waiting: (Sender<Job>, Receiver<Job>),
}

impl Threads {
    fn new(app: Arc<App>) -> Threads {
        Threads {
            app,
            waiting: bounded(0),
        }
    }

    fn give(&self, job: Job) -> io::Result<()> {
        let job = match self.waiting.0.try_send(job) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job,
        };
        let next = self.waiting.1.clone();
        thread::Builder::new()
            .name("connection".to_owned())
            .stack_size(STACK)
            .spawn(move || serve(job, &next))
            .map(drop)
    }
}

fn serve(first: Job, next: &Receiver<Job>) {
    let mut buffers = Buffers::default();
    let mut job = Some(first);
    while let Some(current) = job.take() {
        // A panic is a bug, and is logged by the panic hook; it must not cost a thread and a slot.
        let _ = catch_unwind(AssertUnwindSafe(|| current(&mut buffers)));
        job = next.recv_timeout(IDLE_THREAD).ok();
    }
}
