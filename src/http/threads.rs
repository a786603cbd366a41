//! Connection threads, created when needed and kept for a while. A panic in a job must not end its thread.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::buffers::Buffers;

/// Time that a connection thread waits for its next connection before it ends.
const IDLE_THREAD: Duration = Duration::from_secs(10);
/// Bytes of a connection thread's stack: enough to parse JSON of limited depth and to copy small buffers.
const STACK: usize = 256 * 1024;

/// One connection to be served. It is a closure, because tiny_http does not export its type of a connection.
pub type Job = Box<dyn FnOnce(&mut Buffers) + Send>;

/// The threads. Their number is not limited here: the slots limit the number of jobs.
pub struct Threads {
    /// A channel without a buffer: a send succeeds only if a thread is waiting at the other end.
    waiting: (Sender<Job>, Receiver<Job>),
}

impl Threads {
    pub fn new() -> Threads {
        Threads {
            waiting: bounded(0),
        }
    }

    /// Gives a job to a waiting thread, or to a new one. If no thread can be created, the job is dropped, which closes
    /// the connection.
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
        // The panic hook logs panics, which are bugs.
        let _ = catch_unwind(AssertUnwindSafe(|| current(&mut buffers)));
        job = next.recv_timeout(IDLE_THREAD).ok();
    }
}
