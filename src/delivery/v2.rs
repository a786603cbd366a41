//! The protocol of InfluxDB 2.x, which 3.x serves too: `/api/v2/write?org=&bucket=` with a token.
//!
//! It decides what an answer means, never what to do about it, and it never logs.
//!
//! The outcome table follows the documentation and the source; it was not tested with a server of either version:
//!
//! | status | 2.x | 3.x |
//! |---|---|---|
//! | 204 | all points are stored (a) | the same (c) |
//! | 400 | a malformed line, which `message` quotes; nothing is stored (a) | `data` names up to 100 refused lines by number; the others are stored (c, d) |
//! | 400 to no bytes | `writing requires points`, after token, bucket and rights were good (b) | |
//! | 401, 403 | token missing, wrong, or without the right to write (a) | the same (c) |
//! | 404 | organization or bucket does not exist (a) | |
//! | 413 | too large; nothing is stored (a) | the same (c) |
//! | 422 | `message` has the text of 1.x for the refused points; the other points are stored (a, b) | |
//! | 429, 503 | try later; `Retry-After` (a) | the same (c) |
//! | 500 | try later (a) | the same (c) |
//!
//! - (a) <https://docs.influxdata.com/influxdb/v2/write-data/troubleshoot/>
//! - (b) `influxdata/influxdb`, branch `main-2.x`: `http/write_handler.go`, `http/points/points_parser.go`
//! - (c) <https://docs.influxdata.com/influxdb3/core/write-data/troubleshoot/>
//! - (d) <https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/>

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::http::{Answer, Body, CaFileError, Http, Tls};
use super::login::Login;
use super::outcome::{Engine, Outcome, Trouble};
use super::url::InfluxUrl;

/// A client for one server and one bucket.
#[derive(Debug)]
pub struct V2 {
    http: Http,
    url: InfluxUrl,
    login: Login,
    /// Not needed by 3.x.
    org: Option<String>,
    bucket: String,
}

impl V2 {
    /// Creates a client without connecting it.
    pub fn new(
        url: InfluxUrl,
        token: Option<String>,
        org: Option<String>,
        bucket: String,
        tls: &Tls<'_>,
    ) -> Result<V2, CaFileError> {
        Ok(V2 {
            http: Http::new(tls)?,
            url,
            login: Login::token(token),
            org,
            bucket,
        })
    }

    pub(super) fn read_token_again_from(&mut self, file: PathBuf) {
        self.login.read_again_from(file);
    }

    pub(super) fn denied(&mut self) -> String {
        self.login.refused()
    }

    pub fn url(&self) -> &InfluxUrl {
        &self.url
    }

    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Asks which engine answers. 2.x answers `/ping` with its version without a token; 3.x needs one.
    pub(super) fn ping(&self, timeout: Duration) -> Result<Engine, Trouble> {
        let url = format!("{}/ping", self.url.base);
        let answer = self.http.get(&self.login.request(&url, &[], timeout))?;
        match answer.version {
            None if !(200..300).contains(&answer.status) => Err(trouble(&answer)),
            version => Ok(Engine::InfluxDb(version)),
        }
    }

    pub(super) fn write(&self, lines: &[u8], timeout: Duration) -> Outcome {
        let url = format!("{}/api/v2/write", self.url.base);
        let mut query = vec![("bucket", self.bucket.as_str()), ("precision", "ns")];
        query.extend(self.org.as_deref().map(|org| ("org", org)));
        let request = self.login.request(&url, &query, timeout);
        match self.http.post(&request, Body::Lines(lines)) {
            Ok(answer) => write_outcome(&answer, lines.len()),
            Err(trouble) => Outcome::Kept(trouble),
        }
    }
}

/// `{"code","message"}` of 2.x, `{"error","data"}` of 3.x.
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: String,
    #[serde(default)]
    error: String,
    /// An object or an array, depending on the error.
    #[serde(default)]
    data: Value,
}

/// A refused line, as 3.x names it.
#[derive(Deserialize)]
struct RefusedLine {
    /// Counted from 1.
    line_number: usize,
    #[serde(default)]
    error_message: String,
}

impl ErrorBody {
    fn of(answer: &Answer) -> ErrorBody {
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// The engine's error text, or the whole body where there is none.
    fn text(&self, answer: &Answer) -> String {
        let texts = [&self.message, &self.error];
        let text = texts.into_iter().find(|text| !text.is_empty());
        text.unwrap_or(&answer.body).clone()
    }

    /// The refused lines by number, counted from 0; empty where one of them has no number.
    fn refused_lines(&self) -> Vec<(usize, String)> {
        // A single line can come without an array around it.
        let lines: Vec<RefusedLine> = match &self.data {
            one @ Value::Object(_) => RefusedLine::deserialize(one).into_iter().collect(),
            other => Vec::deserialize(other).unwrap_or_default(),
        };
        let named = lines.into_iter();
        let named = named.map(|line| Some((line.line_number.checked_sub(1)?, line.error_message)));
        named.collect::<Option<Vec<_>>>().unwrap_or_default()
    }
}

fn write_outcome(answer: &Answer, bytes: usize) -> Outcome {
    let body = ErrorBody::of(answer);
    let text = body.text(answer);
    let named = body.refused_lines();
    match answer.status {
        200..=299 => Outcome::Stored,
        // 2.x checks token, bucket and rights before it answers this.
        400 if bytes == 0 && text == "writing requires points" => Outcome::Stored,
        400 if !named.is_empty() => Outcome::LinesRefused(named),
        400 if text.contains("unable to parse") || text.contains("partial write") => {
            Outcome::PartlyRefused(text)
        }
        422 => Outcome::PartlyRefused(text),
        // 1.x answers 400 to this, and 2.x has the engine of 1.x.
        400 | 500 if text.contains("field type conflict") => Outcome::Contradiction(text),
        413 => Outcome::TooLarge(format!(
            "{bytes} bytes are too large for the database or a proxy in front of it: {}",
            answer.first_line(&text)
        )),
        _ => Outcome::Kept(trouble(answer)),
    }
}

fn trouble(answer: &Answer) -> Trouble {
    let text = ErrorBody::of(answer).text(answer);
    match answer.status {
        401 | 403 => Trouble::Denied(answer.first_line(&text)),
        404 => Trouble::NotUnderstood(format!(
            "{}; create the bucket, or name another with --influxdb-bucket and --influxdb-org",
            answer.first_line(&text)
        )),
        429 | 500..=599 => answer.later(&text),
        _ => Trouble::NotUnderstood(answer.first_line(&text)),
    }
}
