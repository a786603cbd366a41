//! What InfluxDB's answers mean: the outcome table of a write, by what 1.6.7 answers.

use std::fmt;
use std::io::Read;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

/// Bytes of an answer that are read; an answer to a write can quote every line of it.
const MAX_ANSWER: u64 = 8 * 1024 * 1024;

/// What became of a write.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All points are stored.
    Stored,
    /// Some points were refused for good, the others are stored.
    PartlyRefused(String),
    /// Nothing was stored, because the points contradict each other: halve and send again.
    Contradiction(String),
    /// The request is too large, and for whom: halve and send again.
    TooLarge(String),
    /// The points are kept.
    Kept(Trouble),
}

/// Why InfluxDB does not do what it is asked for, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Overloaded, restarting, unreachable or too slow: it passes.
    Later {
        what: String,
        retry_after: Option<Duration>,
    },
    /// The database is gone: create it.
    DatabaseMissing,
    /// User, password or rights: the operator's to mend.
    Denied(String),
    /// An answer that is no HTTP: what became of the request is not known.
    Unreadable(String),
    /// An answer nobody foresaw; it may not be InfluxDB at all.
    NotUnderstood(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Later { what, .. } => f.write_str(what),
            Trouble::Unreadable(what) => write!(f, "an answer that cannot be parsed ({what})"),
            Trouble::DatabaseMissing => f.write_str("the database does not exist"),
            Trouble::Denied(what) => {
                write!(f, "access denied ({what}); check user, password and rights")
            }
            Trouble::NotUnderstood(what) => {
                write!(f, "unexpected answer: {what}; check --influxdb-url")
            }
        }
    }
}

/// An answer, read.
pub(super) struct Answer {
    pub(super) status: u16,
    retry_after: Option<Duration>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn read(answer: ureq::http::Response<ureq::Body>) -> Answer {
        let retry_after = answer
            .headers()
            .get("Retry-After")
            .and_then(|value| retry_after(value.to_str().ok()?.trim()));
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        // A body that is cut off says less, but the status has been said.
        let _ = answer
            .into_body()
            .into_reader()
            .take(MAX_ANSWER)
            .read_to_end(&mut body);
        Answer {
            status,
            retry_after,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// InfluxDB's own text where there is one.
    fn error(&self) -> String {
        #[derive(Deserialize)]
        struct ErrorBody {
            error: String,
        }
        match serde_json::from_str::<ErrorBody>(&self.body) {
            Ok(body) => body.error,
            Err(_) => self.body.clone(),
        }
    }

    pub(super) fn first_line(&self) -> String {
        let error = self.error();
        let line: String = error
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect();
        format!("status {} {:?}", self.status, line)
    }
}

/// Seconds, or the date after which to try again (RFC 9110, section 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    let seconds = value.parse().map(Duration::from_secs);
    seconds.ok().or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        date.duration_since(SystemTime::now()).ok()
    })
}

/// The outcome table of a write, by what InfluxDB 1.6.7 answers.
pub(super) fn write_outcome(answer: &Answer, bytes: usize) -> Outcome {
    let error = answer.error();
    match answer.status {
        200..=299 => Outcome::Stored,
        400 if error.starts_with("partial write")
            || error.contains("unable to parse")
            || error.contains("points beyond retention policy") =>
        {
            Outcome::PartlyRefused(error)
        }
        400 if error.contains("field type conflict") => Outcome::Contradiction(error),
        413 => Outcome::TooLarge(too_large(answer, bytes)),
        _ => Outcome::Kept(trouble(answer)),
    }
}

/// For whom a request of so many bytes is too large. InfluxDB says so as JSON, a proxy in between in HTML.
fn too_large(answer: &Answer, bytes: usize) -> String {
    let names_error = serde_json::from_str::<serde_json::Value>(&answer.body)
        .is_ok_and(|body| body.get("error").is_some_and(serde_json::Value::is_string));
    match names_error {
        true => format!("{bytes} bytes are more than InfluxDB's max-body-size"),
        false => format!(
            "{bytes} bytes are too large for something between here and InfluxDB, a proxy for example \
             (nginx: client_max_body_size), or for InfluxDB (max-body-size): {}",
            answer.first_line()
        ),
    }
}

/// What an answer that is no success means.
pub(super) fn trouble(answer: &Answer) -> Trouble {
    match answer.status {
        401 | 403 => Trouble::Denied(answer.first_line()),
        404 if answer.error().contains("database not found") => Trouble::DatabaseMissing,
        429 | 500..=599 => Trouble::Later {
            what: answer.first_line(),
            retry_after: answer.retry_after,
        },
        _ => Trouble::NotUnderstood(answer.first_line()),
    }
}
