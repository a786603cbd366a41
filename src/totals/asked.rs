//! What somebody asks a ledger for, from text: the flags of `report` and the parameters of `/report.csv` are
//! read alike. An error says what is expected.

use super::report::Every;
use super::values::{ALL, APP_VERSION, CITIES, COUNTRIES};
use crate::units::date::parse_moment;
use crate::units::duration::parse_span;

/// The dimensions that all check-ins are counted by; extra tags and fields come on top.
pub const OF_EVERY_CHECK_IN: [&str; 4] = [ALL, APP_VERSION, COUNTRIES, CITIES];

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// A thousand years, in seconds.
const LONGEST: i64 = 1_000 * 365 * DAY as i64;

/// The time to report on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So many seconds before `to`, or before now.
    Last { seconds: i64, to: Option<i64> },
    /// In seconds since 1970; up to now where there is no `to`.
    From { from: i64, to: Option<i64> },
}

/// The span that was asked for, in seconds since 1970; `to` is not a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub from: i64,
    pub to: i64,
}

impl Asked {
    pub fn new(span: Span, now: i64) -> Asked {
        // The period that began in this second is a part of it. The future has no rows.
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

    /// Not before the ledger's beginning: ten years of rows that say nothing would hide the first one.
    pub fn within(&self, from: i64, known: Option<(i64, i64)>) -> i64 {
        let begin = known.map_or(from, |(begin, _)| begin);
        from.max(begin).min(self.to)
    }
}

/// A dimension or field as the ledger writes names. Which of them there are, only the ledger knows.
pub fn by(text: &str) -> Result<String, String> {
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if text.is_empty() || !text.bytes().all(sound) {
        let expected = "all, app_version, country, city, or a tag or field in snake case, such as \
                        kubernetes_version";
        return Err(expected.to_owned());
    }
    Ok(text.to_owned())
}

/// In seconds since 1970.
pub fn moment(text: &str) -> Result<i64, String> {
    parse_moment(text).ok_or_else(|| {
        "an RFC 3339 date with time, such as 2024-05-31T12:00:00Z, or a date".to_owned()
    })
}

/// In seconds; `all` is longer than any ledger.
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

/// The time that a row stands for.
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
