//! Detection of a delivery that stands still although the database answers. Unlike an outage it does not end by
//! itself, so the operator has to be told.

use std::time::{Duration, Instant};

/// Time without a delivered record after which delivery stands still.
const LIMIT: Duration = Duration::from_secs(3600);

/// The time since something was delivered.
#[derive(Debug, Default)]
pub struct Stalled {
    /// Number of records delivered or rejected, at the last call.
    settled: u64,
    /// Time of the first failure since a record was delivered or rejected.
    since: Option<Instant>,
}

impl Stalled {
    /// Notes an attempt, and returns whether delivery stands still. `failed` means that the attempt failed while
    /// records wait. `answers` asks the database whether it answers.
    pub fn look(
        &mut self,
        now: Instant,
        settled: u64,
        failed: bool,
        answers: impl FnOnce() -> bool,
    ) -> bool {
        if !failed || settled != self.settled {
            *self = Stalled {
                settled,
                since: failed.then_some(now),
            };
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now.saturating_duration_since(since) >= LIMIT && answers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_stands_still_after_an_hour_without_progress_while_the_database_answers() {
        let start = Instant::now();
        let mut stalled = Stalled::default();
        let mut at = |minutes: u64, settled, failed, answers| {
            let now = start + Duration::from_secs(60 * minutes);
            stalled.look(now, settled, failed, || answers)
        };
        assert!(!at(0, 5, true, true));
        assert!(!at(59, 5, true, true));
        assert!(at(60, 5, true, true));
        assert!(!at(61, 5, true, false), "an outage");
        assert!(at(62, 5, true, true));
        assert!(!at(63, 6, true, true), "one was delivered");
        assert!(!at(122, 6, true, true));
        assert!(at(123, 6, true, true));
        assert!(!at(124, 6, false, true), "nothing waits");
        assert!(!at(125, 6, true, true));
        assert!(!at(184, 6, true, true));
        assert!(at(185, 6, true, true));
    }
}
