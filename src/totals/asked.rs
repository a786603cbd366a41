//! Parses what a report is asked for: the flags of `report` and the parameters of `/report.csv` have the same
//! syntax. An error says what is expected.

use super::report::Every;
use super::values::{ALL, APP_VERSION, CITIES, COUNTRIES};
use crate::units::date::parse_moment;
use crate::units::duration::parse_span;

/// Dimensions by which every check-in is counted, besides extra tags and fields.
pub const OF_EVERY_CHECK_IN: [&str; 4] = [ALL, APP_VERSION, COUNTRIES, CITIES];

/// The span of a report for which none is given.
pub const REPORT_LAST: &str = "30d";

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// A thousand years, in seconds.
const LONGEST: i64 = 1_000 * 365 * DAY as i64;

/// Time span of a report, as the user gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// The last `seconds` before `to`, or before now without a `to`.
    Last { seconds: i64, to: Option<i64> },
    /// Start and end in seconds since 1970; without a `to`, the span ends now.
    From { from: i64, to: Option<i64> },
}

/// Time span of a report, in seconds since 1970; `to` is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub from: i64,
    pub to: i64,
}

impl Asked {
    pub fn new(span: Span, now: i64) -> Asked {
        // The end is exclusive: a period that began in this second is included. The future has no rows.
        let end = now.saturating_add(1);
        match span {
            Span::Last { seconds, to } => {
                let to = to.unwrap_or(end).min(end);
                let from = to.saturating_sub(seconds);
                Asked { from, to }
            }
            Span::From { from, to } => {
                let to = to.unwrap_or(end).min(end);
                Asked {
                    from,
                    to: to.max(from),
                }
            }
        }
    }

    /// `from`, but not before the ledger's first moment: years of empty rows would hide the first row with data.
    pub fn within(&self, from: i64, known: Option<(i64, i64)>) -> i64 {
        let begin = known.map_or(from, |(begin, _)| begin);
        from.max(begin).min(self.to)
    }
}

/// Name of a dimension or field, in the ledger's spelling. Whether the ledger has it is not checked here.
pub fn by(text: &str) -> Result<String, String> {
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if text.is_empty() || !text.bytes().all(sound) {
        let expected = "all, app_version, country, city, or a tag or field in snake case, such as \
                        kubernetes_version";
        return Err(expected.to_owned());
    }
    Ok(text.to_owned())
}

/// Parses a moment, in seconds since 1970.
pub fn moment(text: &str) -> Result<i64, String> {
    parse_moment(text).ok_or_else(|| {
        "an RFC 3339 date with time, such as 2024-05-31T12:00:00Z, or a date, up to 9999-12-30"
            .to_owned()
    })
}

/// Parses the length of a span, in seconds; `all` is longer than any ledger.
pub fn last(text: &str) -> Result<i64, String> {
    if text == "all" {
        return Ok(LONGEST);
    }
    let seconds = parse_span(text)?.as_secs();
    match i64::try_from(seconds) {
        Ok(seconds) if seconds >= 60 => Ok(seconds),
        _ => Err("all, or a span of at least 1m, such as 30d, 12h or 90m".to_owned()),
    }
}

/// Parses the length of time of a row.
pub fn every(text: &str) -> Result<Every, String> {
    if text == "period" {
        return Ok(Every::Period);
    }
    let expected = || "period, or whole hours or days, such as 6h, 1d or 7d".to_owned();
    let seconds = parse_span(text).map_err(|_| expected())?.as_secs();
    if seconds == 0 || !seconds.is_multiple_of(HOUR) {
        return Err(expected());
    }
    if seconds.is_multiple_of(DAY) {
        return u32::try_from(seconds / DAY)
            .map(Every::Days)
            .map_err(|_| expected());
    }
    u32::try_from(seconds / HOUR)
        .map(Every::Hours)
        .map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_now_at_the_latest_and_begins_with_what_is_known() {
        let last = |to| Asked::new(Span::Last { seconds: 100, to }, 999);
        assert_eq!(
            last(None),
            Asked {
                from: 900,
                to: 1000
            }
        );
        assert_eq!(last(Some(500)), Asked { from: 400, to: 500 });
        assert_eq!(
            last(Some(5000)),
            Asked {
                from: 900,
                to: 1000
            }
        );
        let from = |from, to| Asked::new(Span::From { from, to }, 999);
        assert_eq!(from(10, None), Asked { from: 10, to: 1000 });
        assert_eq!(
            from(2000, Some(3000)),
            Asked {
                from: 2000,
                to: 2000
            }
        );

        let asked = last(None);
        assert_eq!(asked.within(asked.from, Some((950, 990))), 950);
        assert_eq!(asked.within(asked.from, Some((0, 990))), 900);
        assert_eq!(asked.within(asked.from, Some((5000, 6000))), 1000);
        assert_eq!(asked.within(asked.from, None), 900);
    }
}
