//! Checks on a thread of their own.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::answer::Answer;
use crate::checker::Checker;
use crate::error::CheckError;

/// Checks that go on, on a thread. Dropping this lets them go on until the process ends.
#[derive(Clone, Debug)]
pub struct Checks {
    stop: Arc<Stop>,
}

#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Checks {
    /// Ends the checks. It returns at once: a request that is being sent ends by itself, and its answer is not
    /// handed over. The callback may still be running.
    pub fn stop(&self) {
        *self
            .stop
            .stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
    }
}

impl Stop {
    /// Waits, and says whether the checks go on.
    fn wait(&self, time: Duration) -> bool {
        // No pause is longer than some days, so the sum exists.
        let end = Instant::now() + time;
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stopped {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let waited = self.changed.wait_timeout(stopped, left);
            stopped = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }
}

impl Checker {
    /// Checks on a thread of its own until it is told to stop, and hands each outcome to `callback`, there. After
    /// failures the pause doubles, up to 8 intervals.
    ///
    /// Where checks are switched off, no thread is started and `callback` is never called. A `callback` that
    /// panics ends the checks and nothing else.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn spawn(
        &self,
        mut callback: impl FnMut(Result<Answer, CheckError>) + Send + 'static,
    ) -> io::Result<Checks> {
        let stop = Arc::new(Stop::default());
        let checks = Checks { stop: stop.clone() };
        if !self.is_enabled() {
            return Ok(checks);
        }
        let checker = self.clone();
        let work = move || {
            let mut pause = checker.starts_in();
            while stop.wait(pause) {
                let outcome = checker.check();
                if !stop.wait(Duration::ZERO) {
                    return;
                }
                // Another clone's request came first, and nothing is known that was not handed over.
                if !matches!(outcome, Err(CheckError::TooSoon { .. })) {
                    callback(outcome);
                }
                pause = checker.is_due_in();
            }
        };
        let name = "upgrade-check".to_owned();
        thread::Builder::new().name(name).spawn(work)?;
        Ok(checks)
    }
}
