//! The rule which tests may run at the same time. Nearly all may; a test that asserts a time limit must run alone, or
//! it would measure the other tests too.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The tests that may run at the same time as this one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Company {
    Anybody,
    /// Only other tests of hostile clients: these mostly wait, and they allow for the delays of the machine.
    Hostile,
    Nobody,
}

/// Starts tests in the order in which they arrived, so that no test waits indefinitely.
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    inside: usize,
    who: Company,
    last_ticket: u64,
    /// The ticket of the last test that was started.
    let_in: u64,
}

static GATE: Gate = Gate {
    state: Mutex::new(State {
        inside: 0,
        who: Company::Anybody,
        last_ticket: 0,
        let_in: 0,
    }),
    changed: Condvar::new(),
};

/// The permission to run; it ends with the drop.
pub struct Place(());

impl Company {
    /// Waits until all tests that arrived before have started and all that run allow this one.
    pub fn enter(self) -> Place {
        let mut state = GATE.lock();
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        let waits = |state: &mut State| {
            let together = self == state.who && self != Company::Nobody;
            ticket != state.let_in + 1 || (state.inside > 0 && !together)
        };
        let waited = GATE.changed.wait_while(state, waits);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.let_in = ticket;
        state.inside += 1;
        state.who = self;
        GATE.changed.notify_all();
        Place(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        GATE.lock().inside -= 1;
        GATE.changed.notify_all();
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A failed test cannot leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
