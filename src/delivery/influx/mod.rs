//! InfluxDB 1.x over HTTP: one request, one outcome. The only module that sees ureq.
//!
//! It decides what an answer means, never what to do about it, and it never logs.

mod login;
mod outcome;
mod url;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use login::Login;
use outcome::{Answer, trouble, write_outcome};

pub use login::read_password;
pub use outcome::{Outcome, Trouble};
pub use url::InfluxUrl;

/// No request takes longer, answer included.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// A client for one InfluxDB and one database.
#[derive(Debug)]
pub struct Influx {
    agent: Agent,
    url: InfluxUrl,
    login: Login,
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
    /// Makes a client; nothing is connected yet. A user and a password given here win over those in
    /// the URL; a password without any user is not used.
    pub fn new(
        url: InfluxUrl,
        user: Option<String>,
        password: Option<String>,
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
        let (url_user, url_password) = url.credentials.clone().unzip();
        Ok(Influx {
            agent: config.new_agent(),
            url,
            login: Login::new(user.or(url_user), password.or(url_password)),
            database,
        })
    }

    /// The password came from this file, and a mended one will be found there.
    pub fn read_password_again_from(&mut self, file: PathBuf) {
        self.login.read_again_from(file);
    }

    /// Access was denied: the next request has the password that is in its file now. Returns what the
    /// operator should know of where the password comes from.
    pub fn denied(&mut self) -> String {
        self.login.refused()
    }

    pub fn url(&self) -> &InfluxUrl {
        &self.url
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    /// Who logs in; nobody needs to where InfluxDB knows no users.
    pub fn user(&self) -> Option<&str> {
        self.login.user()
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
            Ok(answer) => write_outcome(&Answer::read(answer), lines.len()),
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
        match self.login.header() {
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

/// An InfluxQL identifier.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn unreachable(error: &ureq::Error) -> Trouble {
    let what = match error {
        ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::LargeResponseHeader(..) => {
            return Trouble::Unreadable(error.to_string());
        }
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
