//! A checker: the request, the server, and the time of the last request. It must never send two requests within an
//! interval.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::answer::{self, Answer};
use crate::decision::{self, Decision};
use crate::error::CheckError;
use crate::exchange::{self, Exchange};
use crate::pace::{self, Pace};
use crate::question::{FieldValue, Question};

/// Asks one server about one application. Clones share everything, also the time of the last request.
#[derive(Clone, Debug)]
pub struct Checker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    enabled: bool,
    exchange: Exchange,
    start_within: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    question: Question,
    pace: Pace,
    last: Option<Answer>,
}

impl Checker {
    pub(crate) fn new(
        enabled: bool,
        exchange: Exchange,
        question: Question,
        pace: Pace,
        start_within: Duration,
    ) -> Checker {
        let state = Mutex::new(State {
            question,
            pace,
            last: None,
        });
        Checker {
            shared: Arc::new(Shared {
                enabled,
                exchange,
                start_within,
                state,
            }),
        }
    }

    /// Asks now, and waits for the answer, at most 30 seconds. Within an interval of the last request nothing is sent:
    /// the last answer is returned, or [`CheckError::TooSoon`] if there is none.
    pub fn check(&self) -> Result<Answer, CheckError> {
        if !self.is_enabled() {
            return Err(CheckError::SwitchedOff);
        }
        let body = {
            let mut state = self.state();
            let now = Instant::now();
            let wait = state.pace.may_ask_in(now);
            if !wait.is_zero() {
                return state.last.clone().ok_or(CheckError::TooSoon { wait });
            }
            // Noted before it is sent, so that a request that fails counts too.
            state.pace.asked(now);
            state.question.body().to_string()
        };
        let said = self.shared.exchange.post(&body);
        let said = said.and_then(|body| answer::read(&body));
        let mut state = self.state();
        // Noted again at its end, so that the server sees at least an interval between two requests.
        state.pace.asked(Instant::now());
        let said = said.inspect_err(|_| state.pace.failed())?;
        let own = state.question.version();
        let (decision, held_back) = (
            Decision::of(own, &said.versions),
            decision::held_back(own, &said.versions),
        );
        let answer = Answer {
            interval: state.pace.answered(said.minutes),
            versions: said.versions,
            decision,
            held_back,
        };
        state.last = Some(answer.clone());
        Ok(answer)
    }

    /// Changes a tag of later requests.
    pub fn set_tag(&self, key: impl Into<String>, value: impl Into<String>) {
        self.state().question.set_tag(key.into(), value.into());
    }

    /// Changes a field of later requests.
    pub fn set_field(&self, key: impl Into<String>, value: impl Into<FieldValue>) {
        self.state().question.set_field(key.into(), value.into());
    }

    /// Whether checks are sent: neither the application nor `DO_NOT_TRACK` has switched them off.
    pub fn is_enabled(&self) -> bool {
        self.shared.enabled
    }

    /// The next request as text, to be shown to users. The server also sees the client's network address.
    pub fn what_is_sent(&self) -> String {
        let body = self.state().question.body();
        format!(
            "POST {}\nContent-Type: {}\nUser-Agent: {}\n\n{body:#}\n",
            self.shared.exchange.url(),
            exchange::CONTENT_TYPE,
            exchange::AGENT
        )
    }

    /// The pause before the thread's first request.
    pub(crate) fn starts_in(&self) -> Duration {
        let start = pace::part(self.shared.start_within, random());
        start.max(self.state().pace.may_ask_in(Instant::now()))
    }

    /// The pause before the thread's next request.
    pub(crate) fn is_due_in(&self) -> Duration {
        self.state().pace.is_due_in(Instant::now(), random())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is safe to use: nothing is left half changed under it.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A random number, from the standard library's random state.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}
