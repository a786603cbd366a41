//! Parses durations in Go's syntax (`90m`, `1h30m`, `1.5h`), as the original does. Errors say what is expected; the
//! caller adds the flag and the text that was found.

use std::fmt;
use std::time::Duration;

/// Units of Go's `time.ParseDuration`, with their length in nanoseconds. Go accepts both micro signs.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Limit of a duration in Go, in whole seconds: about 292 years.
const LONGEST_SPAN: u64 = i64::MAX as u64 / 1_000_000_000;

/// Parses a duration in Go's syntax, up to Go's limit of 2^63 - 1 ns (about 292 years). Fractions of a
/// nanosecond are cut off. The error says what is expected.
pub fn parse_go_duration(text: &str) -> Result<Duration, String> {
    let invalid = || "a duration such as 90m, 1h30m or 1.5h".to_owned();
    if text.starts_with('-') {
        return Err("a duration that is not negative, such as 1h30m".to_owned());
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (part, after) = first_part(rest).ok_or_else(invalid)?;
        // Cannot overflow: each part is below 10^32, and the total before it is within the limit.
        total += part;
        if total > i64::MAX as u128 {
            return Err("a duration of at most 292 years".to_owned());
        }
        rest = after;
    }
    let nanos = u64::try_from(total).map_err(|_| invalid())?;
    Ok(Duration::from_nanos(nanos))
}

/// Parses a span: days, a duration in Go's syntax, or both, such as `30d`, `12h` or `1d12h`. The error says what is
/// expected.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let expected = || "a span such as 30d, 12h or 1d12h".to_owned();
    let (digits, rest) = split_digits(text);
    let Some(rest) = rest.strip_prefix('d') else {
        return parse_go_duration(text).map_err(|_| expected());
    };
    let days: u64 = digits.parse().map_err(|_| expected())?;
    let days = days.checked_mul(86_400).ok_or_else(expected)?;
    let rest = match rest.bytes().next() {
        None => Duration::ZERO,
        Some(b'0'..=b'9' | b'.') => parse_go_duration(rest).map_err(|_| expected())?,
        Some(_) => return Err(expected()),
    };
    let span = Duration::from_secs(days).saturating_add(rest);
    if span.as_secs() > LONGEST_SPAN {
        return Err("a span of at most 292 years".to_owned());
    }
    Ok(span)
}

/// A length of time in short form: `7d`, `1h30m`, `45s`.
pub fn short(seconds: u64) -> String {
    if seconds > 0 && seconds.is_multiple_of(86_400) {
        return format!("{}d", seconds / 86_400);
    }
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let text: String = parts
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// The length of a period, which is also the interval between the check-ins of an installation: whole seconds, at
/// least one minute, at most 292 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryPeriod(u64);

impl QueryPeriod {
    /// Parses a query period in Go's duration syntax.
    pub fn parse(text: &str) -> Result<QueryPeriod, String> {
        let period = parse_go_duration(text)?;
        if period < Duration::from_secs(60) {
            return Err("a period of at least 1m".to_owned());
        }
        if period.subsec_nanos() != 0 {
            return Err("a period of whole seconds, such as 90m or 1h30m".to_owned());
        }
        Ok(QueryPeriod(period.as_secs()))
    }

    /// The period in seconds, at least 60.
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// The period in whole minutes, rounded down, at least 1.
    pub fn minutes(self) -> u64 {
        self.0 / 60
    }
}

/// In Go's syntax: `1h30m`.
impl fmt::Display for QueryPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.0 / 3600, "h"),
            (self.0 / 60 % 60, "m"),
            (self.0 % 60, "s"),
        ];
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{count}{unit}")?;
        }
        Ok(())
    }
}

/// Splits the first `<number><unit>` off `text`: its length in nanoseconds, and the rest.
fn first_part(text: &str) -> Option<(u128, &str)> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == name)?;
    // A number too large for u64 is over the limit in any unit: even u64::MAX ns is.
    let whole = match whole {
        "" => 0,
        digits => digits.parse::<u64>().unwrap_or(u64::MAX),
    };
    let nanos = u128::from(whole) * u128::from(*unit) + fraction_of(fraction, *unit);
    Some((nanos, rest))
}

/// `0.<digits>` of `unit`, in nanoseconds, rounded down. Digits after the 18th are less than a nanosecond.
fn fraction_of(digits: &str, unit: u64) -> u128 {
    let (value, scale) = digits
        .bytes()
        .take(18)
        .fold((0u128, 1u128), |(value, scale), digit| {
            (value * 10 + u128::from(digit - b'0'), scale * 10)
        });
    value * u128::from(unit) / scale
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_mean_what_they_mean_in_go() {
        for (text, nanos) in [
            ("0", 0),
            ("+0", 0),
            ("0s", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("90m", 5_400_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1.h", 3_600_000_000_000),
            (".5s", 500_000_000),
            ("300ms", 300_000_000),
            ("12us", 12_000),
            ("12µs", 12_000),
            ("12μs", 12_000),
            ("7ns", 7),
            ("0.5ns", 0),
            ("1m1m", 120_000_000_000),
            ("0.3333333333333333333333h", 1_199_999_999_999),
            ("9223372036854775807ns", i64::MAX as u64),
        ] {
            let expected = Duration::from_nanos(nanos);
            assert_eq!(parse_go_duration(text), Ok(expected), "of {text:?}");
        }
    }

    #[test]
    fn what_is_no_duration_is_named_with_an_example() {
        for text in [
            "", "+", ".", "s", ".s", "1", "1.5", "h1", "1 h", " 1h", "1h ", "1d", "1H", "1e3s",
            "+-1s", "1h-5m", "1..5h", "1hm", "١h", "1h\n",
        ] {
            assert_eq!(
                parse_go_duration(text),
                Err("a duration such as 90m, 1h30m or 1.5h".to_owned())
            );
        }
    }

    #[test]
    fn a_negative_duration_is_refused_as_such() {
        assert_eq!(
            parse_go_duration("-5m").unwrap_err(),
            "a duration that is not negative, such as 1h30m"
        );
    }

    #[test]
    fn a_duration_over_the_limit_does_not_overflow() {
        let long = format!("{}h", "9".repeat(400));
        let many = "9223372036s".repeat(1000);
        for text in ["9223372036854775808ns", "2562048h", &long, &many] {
            let message = parse_go_duration(text).unwrap_err();
            assert!(message.ends_with("a duration of at most 292 years"));
        }
    }

    #[test]
    fn a_span_may_have_days_in_front() {
        for (text, seconds) in [
            ("30d", 30 * 86_400),
            ("12h", 12 * 3600),
            ("90m", 5400),
            ("1d12h", 36 * 3600),
            ("1d1.5h", 86_400 + 5400),
            ("0d", 0),
            ("106751d", 106_751 * 86_400),
        ] {
            assert_eq!(
                parse_span(text),
                Ok(Duration::from_secs(seconds)),
                "of {text}"
            );
        }
        for text in [
            "",
            "d",
            "d1h",
            "1.5d",
            "1d+1h",
            "1d-1h",
            "-1d",
            "1h1d",
            "1dd",
            "1d1",
            "1 d",
            "30D",
            "1w",
            "99999999999999999999d",
            "213503982334602d",
        ] {
            let expected = "a span such as 30d, 12h or 1d12h".to_owned();
            assert_eq!(parse_span(text), Err(expected), "of {text:?}");
        }
        assert!(parse_span("106752d").unwrap_err().contains("292 years"));
    }

    #[test]
    fn a_length_of_time_is_written_shortly() {
        for (seconds, text) in [
            (0, "0s"),
            (45, "45s"),
            (3600, "1h"),
            (5400, "1h30m"),
            (86_400, "1d"),
            (30 * 86_400, "30d"),
            (90_000, "25h"),
        ] {
            assert_eq!(short(seconds), text);
        }
    }

    #[test]
    fn a_query_period_is_at_least_a_minute_of_whole_seconds() {
        assert_eq!(
            QueryPeriod::parse("59s").unwrap_err(),
            "a period of at least 1m"
        );
        assert_eq!(
            QueryPeriod::parse("0").unwrap_err(),
            "a period of at least 1m"
        );
        assert_eq!(
            QueryPeriod::parse("1m500ms").unwrap_err(),
            "a period of whole seconds, such as 90m or 1h30m"
        );
        assert_eq!(QueryPeriod::parse("60000ms").map(|p| p.seconds()), Ok(60));
    }

    #[test]
    fn a_query_period_is_rendered_for_clients_and_people() {
        for (text, minutes, seconds, human) in [
            ("1h", 60, 3600, "1h"),
            ("90m", 90, 5400, "1h30m"),
            ("1.5h", 90, 5400, "1h30m"),
            ("90s", 1, 90, "1m30s"),
            ("1h5s", 60, 3605, "1h5s"),
            ("24h", 1440, 86400, "24h"),
            ("336h", 20160, 1209600, "336h"),
        ] {
            let period = QueryPeriod::parse(text).unwrap();
            assert_eq!(period.minutes(), minutes, "of {text}");
            assert_eq!(period.seconds(), seconds, "of {text}");
            assert_eq!(period.to_string(), human, "of {text}");
        }
    }
}
