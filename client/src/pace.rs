//! The time of the next request: after the server's interval, within limits, and later after failures.
//!
//! This module must not read a clock or wait.

use std::time::{Duration, Instant};

/// The interval before the server's first answer.
const UNTIL_TOLD: Duration = Duration::from_secs(3600);
/// Failures double the pause up to this many intervals.
const MOST_INTERVALS: u32 = 8;
/// The jitter of each request is at most the interval divided by this. Jitter only lengthens a pause, so an
/// installation misses on average half of this share of the server's periods.
const JITTER: u32 = 100;

/// The limits of an interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) least: Duration,
    pub(crate) greatest: Duration,
}

impl Limits {
    /// The limits with a minute of this length; tests have shorter ones.
    pub(crate) fn in_minutes_of(minute: Duration) -> Limits {
        Limits {
            least: minute,
            greatest: minute.saturating_mul(7 * 24 * 60),
        }
    }

    /// The interval of the server's answer, given in minutes.
    pub(crate) fn interval(&self, minutes: f64) -> Duration {
        let seconds = self.least.as_secs_f64() * minutes;
        let interval = match Duration::try_from_secs_f64(seconds) {
            Ok(interval) => interval,
            Err(_) if seconds > 0.0 => self.greatest,
            Err(_) => self.least,
        };
        self.clamp(interval)
    }

    pub(crate) fn clamp(&self, interval: Duration) -> Duration {
        interval.clamp(self.least, self.greatest)
    }
}

/// The state that decides the time of the next request.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: Limits,
    interval: Duration,
    last: Option<Instant>,
    failures: u32,
}

impl Pace {
    pub(crate) fn new(limits: Limits, interval: Option<Duration>) -> Pace {
        Pace {
            limits,
            interval: limits.clamp(interval.unwrap_or(UNTIL_TOLD)),
            last: None,
            failures: 0,
        }
    }

    /// The time until a request may be sent.
    pub(crate) fn may_ask_in(&self, now: Instant) -> Duration {
        self.after_last(self.interval, now)
    }

    /// The time until a request of the thread is due. `random` is any number.
    pub(crate) fn is_due_in(&self, now: Instant, random: u64) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(31);
        let intervals = (1_u32 << doublings).min(MOST_INTERVALS);
        let pause = self.limits.clamp(self.interval.saturating_mul(intervals));
        self.after_last(pause + part(pause / JITTER, random), now)
    }

    pub(crate) fn asked(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// Notes an answer, with the minutes of an interval if it has them. Returns the interval.
    pub(crate) fn answered(&mut self, minutes: Option<f64>) -> Duration {
        self.failures = 0;
        if let Some(minutes) = minutes {
            self.interval = self.limits.interval(minutes);
        }
        self.interval
    }

    pub(crate) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    fn after_last(&self, pause: Duration, now: Instant) -> Duration {
        let Some(last) = self.last else {
            return Duration::ZERO;
        };
        pause.saturating_sub(now.saturating_duration_since(last))
    }
}

/// A part of `whole`, from nothing to all of it.
pub(crate) fn part(whole: Duration, random: u64) -> Duration {
    whole.mul_f64(random as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn pace() -> Pace {
        Pace::new(Limits::in_minutes_of(MINUTE), None)
    }

    #[test]
    fn whatever_the_server_says_an_interval_is_a_minute_to_seven_days() {
        let week = 7 * 24 * 60 * MINUTE;
        for (minutes, expected) in [
            (0.0, MINUTE),
            (-5.0, MINUTE),
            (f64::NAN, MINUTE),
            (f64::NEG_INFINITY, MINUTE),
            (0.001, MINUTE),
            (1.0, MINUTE),
            (90.0, 90 * MINUTE),
            (10_080.0, week),
            (10_081.0, week),
            (1e300, week),
            (f64::INFINITY, week),
        ] {
            assert_eq!(pace().answered(Some(minutes)), expected, "of {minutes}");
        }
        assert_eq!(pace().answered(None), 60 * MINUTE);
    }

    #[test]
    fn between_two_requests_is_an_interval_and_a_hundredth_at_most() {
        let (mut pace, now) = (pace(), Instant::now());
        assert_eq!(pace.may_ask_in(now), Duration::ZERO);
        assert_eq!(pace.is_due_in(now, u64::MAX), Duration::ZERO);
        pace.asked(now);
        pace.answered(Some(100.0));
        assert_eq!(pace.may_ask_in(now), 100 * MINUTE);
        assert_eq!(pace.is_due_in(now, 0), 100 * MINUTE);
        assert_eq!(pace.is_due_in(now, u64::MAX), 101 * MINUTE);
        let later = now + 30 * MINUTE;
        assert_eq!(pace.is_due_in(later, 0), 70 * MINUTE);
        assert_eq!(pace.may_ask_in(now + 101 * MINUTE), Duration::ZERO);
    }

    #[test]
    fn failures_double_the_pause_and_an_answer_ends_that() {
        let (mut pace, now) = (pace(), Instant::now());
        pace.answered(Some(10.0));
        pace.asked(now);
        for intervals in [1, 2, 4, 8, 8, 8] {
            pace.failed();
            assert_eq!(pace.is_due_in(now, 0), intervals * 10 * MINUTE);
        }
        // The number of failures must not overflow.
        pace.failures = u32::MAX;
        pace.failed();
        assert_eq!(pace.is_due_in(now, 0), 80 * MINUTE);
        pace.answered(None);
        assert_eq!(pace.is_due_in(now, 0), 10 * MINUTE);
    }

    #[test]
    fn a_long_interval_is_not_doubled_over_seven_days() {
        let (mut pace, now) = (pace(), Instant::now());
        pace.answered(Some(1e9));
        pace.asked(now);
        (0..5).for_each(|_| pace.failed());
        assert_eq!(pace.is_due_in(now, 0), 7 * 24 * 60 * MINUTE);
    }
}
