//! How many connections and requests there are: the cap, and the way to a clean stop.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The bounded number of connections. Over it, new ones wait in the kernel's backlog.
#[derive(Debug)]
pub struct Slots {
    most: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// How many were given back so far: the sign that connections come to an end.
    returned: u64,
    stopping: bool,
}

/// The right to serve one connection; given back when dropped.
#[derive(Debug)]
pub struct Slot(Arc<Slots>);

impl Slots {
    pub fn new(max_connections: usize) -> Arc<Slots> {
        let state = State {
            free: max_connections,
            returned: 0,
            stopping: false,
        };
        Arc::new(Slots {
            most: max_connections,
            state: Mutex::new(state),
            freed: Condvar::new(),
        })
    }

    /// Waits for a free slot; `None` once [`stop`](Slots::stop) was called.
    pub fn take(self: &Arc<Slots>) -> Option<Slot> {
        let mut state = self
            .freed
            .wait_while(self.lock(), |state| state.free == 0 && !state.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        if state.stopping {
            return None;
        }
        state.free -= 1;
        Some(Slot(Arc::clone(self)))
    }

    /// Connections being served. One slot is always with the accept loop, for the next connection.
    pub fn connections(&self) -> usize {
        self.most.saturating_sub(self.lock().free + 1)
    }

    /// Free slots, and how many were given back since the start.
    pub fn free(&self) -> (usize, u64) {
        let state = self.lock();
        (state.free, state.returned)
    }

    /// Lets nobody take a slot any more.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Two numbers that are never half changed: a panic elsewhere does not spoil them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.free += 1;
        state.returned += 1;
        drop(state);
        self.0.freed.notify_one();
    }
}

/// The requests that are being answered, so that a stop can wait for them.
#[derive(Debug, Default)]
pub struct InFlight {
    requests: AtomicUsize,
    stopping: AtomicBool,
}

/// One request in flight, until dropped.
#[derive(Debug)]
pub struct Flight<'a>(&'a InFlight);

impl InFlight {
    /// Enters a request; `None` once [`finish`](InFlight::finish) was called, and then the request
    /// must not be answered as accepted, since its record might come after the last one written.
    ///
    /// Both sides first write and then look at what the other one writes, in one total order, so
    /// either the stop sees the request or the request sees the stop.
    pub fn enter(&self) -> Option<Flight<'_>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let flight = Flight(self);
        if self.stopping.load(Ordering::SeqCst) {
            None
        } else {
            Some(flight)
        }
    }

    /// Lets no request in any more and waits for those inside, `limit` at most.
    pub fn finish(&self, limit: Duration) {
        self.stopping.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + limit;
        while self.requests.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::SeqCst);
    }
}
