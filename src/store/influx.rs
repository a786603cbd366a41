//! InfluxDB 1.x over HTTP: one request, one outcome. The only module that sees ureq.
//!
//! It decides what an answer means, never what to do about it, and it never logs.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine;
use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

/// No request takes longer, answer included.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read; an answer to a write can quote every line of it.
const MAX_ANSWER: u64 = 8 * 1024 * 1024;

/// Where InfluxDB is.
#[derive(Clone, PartialEq, Eq)]
pub struct InfluxUrl {
    /// Scheme, host, port and path prefix, without a slash at the end.
    base: String,
    /// From `http://user:password@host`, which the original takes too.
    credentials: Option<(String, String)>,
}

impl InfluxUrl {
    /// Understands `http[s]://[user:password@]host[:port][/prefix]`. The error says what is
    /// expected and never repeats the URL, which may hold a password.
    pub fn parse(text: &str) -> Result<InfluxUrl, String> {
        let expected = || "a URL such as http://localhost:8086".to_owned();
        let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
        if !matches!(scheme, "http" | "https") || rest.contains(['?', '#', ' ']) {
            return Err(expected());
        }
        let path_at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info), host),
            None => (None, authority),
        };
        let base = format!("{scheme}://{host}{}", path.trim_end_matches('/'));
        if host.is_empty() || ureq::http::Uri::try_from(&base).is_err() {
            return Err(expected());
        }
        let credentials = credentials.map(|user_info| {
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            (percent_decoded(user), percent_decoded(password))
        });
        Ok(InfluxUrl { base, credentials })
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// Without user and password, so that it can be logged.
impl fmt::Display for InfluxUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl fmt::Debug for InfluxUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// What became of a write.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All points are stored.
    Stored,
    /// Some points were refused for good, the others are stored.
    PartlyRefused(String),
    /// Nothing was stored, because the points contradict each other: halve and send again.
    Contradiction(String),
    /// The request is too large: halve and send again.
    TooLarge,
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
    /// An answer nobody foresaw; it may not be InfluxDB at all.
    NotUnderstood(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Later { what, .. } => f.write_str(what),
            Trouble::DatabaseMissing => f.write_str("the database does not exist"),
            Trouble::Denied(what) => {
                write!(f, "access denied ({what}); check user, password and rights")
            }
            Trouble::NotUnderstood(what) => write!(f, "unexpected answer: {what}"),
        }
    }
}

/// A client for one InfluxDB and one database.
#[derive(Debug)]
pub struct Influx {
    agent: Agent,
    url: InfluxUrl,
    authorization: Option<String>,
    database: String,
}

/// The certificate file cannot be used.
#[derive(Debug)]
pub struct CaFileError(String);

impl fmt::Display for CaFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How to verify the server of an https URL.
#[derive(Debug)]
pub enum Tls<'a> {
    /// By Mozilla's authorities.
    Verified,
    /// By the authorities in a PEM file.
    VerifiedBy(&'a Path),
    /// Not at all.
    Unverified,
}

impl Influx {
    /// Makes a client; nothing is connected yet. A user given here wins over one in the URL.
    pub fn new(
        url: InfluxUrl,
        user: Option<(String, String)>,
        tls: &Tls<'_>,
        database: String,
    ) -> Result<Influx, CaFileError> {
        let tls = match tls {
            Tls::Verified => TlsConfig::builder(),
            Tls::VerifiedBy(path) => TlsConfig::builder().root_certs(read_authorities(path)?),
            Tls::Unverified => TlsConfig::builder().disable_verification(true),
        };
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The environment's proxy is for the internet, InfluxDB is next door.
            .proxy(None)
            .user_agent(concat!("upgrade-responder/", env!("CARGO_PKG_VERSION")))
            .build();
        let authorization = user
            .or_else(|| url.credentials.clone())
            .map(|(user, password)| {
                let pair = format!("{user}:{password}");
                format!(
                    "Basic {}",
                    base64::engine::general_purpose::STANDARD.encode(pair)
                )
            });
        Ok(Influx {
            agent: config.new_agent(),
            url,
            authorization,
            database,
        })
    }

    pub fn url(&self) -> &InfluxUrl {
        &self.url
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    /// Asks whether InfluxDB is there, and for its version.
    pub fn ping(&self, timeout: Duration) -> Result<String, Trouble> {
        let request = self
            .authorized(self.agent.get(format!("{}/ping", self.url.base)))
            .config()
            .timeout_global(Some(timeout))
            .build();
        let answer = request.call().map_err(|error| unreachable(&error))?;
        let version = answer.headers().get("X-Influxdb-Version").cloned();
        match version.as_ref().and_then(|value| value.to_str().ok()) {
            Some(version) => Ok(version.to_owned()),
            None => Err(trouble(&Answer::read(answer))),
        }
    }

    /// Writes lines; `timeout` covers the whole request.
    pub fn write(&self, lines: &[u8], timeout: Duration) -> Outcome {
        let request = self
            .authorized(self.agent.post(format!("{}/write", self.url.base)))
            .query("db", &self.database)
            .query("precision", "ns")
            .config()
            .timeout_global(Some(timeout))
            .build();
        match request.send(lines) {
            Ok(answer) => write_outcome(&Answer::read(answer)),
            Err(error) => Outcome::Kept(unreachable(&error)),
        }
    }

    /// Runs one InfluxQL statement and returns its series.
    pub fn query(&self, statement: &str, timeout: Duration) -> Result<Vec<Series>, QueryError> {
        let request = self
            .authorized(self.agent.post(format!("{}/query", self.url.base)))
            .query("db", &self.database)
            .config()
            .timeout_global(Some(timeout))
            .build();
        let answer = request
            .send_form([("q", statement)])
            .map_err(|error| QueryError::Trouble(unreachable(&error)))?;
        let answer = Answer::read(answer);
        if answer.status != 200 {
            return Err(QueryError::Trouble(trouble(&answer)));
        }
        let results: Results = serde_json::from_str(&answer.body)
            .map_err(|_| QueryError::Trouble(Trouble::NotUnderstood(answer.first_line())))?;
        let mut series = Vec::new();
        for result in results.results {
            if let Some(error) = result.error {
                return Err(QueryError::Refused(error));
            }
            series.extend(result.series);
        }
        Ok(series)
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    }
}

/// Why a statement did not run.
#[derive(Debug, PartialEq, Eq)]
pub enum QueryError {
    Trouble(Trouble),
    /// InfluxDB understood the request and refused the statement; its text.
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

struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: String,
}

impl Answer {
    fn read(answer: ureq::http::Response<ureq::Body>) -> Answer {
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

    fn first_line(&self) -> String {
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
fn write_outcome(answer: &Answer) -> Outcome {
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
        413 => Outcome::TooLarge,
        _ => Outcome::Kept(trouble(answer)),
    }
}

fn trouble(answer: &Answer) -> Trouble {
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

fn unreachable(error: &ureq::Error) -> Trouble {
    let what = match error {
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "the host name is not known".to_owned(),
        other => {
            let what = other.to_string();
            format!("{what}{}", certificate_advice(&what))
        }
    };
    Trouble::Later {
        what,
        retry_after: None,
    }
}

/// What to do about a certificate that was not accepted. rustls names the reason in its own terms,
/// and passes them on as text only.
fn certificate_advice(what: &str) -> &'static str {
    if what.contains("UnknownIssuer") {
        "; name its authority, or itself, with --influxdb-ca-file"
    } else if what.contains("CaUsedAsEndEntity") {
        // What `openssl req -x509` makes without further arguments.
        "; it is marked as an authority's, which is not accepted as a server's: make it anew with \
         openssl's -addext basicConstraints=critical,CA:FALSE"
    } else {
        ""
    }
}

fn read_authorities(path: &Path) -> Result<RootCerts, CaFileError> {
    let unusable = |why: String| {
        CaFileError(format!(
            "--influxdb-ca-file {}: {why}, expected PEM certificates",
            path.display()
        ))
    };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(unusable(error.to_string())),
        }
    }
    if certificates.is_empty() {
        return Err(unusable("no certificate found".to_owned()));
    }
    Ok(RootCerts::from(certificates))
}
