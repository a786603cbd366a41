//! Finds the period that a moment belongs to.
//!
//! Periods are aligned to 1970 and follow each other without a gap. Their length may change: each length
//! applies from a boundary on, and the last period of the previous length is cut there. So every
//! moment is in exactly one period, however often the length changed.

/// Limit of the length of a period, in seconds: 292 years, the longest duration of Go.
const LONGEST: i64 = 9_223_372_036;
/// Longest wait for a common boundary of two lengths, in seconds, unless one of the lengths is longer.
const DAY: i64 = 86_400;

/// A span of time, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub start: i64,
    /// Exclusive end.
    pub end: i64,
}

impl Period {
    pub fn seconds(self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    pub fn holds(self, moment: i64) -> bool {
        self.start <= moment && moment < self.end
    }
}

/// The lengths of periods over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Oldest first, never empty; the first also applies to all time before it.
    lengths: Vec<Length>,
}

/// Length of the periods from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// In seconds since 1970.
    pub since: i64,
    pub seconds: i64,
}

impl Lengths {
    /// One length for all time.
    pub fn always(seconds: u64) -> Lengths {
        let seconds = i64::try_from(seconds).unwrap_or(LONGEST).clamp(1, LONGEST);
        let first = Length { since: 0, seconds };
        Lengths {
            lengths: vec![first],
        }
    }

    /// From stored lengths, oldest first; `None` if they are invalid.
    pub fn from_kept(lengths: Vec<Length>) -> Option<Lengths> {
        let sound = |length: &Length| {
            (1..=LONGEST).contains(&length.seconds) && (0..=LONGEST * 4).contains(&length.since)
        };
        let rising = lengths.windows(2).all(|two| two[0].since < two[1].since);
        let good = !lengths.is_empty() && rising && lengths.iter().all(sound);
        good.then_some(Lengths { lengths })
    }

    pub fn iter(&self) -> impl Iterator<Item = Length> {
        self.lengths.iter().copied()
    }

    /// The period that a moment belongs to, in seconds since 1970.
    pub fn at(&self, moment: i64) -> Period {
        let index = self.index_at(moment);
        let Length { since, seconds } = self.lengths[index];
        let aligned = moment.saturating_sub(moment.rem_euclid(seconds));
        let (mut start, mut end) = (aligned, aligned.saturating_add(seconds));
        if index > 0 {
            start = start.max(since);
        }
        if let Some(next) = self.lengths.get(index + 1) {
            end = end.min(next.since);
        }
        Period { start, end }
    }

    /// Length that applies at a moment, in seconds.
    pub fn seconds_at(&self, moment: i64) -> i64 {
        self.lengths[self.index_at(moment)].seconds
    }

    /// Longest length that applies within a span, in seconds.
    pub fn longest_within(&self, from: i64, to: i64) -> i64 {
        let within = &self.lengths[self.index_at(from)..=self.index_at(to.max(from))];
        within
            .iter()
            .map(|length| length.seconds)
            .max()
            .unwrap_or(1)
    }

    /// Changes the length to `seconds` from a boundary after `now` on. The boundary is the next moment at which
    /// periods of both lengths begin, or, if that is far, the next boundary of the new length. A length that has
    /// not begun yet is removed. A length that begins before `known`, the newest known period, has begun even if
    /// `now` is earlier: the clock may have been set back.
    pub fn change(&mut self, seconds: u64, now: i64, known: i64) {
        let begun = self.index_at(now.max(known)) + 1;
        self.lengths.truncate(begun);
        let now = self.lengths.last().map_or(now, |last| now.max(last.since));
        let new = i64::try_from(seconds).unwrap_or(LONGEST).clamp(1, LONGEST);
        let old = self.seconds_at(now);
        if new == old {
            return;
        }
        let next = |step: i64| {
            now.saturating_sub(now.rem_euclid(step))
                .saturating_add(step)
        };
        let far = DAY.max(old).max(new);
        let common = (old / greatest_common_divisor(old, new)).checked_mul(new);
        let since = common
            .map(next)
            .filter(|common| common.saturating_sub(now) <= far)
            .unwrap_or_else(|| next(new));
        self.lengths.push(Length {
            since,
            seconds: new,
        });
    }

    fn index_at(&self, moment: i64) -> usize {
        let after = self.lengths[1..].partition_point(|length| length.since <= moment);
        after.min(self.lengths.len() - 1)
    }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn a_new_length_begins_where_periods_of_both_do() {
        let mut lengths = Lengths::always(3600);
        lengths.change(7200, NOW, 0);
        let since = lengths.iter().nth(1).unwrap().since;
        assert_eq!((since % 7200, since - NOW <= 7200), (0, true));
        assert_eq!(
            lengths.at(since - 1),
            Period {
                start: since - 3600,
                end: since
            }
        );
        assert_eq!(
            lengths.at(since),
            Period {
                start: since,
                end: since + 7200
            }
        );
    }

    #[test]
    fn a_far_common_boundary_is_not_waited_for() {
        let mut lengths = Lengths::always(7 * 86_400);
        lengths.change(3601, NOW, 0);
        let since = lengths.iter().nth(1).unwrap().since;
        assert_eq!((since % 3601, since - NOW <= 3601), (0, true));
        // The last period of the old length ends at the change.
        let cut = lengths.at(NOW);
        assert_eq!((cut.start % (7 * 86_400), cut.end), (0, since));
    }

    #[test]
    fn a_length_that_has_not_begun_is_replaced() {
        let mut lengths = Lengths::always(3600);
        lengths.change(7200, NOW, 0);
        lengths.change(3600, NOW + 1, 0);
        assert_eq!(lengths, Lengths::always(3600));
    }

    #[test]
    fn a_clock_before_its_time_forgets_no_length() {
        let mut lengths = Lengths::always(3600);
        lengths.change(7200, NOW, NOW);
        let before = lengths.clone();
        lengths.change(7200, 60, NOW + 100_000);
        assert_eq!(lengths, before);
    }

    #[test]
    fn lengths_that_make_no_sense_are_refused() {
        let length = |since, seconds| Length { since, seconds };
        for kept in [
            vec![],
            vec![length(0, 0)],
            vec![length(0, -5)],
            vec![length(0, 60), length(0, 90)],
            vec![length(i64::MAX, 60)],
            vec![length(0, i64::MAX)],
        ] {
            assert_eq!(Lengths::from_kept(kept), None);
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_in_exactly_one_period(
            first in 1u64..1_000_000,
            starts in prop::collection::vec((1u64..2_000_000, 0i64..3_000_000), 0..12),
            moment in -5_000_000i64..20_000_000,
        ) {
            let (mut lengths, mut now) = (Lengths::always(first), 1_000_000);
            for (seconds, later) in starts {
                now += later;
                let before = lengths.clone();
                lengths.change(seconds, now, now);
                // A change moves no start up to now; only the end of the current period may change.
                for past in [0, moment.min(now), now] {
                    prop_assert_eq!(lengths.at(past).start, before.at(past).start);
                }
                let change = lengths.iter().last().unwrap().since;
                let far = 86_400.max(seconds as i64).max(before.seconds_at(now));
                prop_assert!(change <= now || change - now <= far);
                prop_assert_eq!(lengths.seconds_at(now + far), seconds.cast_signed());
            }
            let period = lengths.at(moment);
            prop_assert!(period.holds(moment));
            for inside in [period.start, period.end - 1] {
                prop_assert_eq!(lengths.at(inside), period);
            }
            prop_assert_eq!(lengths.at(period.end).start, period.end);
            prop_assert_eq!(lengths.at(period.start - 1).end, period.start);
            let kept = Lengths::from_kept(lengths.iter().collect());
            prop_assert_eq!(kept, Some(lengths));
        }

        #[test]
        fn any_moment_can_be_asked_for(moment: i64, seconds in 1u64..10_000_000_000, now: i64) {
            let mut lengths = Lengths::always(3600);
            lengths.change(seconds, now.clamp(0, LONGEST), 0);
            let _ = lengths.at(moment);
        }
    }
}
