//! Scales of charts: round numbers for the vertical axis, and dates for the horizontal one.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// Limit that the step between the dates under a chart is chosen for.
const MOST_DATES: i64 = 7;

/// A vertical scale from zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub step: f64,
    pub steps: u32,
}

impl Scale {
    /// A scale of at most six round steps, with 5 % of room above the greatest figure.
    pub fn for_greatest(greatest: f64) -> Scale {
        let wanted = if greatest.is_finite() && greatest > 0.0 {
            greatest * 1.05
        } else {
            1.0
        };
        let magnitude = 10f64.powf((wanted / 6.0).log10().floor());
        let round = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * magnitude);
        let step = round.into_iter().find(|step| wanted / step <= 6.0);
        let step = step.unwrap_or(10.0 * magnitude);
        Scale {
            step,
            steps: (wanted / step).ceil().clamp(1.0, 6.0) as u32,
        }
    }

    /// A scale of shares, which does not go beyond 100 percent.
    pub fn for_greatest_share(greatest: f64) -> Scale {
        let scale = Scale::for_greatest(greatest.min(1.0) * 100.0);
        let step = scale.step / 100.0;
        let most = (1.0 / step).round().max(1.0) as u32;
        Scale {
            step,
            steps: scale.steps.min(most),
        }
    }

    pub fn top(self) -> f64 {
        self.step * f64::from(self.steps)
    }

    /// The figures at the lines, greatest first.
    pub fn figures(self) -> impl Iterator<Item = f64> {
        (0..=self.steps)
            .rev()
            .map(move |n| self.step * f64::from(n))
    }

    /// The distance of a figure from the top, as a part of the height.
    pub fn down(self, figure: f64) -> f64 {
        (1.0 - figure / self.top()).clamp(0.0, 1.0)
    }
}

/// A moment under a chart, in seconds since 1970, and its text.
pub type Mark = (i64, String);

/// The dates under a chart of a span, whose ends are in seconds since 1970.
pub fn dates(from: i64, to: i64) -> Vec<Mark> {
    let span = to.saturating_sub(from).max(1);
    let fits = |step: i64| span / step <= MOST_DATES;
    if let Some(step) = [1, 2, 4, 6, 12]
        .map(|hours| hours * HOUR)
        .into_iter()
        .find(|step| fits(*step))
    {
        return every(
            from,
            to,
            step,
            if step < 12 * HOUR {
                "%H:%M"
            } else {
                "%b %-d %H:%M"
            },
        );
    }
    if let Some(days) = [1, 2, 7, 14].into_iter().find(|days| fits(days * DAY)) {
        return every(from, to, days * DAY, "%b %-d");
    }
    let months = [1, 2, 3, 6, 12, 24, 60, 120]
        .into_iter()
        .find(|months| fits(months * 30 * DAY));
    every_months(from, to, months.unwrap_or(120))
}

/// A moment in UTC such as `2026-11-26 14:00`, without the time of day if `whole_days` is set.
pub fn moment(seconds: i64, whole_days: bool) -> String {
    written(
        seconds,
        if whole_days {
            "%Y-%m-%d"
        } else {
            "%Y-%m-%d %H:%M"
        },
    )
}

/// A moment in UTC in a format of `strftime`.
pub fn written(seconds: i64, format: &str) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |at| at.strftime(format).to_string(),
    )
}

fn every(from: i64, to: i64, step: i64, format: &str) -> Vec<Mark> {
    let first = from + (-from).rem_euclid(step);
    let marks = std::iter::successors(Some(first), |at| Some(at + step));
    marks
        .take_while(|at| *at < to)
        .map(|at| (at, written(at, format)))
        .collect()
}

fn every_months(from: i64, to: i64, step: i64) -> Vec<Mark> {
    let Ok(start) = Timestamp::from_second(from) else {
        return Vec::new();
    };
    let start: DateTime = TimeZone::UTC.to_datetime(start);
    // Counted in months since the year 0, so that steps of whole years fall on January.
    let month = i64::from(start.year()) * 12 + i64::from(start.month()) - 1;
    let first = month + (-month).rem_euclid(step);
    let at = |month: i64| {
        let year = i16::try_from(month.div_euclid(12)).ok()?;
        let date = Date::new(year, month.rem_euclid(12) as i8 + 1, 1).ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    };
    let marks = std::iter::successors(Some(first), |month| Some(month + step));
    marks
        .map_while(at)
        .skip_while(|at| *at < from)
        .take_while(|at| *at < to)
        .map(|at| (at, written(at, if step < 12 { "%b %Y" } else { "%Y" })))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_hold_the_greatest_figure() {
        for (greatest, step, steps) in [
            (0.0, 0.2, 5),
            (1.0, 0.2, 6),
            (3.0, 1.0, 4),
            (48_000.0, 10_000.0, 6),
            (99.0, 20.0, 6),
            (f64::NAN, 0.2, 5),
        ] {
            let scale = Scale::for_greatest(greatest);
            assert_eq!((scale.step, scale.steps), (step, steps), "of {greatest}");
            assert!(scale.top() >= greatest || greatest.is_nan());
        }
        assert_eq!(Scale::for_greatest_share(1.0).top(), 1.0);
        assert_eq!(Scale::for_greatest(4.0).down(0.0), 1.0);
    }

    #[test]
    fn dates_are_few_and_at_their_beginnings() {
        let at = |text: &str| crate::units::date::parse_moment(text).unwrap();
        let texts = |from, to| -> Vec<String> {
            dates(at(from), at(to))
                .into_iter()
                .map(|(_, text)| text)
                .collect()
        };
        assert_eq!(
            texts("2026-11-26T10:30:00Z", "2026-11-27T10:30:00Z"),
            ["12:00", "16:00", "20:00", "00:00", "04:00", "08:00"]
        );
        assert_eq!(
            texts("2026-11-20", "2026-11-27"),
            [
                "Nov 20", "Nov 21", "Nov 22", "Nov 23", "Nov 24", "Nov 25", "Nov 26"
            ]
        );
        assert_eq!(
            texts("2025-11-27", "2026-11-27"),
            [
                "Jan 2026", "Mar 2026", "May 2026", "Jul 2026", "Sep 2026", "Nov 2026"
            ]
        );
        assert_eq!(dates(5, 5), []);
        assert!(dates(0, i64::MAX).len() < 1000);
    }
}
