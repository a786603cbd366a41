//! Connection threads, made when needed and kept for a while.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::buffers::Buffers;

/// How long a connection thread waits for its next connection before it ends.
const IDLE_THREAD: Duration = Duration::from_secs(10);
/// Connection threads parse JSON of bounded depth and copy small buffers.
const STACK: usize = 256 * 1024;

/// One connection to be served. tiny_http's name for it cannot be spelled: the type is not exported.
pub type Job = Box<dyn FnOnce(&mut Buffers) + Send>;

/// The threads; how many there are is bounded by who gives them jobs.
pub struct Threads {
    /// Has no room: a send succeeds only when a thread is waiting at the other end.
    waiting: (Sender<Job>, Receiver<Job>),
}

impl Threads {
    pub fn new() -> Threads {
        Threads {
            waiting: bounded(0),
        }
    }

    /// Gives a job to a waiting thread, or to a new one. Without a thread the job is dropped, and
    /// with it the connection.
    pub fn give(&self, job: Job) -> io::Result<()> {
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
