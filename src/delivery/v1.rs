//! The protocol of InfluxDB 1.x: `/write?db=`, `/query`, `/ping`. VictoriaMetrics accepts its writes too.
//!
//! It decides what an answer means, never what to do about it, and it never logs.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::http::{Answer, Body, CaFileError, Http, Tls};
use super::login::Login;
use super::outcome::{Engine, Outcome, Trouble};
use super::url::InfluxUrl;

/// A client for one server and one database.
#[derive(Debug)]
pub struct V1 {
    http: Http,
    url: InfluxUrl,
    login: Login,
    database: String,
}

impl V1 {
    /// Creates a client without connecting it. A user and a password given here have priority over those in the URL.
    /// A password without a user is not used.
    pub fn new(
        url: InfluxUrl,
        user: Option<String>,
        password: Option<String>,
        tls: &Tls<'_>,
        database: String,
    ) -> Result<V1, CaFileError> {
        let (url_user, url_password) = url.credentials.clone().unzip();
        Ok(V1 {
            http: Http::new(tls)?,
            url,
            login: Login::new(user.or(url_user), password.or(url_password)),
            database,
        })
    }

    pub(super) fn read_password_again_from(&mut self, file: PathBuf) {
        self.login.read_again_from(file);
    }

    pub(super) fn denied(&mut self) -> String {
        self.login.refused()
    }

    pub fn url(&self) -> &InfluxUrl {
        &self.url
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    /// Asks which engine answers. VictoriaMetrics has no `/ping` below a path, but its error has its headers too.
    pub(super) fn ping(&self, timeout: Duration) -> Result<Engine, Trouble> {
        let url = format!("{}/ping", self.url.base);
        let answer = self.http.get(&self.login.request(&url, &[], timeout))?;
        match answer.version {
            _ if answer.is_victoria_metrics => Ok(Engine::VictoriaMetrics),
            None => Err(trouble(&answer)),
            version => Ok(Engine::InfluxDb(version)),
        }
    }

    pub(super) fn write(&self, lines: &[u8], timeout: Duration) -> Outcome {
        let url = format!("{}/write", self.url.base);
        let query = [("db", self.database.as_str()), ("precision", "ns")];
        let request = self.login.request(&url, &query, timeout);
        match self.http.post(&request, Body::Lines(lines)) {
            Ok(answer) => write_outcome(&answer, lines.len()),
            Err(trouble) => Outcome::Kept(trouble),
        }
    }

    /// Runs one InfluxQL statement and returns its series.
    pub fn query(&self, statement: &str, timeout: Duration) -> Result<Vec<Series>, QueryError> {
        let url = format!("{}/query", self.url.base);
        let query = [("db", self.database.as_str())];
        let request = self.login.request(&url, &query, timeout);
        let answer = self
            .http
            .post(&request, Body::Form(&[("q", statement)]))
            .map_err(QueryError::Trouble)?;
        if answer.status != 200 {
            return Err(QueryError::Trouble(trouble(&answer)));
        }
        let results: Results = serde_json::from_str(&answer.body).map_err(|_| {
            QueryError::Trouble(Trouble::NotUnderstood(answer.first_line(&error(&answer))))
        })?;
        let mut series = Vec::new();
        for result in results.results {
            if let Some(error) = result.error {
                return Err(QueryError::Refused(error));
            }
            series.extend(result.series);
        }
        Ok(series)
    }
}

/// The cause of a failed statement.
#[derive(Debug, PartialEq, Eq)]
pub enum QueryError {
    Trouble(Trouble),
    /// InfluxDB understood the request and refused the statement, with this text.
    Refused(String),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueryError::Trouble(trouble) => trouble.fmt(f),
            QueryError::Refused(text) => f.write_str(text),
        }
    }
}

/// One series of a query's result.
#[derive(Debug, Deserialize)]
pub struct Series {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub columns: Vec<String>,
    #[serde(default)]
    pub values: Vec<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    results: Vec<ResultOf>,
}

#[derive(Deserialize)]
struct ResultOf {
    #[serde(default)]
    series: Vec<Series>,
    error: Option<String>,
}

/// A name as a quoted InfluxQL identifier.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// InfluxDB's error text, or the whole body where there is none.
fn error(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct ErrorBody {
        error: String,
    }
    match serde_json::from_str::<ErrorBody>(&answer.body) {
        Ok(body) => body.error,
        Err(_) => answer.body.clone(),
    }
}

/// The outcome of a write, according to the answers of InfluxDB 1.6.7.
fn write_outcome(answer: &Answer, bytes: usize) -> Outcome {
    let error = error(answer);
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

/// The program that a request is too large for. InfluxDB answers with JSON, a proxy with HTML.
fn too_large(answer: &Answer, bytes: usize) -> String {
    let names_error = serde_json::from_str::<serde_json::Value>(&answer.body)
        .is_ok_and(|body| body.get("error").is_some_and(serde_json::Value::is_string));
    match names_error {
        true => format!("{bytes} bytes are more than InfluxDB's max-body-size"),
        false => format!(
            "{bytes} bytes are too large for a proxy in front of InfluxDB (nginx: client_max_body_size), \
             or for InfluxDB (max-body-size): {}",
            answer.first_line(&error(answer))
        ),
    }
}

/// The trouble that an error answer means.
fn trouble(answer: &Answer) -> Trouble {
    let error = error(answer);
    match answer.status {
        401 | 403 => Trouble::Denied(answer.first_line(&error)),
        404 if error.contains("database not found") => Trouble::DatabaseMissing,
        429 | 500..=599 => answer.later(&error),
        _ => Trouble::NotUnderstood(answer.first_line(&error)),
    }
}
