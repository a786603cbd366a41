//! Timestamps of records: each record gets one of its own, even while the machine's clock stands or is set back.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::logging::Throttle;

/// Timestamps follow a clock that was set back by more than this.
const CLOCK_TOLERANCE_NS: i64 = 1_000_000_000;

/// Gives each record a timestamp of its own.
#[derive(Debug)]
pub struct Clock {
    last: i64,
    set_back: Throttle,
}

impl Clock {
    /// A clock whose timestamps come after the last one of an earlier run, in ns since 1970.
    pub fn after(last: i64) -> Clock {
        let set_back = Throttle::default();
        Clock { last, set_back }
    }

    /// The timestamp that was given last.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// `max(now, last + 1)`, so that two equal check-ins are never one point. A clock that was set back by more
    /// than a second is followed, because one wrong time in the future must not stamp years of records.
    pub fn stamp(&mut self, now: i64) -> i64 {
        let next = self.last.saturating_add(1);
        if next.saturating_sub(now) > CLOCK_TOLERANCE_NS {
            if let Some(times) = self.set_back.tick(1) {
                let times = times.times();
                log::warn!(
                    "the clock was set back by {} s, {times}; new records get the new time; if this \
                     was not intended, check the machine's time synchronization",
                    next.saturating_sub(now) / 1_000_000_000
                );
            }
            self.last = now;
        } else {
            self.last = next.max(now);
        }
        self.last
    }
}

/// Nanoseconds since 1970; a clock before that counts as 1970.
pub fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
pub fn now_seconds() -> i64 {
    now_ns() / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_moments_get_different_timestamps() {
        let mut clock = Clock::after(i64::MIN);
        assert_eq!([clock.stamp(7), clock.stamp(7), clock.stamp(7)], [7, 8, 9]);
        assert_eq!(clock.stamp(100), 100);
    }

    #[test]
    fn a_small_step_back_goes_on_and_a_large_one_is_followed() {
        let mut clock = Clock::after(i64::MIN);
        let start = 10 * CLOCK_TOLERANCE_NS;
        clock.stamp(start);
        assert_eq!(clock.stamp(start - CLOCK_TOLERANCE_NS / 2), start + 1);
        assert_eq!(
            clock.stamp(start - 2 * CLOCK_TOLERANCE_NS),
            start - 2 * CLOCK_TOLERANCE_NS
        );
    }
}
