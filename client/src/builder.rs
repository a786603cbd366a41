//! The builder of a checker: checks and limits its settings. Building a checker must not send anything.

use std::ffi::OsStr;
use std::time::Duration;

use ureq::http::Uri;

use crate::checker::Checker;
use crate::error::BuildError;
use crate::exchange::Exchange;
use crate::pace::{Limits, Pace};
use crate::question::{FieldValue, Question};

const PATH: &str = "/v1/checkupgrade";
const MINUTE: Duration = Duration::from_secs(60);
/// Longest time for a request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A builder of a [`Checker`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    url: String,
    question: Question,
    enabled: bool,
    interval: Option<Duration>,
    start_within: Duration,
    timeout: Duration,
    authorities: Option<Vec<u8>>,
    minute: Duration,
}

impl Checker {
    /// A builder of a checker. `url` is the server's URL, such as `https://upgrades.example.com`, with or without
    /// `/v1/checkupgrade` at the end. `version` is the application's own version.
    pub fn builder(url: impl Into<String>, version: impl Into<String>) -> Builder {
        Builder::new(url.into(), version.into())
    }
}

impl Builder {
    fn new(url: String, version: String) -> Builder {
        Builder {
            url,
            question: Question::new(version),
            enabled: true,
            interval: None,
            start_within: MINUTE,
            timeout: TIMEOUT,
            authorities: None,
            minute: MINUTE,
        }
    }

    /// Adds a tag to the requests: a short text with few different values, such as the version of Kubernetes.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Builder {
        self.question.set_tag(key.into(), value.into());
        self
    }

    /// Adds a field to the requests: a number, a text, `true` or `false`.
    pub fn field(mut self, key: impl Into<String>, value: impl Into<FieldValue>) -> Builder {
        self.question.set_field(key.into(), value.into());
        self
    }

    /// Switches checks off if `enabled` is `false`: for a setting of the application. `DO_NOT_TRACK` in the
    /// environment switches them off in any case.
    pub fn enabled(mut self, enabled: bool) -> Builder {
        self.enabled = enabled;
        self
    }

    /// Sets the interval before the server's first answer, 1 minute to 7 days; an hour by default.
    pub fn interval(mut self, interval: Duration) -> Builder {
        self.interval = Some(interval);
        self
    }

    /// Sets the time within which [`Checker::spawn`] sends the first request, at a random moment, so that applications
    /// that start together do not ask together; a minute by default, at most 7 days.
    pub fn start_within(mut self, time: Duration) -> Builder {
        self.start_within = time.min(MINUTE * 7 * 24 * 60);
        self
    }

    /// Sets the time limit for a request with its answer; 30 seconds by default and at most.
    pub fn timeout(mut self, timeout: Duration) -> Builder {
        self.timeout = timeout.clamp(Duration::from_millis(1), TIMEOUT);
        self
    }

    /// Trusts these certification authorities (PEM) instead of the built-in ones, which are Mozilla's.
    pub fn authorities(mut self, pem: impl Into<Vec<u8>>) -> Builder {
        self.authorities = Some(pem.into());
        self
    }

    /// Sets the length of a minute, so that tests do not take hours.
    #[cfg(test)]
    pub(crate) fn minute(mut self, minute: Duration) -> Builder {
        self.minute = minute;
        self
    }

    /// Builds the checker. Nothing is sent yet.
    pub fn build(self) -> Result<Checker, BuildError> {
        let enabled = self.enabled && !says_no(std::env::var_os("DO_NOT_TRACK").as_deref());
        let url = address(&self.url)?;
        let exchange = Exchange::new(url, self.timeout, self.authorities.as_deref())?;
        let pace = Pace::new(Limits::in_minutes_of(self.minute), self.interval);
        Ok(Checker::new(
            enabled,
            exchange,
            self.question,
            pace,
            self.start_within,
        ))
    }
}

/// The URL to ask. [`PATH`] is added if it is missing.
fn address(given: &str) -> Result<Uri, BuildError> {
    let refused = || BuildError::Address {
        found: given.to_owned(),
    };
    let trimmed = given.trim().trim_end_matches('/');
    let whole = match trimmed.ends_with(PATH) {
        true => trimmed.to_owned(),
        false => format!("{trimmed}{PATH}"),
    };
    let uri: Uri = whole.parse().map_err(|_| refused())?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let sound = matches!(scheme, "http" | "https")
        && uri.host().is_some_and(|host| !host.is_empty())
        && uri.query().is_none()
        // The parser drops a fragment.
        && !whole.contains('#');
    if sound { Ok(uri) } else { Err(refused()) }
}

/// Whether a value of `DO_NOT_TRACK` switches checks off. Every value does except those that mean no.
fn says_no(value: Option<&OsStr>) -> bool {
    let Some(value) = value else { return false };
    let value = value.to_string_lossy().trim().to_ascii_lowercase();
    !["", "0", "false", "no", "off"].contains(&value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_base_or_whole() {
        for (given, expected) in [
            ("https://a.example", "https://a.example/v1/checkupgrade"),
            ("https://a.example/", "https://a.example/v1/checkupgrade"),
            (
                "http://a.example:8314/x/",
                "http://a.example:8314/x/v1/checkupgrade",
            ),
            (
                " https://a.example/v1/checkupgrade ",
                "https://a.example/v1/checkupgrade",
            ),
            (
                "https://a.example/v1/checkupgrade/",
                "https://a.example/v1/checkupgrade",
            ),
            ("http://[::1]:1", "http://[::1]:1/v1/checkupgrade"),
        ] {
            assert_eq!(
                address(given).unwrap().to_string(),
                expected,
                "of {given:?}"
            );
        }
        for given in [
            "",
            "a.example",
            "ftp://a",
            "https://",
            "https://a?b",
            "https://a#b",
            "https://a b",
            "/x",
        ] {
            let found = given.to_owned();
            assert_eq!(address(given), Err(BuildError::Address { found }));
        }
    }

    #[test]
    fn do_not_track_switches_off() {
        for (value, off) in [
            (None, false),
            (Some(""), false),
            (Some("0"), false),
            (Some("False"), false),
            (Some("1"), true),
            (Some("true"), true),
            (Some("please"), true),
        ] {
            assert_eq!(says_no(value.map(OsStr::new)), off, "of {value:?}");
        }
    }

    #[test]
    fn authorities_that_are_none_are_refused() {
        let build = |pem: &str| {
            Builder::new("https://a".into(), "1".into())
                .authorities(pem)
                .build()
        };
        for pem in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        ] {
            assert!(
                matches!(build(pem), Err(BuildError::Authorities(_))),
                "{pem:?}"
            );
        }
    }
}
