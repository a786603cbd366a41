//! The limit on connections, their progress, and a stop that waits for requests in flight.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The slots for connections. While all are taken, new connections wait in the kernel's backlog.
#[derive(Debug)]
pub struct Slots {
    turns: Box<[Counter]>,
    state: Mutex<State>,
    freed: Condvar,
    /// Number of connections without progress for too long, set by the self-check.
    stuck: AtomicUsize,
}

#[derive(Debug)]
struct State {
    free: Vec<usize>,
    stopping: bool,
}

/// A slot's turn, which only the thread that holds the slot writes. Each has a cache line of its own, because all
/// cores write them at every request.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicU32);

/// The progress of a slot's connection: the number of its steps, and the last one. If it does not change, the
/// connection makes no progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u32);

/// A step of a slot's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The connection has ended.
    Free = 0,
    /// A connection was accepted.
    Accepted = 1,
    /// A request came.
    Asked = 2,
    /// A request came over a unix socket. Its peers are local proxies, have no time-out, and keep idle
    /// connections for as long as they like.
    AskedByProxy = 3,
}

/// The two lowest bits of a turn are the last step, the bits above the number of steps.
const STEP_BITS: u32 = 0b11;
const ONE_STEP: u32 = 0b100;

impl Turn {
    /// Whether the slot's connection has a client time-out, so that it has to make progress.
    pub fn must_move(self) -> bool {
        let last = self.0 & STEP_BITS;
        last == Step::Accepted as u32 || last == Step::Asked as u32
    }
}

/// The right to serve one connection; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    index: usize,
}

impl Slots {
    pub fn new(max_connections: usize) -> Arc<Slots> {
        let state = State {
            free: (0..max_connections).collect(),
            stopping: false,
        };
        Arc::new(Slots {
            turns: (0..max_connections).map(|_| Counter::default()).collect(),
            state: Mutex::new(state),
            freed: Condvar::new(),
            stuck: AtomicUsize::new(0),
        })
    }

    /// Waits for a free slot; `None` once [`stop`](Slots::stop) was called.
    pub fn take(self: &Arc<Slots>) -> Option<Slot> {
        let mut state = self
            .freed
            .wait_while(self.lock(), |state| {
                state.free.is_empty() && !state.stopping
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.stopping {
            return None;
        }
        let index = state.free.pop()?;
        Some(Slot {
            slots: Arc::clone(self),
            index,
        })
    }

    /// Number of slots.
    pub fn most(&self) -> usize {
        self.turns.len()
    }

    /// Number of connections being served. The accept loop always holds one slot more, for the next connection.
    pub fn connections(&self) -> usize {
        self.most().saturating_sub(self.lock().free.len() + 1)
    }

    pub fn is_full(&self) -> bool {
        self.lock().free.is_empty()
    }

    /// The turn of each slot.
    pub fn turns(&self) -> impl Iterator<Item = Turn> {
        self.turns
            .iter()
            .map(|turn| Turn(turn.0.load(Ordering::Relaxed)))
    }

    pub fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Relaxed)
    }

    pub fn set_stuck(&self, count: usize) {
        self.stuck.store(count, Ordering::Relaxed);
    }

    /// Ends the waiting for slots; no slot can be taken any more.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is safe to use: the list and the flag are never half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Notes a step of the connection. No other thread writes this turn, so loading and storing it is enough.
    pub fn step(&self, step: Step) {
        let turn = &self.slots.turns[self.index].0;
        let count = turn.load(Ordering::Relaxed) & !STEP_BITS;
        turn.store(
            count.wrapping_add(ONE_STEP) | step as u32,
            Ordering::Relaxed,
        );
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.step(Step::Free);
        self.slots.lock().free.push(self.index);
        self.slots.freed.notify_one();
    }
}

/// The number of requests being answered, so that a stop can wait for them.
#[derive(Debug, Default)]
pub struct InFlight {
    requests: AtomicUsize,
    stopping: AtomicBool,
}

/// One request in flight, until dropped.
#[derive(Debug)]
pub struct Flight<'a>(&'a InFlight);

impl InFlight {
    /// Enters a request; `None` once [`finish`](InFlight::finish) was called. Then the request must not be answered as
    /// accepted, because its record could come after the last one written.
    ///
    /// Both sides first write their own variable and then read the other's, in one total order. So either the stop
    /// sees the request, or the request sees the stop.
    pub fn enter(&self) -> Option<Flight<'_>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let flight = Flight(self);
        if self.stopping.load(Ordering::SeqCst) {
            None
        } else {
            Some(flight)
        }
    }

    /// Lets no request enter any more, and waits for those in flight, at most for `limit`.
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
