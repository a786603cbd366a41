//! Parses dates that operators write. A release date must be one that Go parses too: the original and the clients
//! read the same text.

use jiff::Timestamp;

/// Parses an RFC 3339 date-time (section 5.6), with `T` and `Z` in upper case, as Go requires. `None` if the text is
/// not one.
pub fn parse_date(text: &str) -> Option<Timestamp> {
    // The date library accepts more than RFC 3339, so the shape is checked first.
    let (date_time, rest) = text.split_at_checked(19)?;
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let is_offset = offset == "Z" || has_shape(offset, "+00:00") || has_shape(offset, "-00:00");
    if !is_offset || !has_shape(date_time, "0000-00-00T00:00:00") {
        return None;
    }
    text.parse().ok()
}

/// Parses a moment: a date-time like [`parse_date`], or a date alone, which means its first moment in UTC. Returns
/// whole seconds since 1970.
pub fn parse_moment(text: &str) -> Option<i64> {
    let date_time = if has_shape(text, "0000-00-00") {
        parse_date(&format!("{text}T00:00:00Z"))
    } else {
        parse_date(text)
    };
    Some(date_time?.as_second())
}

/// A moment in RFC 3339, in UTC. A moment outside the library's range of years is written as the number of seconds.
pub fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}

/// Whether `text` is `shape` with any digit in place of each `0`.
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(c, s)| match s {
            b'0' => c.is_ascii_digit(),
            _ => c == s,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_with_any_offset_and_fraction_are_read() {
        for (text, expected) in [
            ("2020-08-14T18:00:00Z", "2020-08-14T18:00:00Z"),
            ("2025-03-11T09:30:00.5+01:00", "2025-03-11T08:30:00.5Z"),
            ("2024-02-29T23:00:00-07:00", "2024-03-01T06:00:00Z"),
            (
                "1970-01-01T00:00:00.123456789+00:00",
                "1970-01-01T00:00:00.123456789Z",
            ),
        ] {
            let date = parse_date(text).unwrap_or_else(|| panic!("{text} was refused"));
            assert_eq!(date.to_string(), expected);
        }
    }

    #[test]
    fn a_date_alone_is_its_first_moment() {
        for (text, seconds) in [
            ("1970-01-02", Some(86_400)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1970-01-01T00:00:59.9Z", Some(59)),
            ("2024-02-30", None),
            ("1970-1-2", None),
            ("1970-01-02T00:00", None),
        ] {
            assert_eq!(parse_moment(text), seconds, "of {text}");
        }
        assert_eq!(rfc3339(86_400), "1970-01-02T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn what_only_looks_like_rfc_3339_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2024-05-31",
            "2024-05-31 12:00:00Z",
            "2024-05-31T12:00:00",
            "2024-05-31T12:00Z",
            "2024-05-31t12:00:00z",
            "20240531T120000Z",
            "2024-02-30T12:00:00Z",
            "2024-05-31T25:00:00Z",
            "2024-05-31T12:00:00.Z",
            "2024-05-31T12:00:00+0200",
            "2024-05-31T12:00:00Z[UTC]",
            "+02024-05-31T12:00:00Z",
            "2024-05-31T12:00:0éZ",
        ] {
            assert_eq!(parse_date(text), None, "of {text:?}");
        }
    }
}
