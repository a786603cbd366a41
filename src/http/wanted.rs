//! The parameters in the URL of a page or a report.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::page::{RANGES, Range};
use crate::totals::asked::{self, Asked, Span};
use crate::totals::report::Every;
use crate::units::date::rfc3339;

/// The range of a page whose URL has none.
pub const PAGE_LAST: &str = "90d";
/// The parameters of a report; they have the names and the meaning of the flags of the command.
pub const OF_REPORT: &[&str] = &["by", "last", "from", "to", "every"];
pub const OF_BADGE: &[&str] = &["by"];
/// Longest name of an unknown parameter that an error repeats, in bytes.
const LONGEST_NAME: usize = 32;

/// The decoded parameters of a request target. The last of a repeated one is used.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub fn of(target: &str) -> Parameters {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Parameters(pairs.collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter().rev();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter as its type; the error says what is expected.
    fn typed<T>(
        &self,
        name: &str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let read = |text| parse(text).map_err(|expected| format!("{name}: expected {expected}"));
        self.get(name).map(read).transpose()
    }

    /// Refuses parameters that are not in `known`: a misspelled one would have no effect. The error repeats a name only
    /// if it is a plain word.
    pub fn expect_only(&self, known: &[&str]) -> Result<(), String> {
        let is_unknown = |name: &&str| !known.contains(name);
        let Some(name) = self
            .0
            .iter()
            .map(|(name, _)| name.as_str())
            .find(is_unknown)
        else {
            return Ok(());
        };
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let found = match (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_word) {
            true => name,
            false => "a name that is not a plain word",
        };
        let expected = known.join(", ");
        Err(format!(
            "unknown parameter: found {found}, expected {expected}"
        ))
    }

    /// What is counted; by default all check-ins, as for the command `report`.
    pub fn by(&self) -> Result<String, String> {
        let by = self.typed("by", asked::by)?;
        Ok(by.unwrap_or_else(|| "all".to_owned()))
    }

    pub fn every(&self) -> Result<Every, String> {
        Ok(self.typed("every", asked::every)?.unwrap_or(Every::Period))
    }

    /// The span, and its form in links; `default` is the `last` of a URL without one. `now` is in seconds since 1970.
    pub fn span(&self, default: &str, now: i64) -> Result<(Asked, Range), String> {
        let from = self.typed("from", asked::moment)?;
        let to = self.typed("to", asked::moment)?;
        let end = to.map_or_else(String::new, |to| format!("&to={}", rfc3339(to)));
        let Some(from) = from else {
            let last = self.get("last").unwrap_or(default);
            let seconds =
                asked::last(last).map_err(|expected| format!("last: expected {expected}"))?;
            let is_named = |(_, range): &(&str, &str)| *range == last && to.is_none();
            let range = Range {
                query: format!("last={}{end}", utf8_percent_encode(last, NON_ALPHANUMERIC)),
                name: RANGES.into_iter().find(is_named).map(|(name, _)| name),
            };
            return Ok((Asked::new(Span::Last { seconds, to }, now), range));
        };
        if self.get("last").is_some() {
            return Err("found from and last, expected one of them".to_owned());
        }
        if to.is_some_and(|to| to <= from) {
            return Err("from: expected a time before to".to_owned());
        }
        let query = format!("from={}{end}", rfc3339(from));
        Ok((
            Asked::new(Span::From { from, to }, now),
            Range { query, name: None },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(target: &str) -> Result<(i64, i64, String, Option<&'static str>), String> {
        let (asked, range) = Parameters::of(target).span(PAGE_LAST, 1_000_000_000)?;
        Ok((asked.from, asked.to, range.query, range.name))
    }

    #[test]
    fn ranges_and_dates_are_read_as_the_command_reads_them() {
        let to = 1_000_000_001;
        let named =
            |seconds: i64, query: &str, name| Ok((to - seconds, to, query.to_owned(), name));
        assert_eq!(span("/"), named(90 * 86_400, "last=90d", Some("90 d")));
        assert_eq!(span("/?last=24h"), named(86_400, "last=24h", Some("24 h")));
        assert_eq!(
            span("/?last=1d&last=7d&x"),
            named(7 * 86_400, "last=7d", Some("7 d"))
        );
        assert_eq!(span("/?last=5h"), named(5 * 3_600, "last=5h", None));
        assert_eq!(
            span("/?from=2001-01-01&to=2001-01-02T00%3A00:00Z"),
            Ok((
                978_307_200,
                978_393_600,
                "from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z".to_owned(),
                None
            ))
        );
        for wrong in [
            "/?last=x",
            "/?last=",
            "/?from=x",
            "/?from=2001-01-01&last=1d",
            "/?from=2001-01-02&to=2001-01-01",
            "/?last=%ff",
        ] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
        assert!(span("/?last=all").is_ok_and(|(from, ..)| from < 0));
    }

    #[test]
    fn a_report_is_by_all_unless_something_else_is_named() {
        let by = |target| Parameters::of(target).by();
        assert_eq!(by("/report.csv"), Ok("all".to_owned()));
        assert_eq!(by("/report.csv?by=country"), Ok("country".to_owned()));
        assert!(by("/report.csv?by=").is_err());
        assert!(by("/report.csv?by=%3Cscript%3E").is_err_and(|error| !error.contains('<')));
        assert_eq!(Parameters::of("/?every=7d").every(), Ok(Every::Days(7)));
        assert!(Parameters::of("/?every=0").every().is_err());
    }

    #[test]
    fn an_unknown_parameter_is_named_if_it_is_a_plain_word() {
        let checked = |target| Parameters::of(target).expect_only(OF_REPORT);
        assert_eq!(checked("/report.csv"), Ok(()));
        let all = "/report.csv?by=all&last=1d&from=2001-01-01&to=2001-01-02&every=1d";
        assert_eq!(checked(all), Ok(()));
        let expected = "expected by, last, from, to, every";
        for (target, found) in [
            ("/?by=all&lsat=1d", "lsat"),
            ("/?Last=1d", "Last"),
            ("/?%3Cb%3E", "a name that is not a plain word"),
            ("/?=1d", "a name that is not a plain word"),
        ] {
            let error = format!("unknown parameter: found {found}, {expected}");
            assert_eq!(checked(target), Err(error), "{target}");
        }
        let long = format!("/?{}", "x".repeat(33));
        assert!(checked(&long).is_err_and(|error| !error.contains("xx")));
    }
}
