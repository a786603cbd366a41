//! Checks on a thread of their own. The thread must never keep the application from ending.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::answer::Answer;
use crate::checker::Checker;
use crate::error::CheckError;

/// A handle of checks on a thread. Dropping it does not stop them: they continue until the process ends.
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
    /// Stops the checks, and returns immediately. A request that is under way ends by itself, without a call of the
    /// callback. The callback may still be running.
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
    /// Waits for `time`, or until the checks are stopped. Returns whether they continue.
    fn wait(&self, time: Duration) -> bool {
        // No pause is longer than some days, so the sum does not overflow.
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
    /// Checks on a thread until [`Checks::stop`], and calls `callback` on that thread with each outcome. After failures
    /// the pause doubles, up to 8 intervals.
    ///
    /// If checks are switched off, no thread is started and `callback` is never called. A `callback` that panics ends
    /// the checks and nothing else.
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
                // Another clone has sent a request, so there is no outcome of this one.
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
