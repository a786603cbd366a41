//! Which periods the server was there for from their first moment to their last without a record. Only
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
    /// Records accepted until the first look in the current period, and until the last one.
    accepted_before: u64,
    accepted: u64,
}

impl Uptime {
    pub fn beginning(now: i64) -> Uptime {
        Uptime {
            since: now,
            looked: now,
            accepted_before: 0,
            accepted: 0,
        }
    }

    /// The beginnings of the periods, `seconds` long, that have ended since the last look, that the
    /// server was there for in whole, and in which no record was accepted; `accepted` is their number
    /// until now. A record from between two looks may still belong to one of them. But one that is
    /// accepted between is never overlooked, though it is lost later.
    pub fn silent(&mut self, now: i64, accepted: u64, seconds: i64) -> Vec<i64> {
        if !(0..=LONGEST_PAUSE).contains(&(now - self.looked)) {
            self.since = now;
            self.accepted_before = accepted;
            self.accepted = accepted;
        }
        let first = self.since + (-self.since).rem_euclid(seconds);
        let end = now - now.rem_euclid(seconds);
        let mut silent = Vec::new();
        if self.accepted == self.accepted_before {
            let step = usize::try_from(seconds).unwrap_or(usize::MAX);
            silent.extend((first..end).step_by(step));
        }
        if end > self.since {
            self.since = end;
            self.accepted_before = accepted;
        }
        self.looked = now;
        self.accepted = accepted;
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
    fn a_period_with_a_record_is_not_silent() {
        let mut uptime = Uptime::beginning(3600);
        assert!(uptime.silent(3630, 5, 60).is_empty());
        assert!(uptime.silent(3660, 5, 60).is_empty(), "five records");
        assert!(uptime.silent(3719, 5, 60).is_empty());
        // It may have come before the period's end or after.
        assert_eq!(uptime.silent(3720, 6, 60), [3660]);
        assert_eq!(uptime.silent(3780, 6, 60), [3720]);
        assert!(uptime.silent(3781, 7, 60).is_empty());
        assert!(uptime.silent(3840, 7, 60).is_empty(), "one record");
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
