//! Which periods the server was there for from their first moment to their last without a check-in. Only
//! of those can it say that nobody checked in; they leave no other trace than having been noted.

/// The clock is looked at every second, and a request to InfluxDB delays that by a minute at most. After
/// a longer pause the machine has slept, the process was stopped, or the clock was set.
const LONGEST_PAUSE: i64 = 120;

/// How long the server has been there without a break. All times are in seconds since 1970.
#[derive(Debug)]
pub struct Uptime {
    /// What is known begins here: the start, the end of a break, or the last end of a period.
    since: i64,
    looked: i64,
    /// Check-ins until the last look before the current period, and until the last one of all.
    heard_before: u64,
    heard: u64,
}

impl Uptime {
    pub fn beginning(now: i64) -> Uptime {
        Uptime {
            since: now,
            looked: now,
            heard_before: 0,
            heard: 0,
        }
    }

    /// The clock was set back since the last look.
    pub fn is_before_last_look(&self, now: i64) -> bool {
        now < self.looked
    }

    /// The beginnings of the periods, `seconds` long, that have ended since the last look, that the
    /// server was there for in whole, and in which nobody checked in; `heard` is the number of check-ins
    /// until now. One from between two looks may belong to the period before or to that behind, so it
    /// counts for both.
    pub fn silent(&mut self, now: i64, heard: u64, seconds: i64) -> Vec<i64> {
        if !(0..=LONGEST_PAUSE).contains(&(now - self.looked)) {
            self.since = now;
            self.heard_before = heard;
            self.heard = heard;
        }
        let first = self.since + (-self.since).rem_euclid(seconds);
        let end = now - now.rem_euclid(seconds);
        let mut silent = Vec::new();
        if heard == self.heard_before {
            let step = usize::try_from(seconds).unwrap_or(usize::MAX);
            silent.extend((first..end).step_by(step));
        }
        if end > self.since {
            self.since = end;
            self.heard_before = self.heard;
        }
        self.looked = now;
        self.heard = heard;
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_counts_when_the_server_was_there_from_beginning_to_end() {
        let mut uptime = Uptime::beginning(3630);
        assert!(uptime.silent(3661, 0, 60).is_empty(), "it began before");
        assert!(uptime.silent(3719, 0, 60).is_empty(), "it is not over");
        assert_eq!(uptime.silent(3720, 0, 60), [3660]);
        assert!(uptime.silent(3721, 0, 60).is_empty(), "once is enough");
        // A look that was late.
        assert_eq!(uptime.silent(3841, 0, 60), [3720, 3780]);
        let mut punctual = Uptime::beginning(3600);
        assert_eq!(punctual.silent(3660, 0, 60), [3600]);
    }

    #[test]
    fn a_period_with_a_check_in_is_not_silent() {
        let mut uptime = Uptime::beginning(3600);
        assert!(uptime.silent(3630, 5, 60).is_empty());
        assert!(uptime.silent(3660, 5, 60).is_empty(), "five check-ins");
        assert!(uptime.silent(3719, 5, 60).is_empty());
        assert_eq!(uptime.silent(3720, 5, 60), [3660]);
        assert!(uptime.silent(3779, 5, 60).is_empty());
        assert!(uptime.silent(3780, 6, 60).is_empty(), "before its end?");
        assert!(uptime.silent(3840, 6, 60).is_empty(), "or after it?");
        assert_eq!(uptime.silent(3900, 6, 60), [3840]);
    }

    #[test]
    fn a_break_costs_the_periods_that_it_touches() {
        let mut uptime = Uptime::beginning(0);
        assert!(uptime.silent(121, 0, 60).is_empty(), "slept");
        assert_eq!(uptime.silent(241, 0, 60), [180]);
        assert!(uptime.silent(200, 0, 60).is_empty(), "set back");
        assert_eq!(uptime.silent(300, 0, 60), [240]);
    }

    #[test]
    fn a_period_of_another_length_begins_anew() {
        let mut uptime = Uptime::beginning(0);
        assert_eq!(uptime.silent(60, 0, 60), [0]);
        assert!(uptime.silent(120, 0, 120).is_empty(), "half of it is noted");
        assert_eq!(uptime.silent(240, 0, 120), [120]);
    }
}
