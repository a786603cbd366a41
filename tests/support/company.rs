//! Which tests run side by side: nearly all, but those that assert a limit of time would measure the
//! others beside them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Beside whom a test may run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Company {
    Anybody,
    /// Tests of hostile clients: mostly they wait, and they know what the machine itself takes.
    Hostile,
    Nobody,
}

/// Lets tests in in the order in which they came, so that none waits for good.
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    inside: usize,
    who: Company,
    last_ticket: u64,
    /// The ticket of the last one that was let in.
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

/// The right to run, until it is dropped.
pub struct Place(());

impl Company {
    /// Waits until everybody who came before has been let in, and those inside are this company.
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
        // A test that failed has left nothing half done in it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
