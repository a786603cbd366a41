//! Which periods the server was there for from their first moment to their last. Only of those can it
//! say that nobody checked in; without a check-in they leave no other trace than having been noted.

/// The clock is looked at every second, and a request to InfluxDB delays that by a minute at most. After
/// a longer pause the machine has slept, the process was stopped, or the clock was set.
const LONGEST_PAUSE: i64 = 120;

/// How long the server has been there without a break. All times are in seconds since 1970.
#[derive(Debug)]
pub struct Uptime {
    since: i64,
    looked: i64,
    /// Records lost so far.
    lost: u64,
}

impl Uptime {
    pub fn beginning(now: i64) -> Uptime {
        Uptime {
            since: now,
            looked: now,
            lost: 0,
        }
    }

    /// The beginnings of the periods, `seconds` long, that have ended since the last look and that the
    /// server was there for in whole. While it loses records (`lost` of them until now) it cannot tell,
    /// which is as if it were away.
    pub fn ended(&mut self, now: i64, lost: u64, seconds: i64) -> Vec<i64> {
        if !(0..=LONGEST_PAUSE).contains(&(now - self.looked)) || lost != self.lost {
            self.since = now;
        }
        self.looked = now;
        self.lost = lost;
        let first = self.since + (-self.since).rem_euclid(seconds);
        let end = now - now.rem_euclid(seconds);
        // The next period begins where the last one ended.
        self.since = self.since.max(end);
        (first..end)
            .step_by(usize::try_from(seconds).unwrap_or(usize::MAX))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_counts_when_the_server_was_there_from_beginning_to_end() {
        let mut uptime = Uptime::beginning(3630);
        assert!(uptime.ended(3661, 0, 60).is_empty(), "it began before");
        assert!(uptime.ended(3719, 0, 60).is_empty(), "it is not over");
        assert_eq!(uptime.ended(3720, 0, 60), [3660]);
        assert!(uptime.ended(3721, 0, 60).is_empty(), "once is enough");
        // A look that was late.
        assert_eq!(uptime.ended(3841, 0, 60), [3720, 3780]);
        let mut punctual = Uptime::beginning(3600);
        assert_eq!(punctual.ended(3660, 0, 60), [3600]);
    }

    #[test]
    fn a_break_costs_the_periods_that_it_touches() {
        let mut uptime = Uptime::beginning(0);
        assert!(uptime.ended(121, 0, 60).is_empty(), "slept");
        assert_eq!(uptime.ended(241, 0, 60), [180]);
        assert!(uptime.ended(200, 0, 60).is_empty(), "set back");
        assert_eq!(uptime.ended(300, 0, 60), [240]);
        assert!(uptime.ended(360, 1, 60).is_empty(), "lost a record");
        assert_eq!(uptime.ended(420, 1, 60), [360]);
    }

    #[test]
    fn a_period_of_another_length_begins_anew() {
        let mut uptime = Uptime::beginning(0);
        assert_eq!(uptime.ended(60, 0, 60), [0]);
        assert!(uptime.ended(120, 0, 120).is_empty(), "half of it is noted");
        assert_eq!(uptime.ended(240, 0, 120), [120]);
    }
}
