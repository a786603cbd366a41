//! HTTP for the write protocols: requests, answers, and the trouble of a failed connection. The only
//! module that sees ureq. It never decides what an answer means, and it never logs.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use super::outcome::Trouble;

/// Limit for one request, answer included.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read; an answer to a write can quote every line of it.
const MAX_ANSWER: u64 = 8 * 1024 * 1024;

/// What is logged for a host name that has no address.
const HOST_NOT_FOUND: &str = "the host name cannot be resolved";

/// An HTTP client.
#[derive(Clone, Debug)]
pub(super) struct Http {
    agent: Agent,
}

/// The certificate file cannot be used.
#[derive(Debug)]
pub struct CaFileError(String);

impl fmt::Display for CaFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Verification of the server behind an https URL.
#[derive(Debug)]
pub enum Tls<'a> {
    /// By Mozilla's authorities.
    Verified,
    /// By the authorities in a PEM file.
    VerifiedBy(&'a Path),
    /// Not at all.
    Unverified,
}

/// A request without its body.
pub(super) struct Request<'a> {
    pub(super) url: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    /// The `Authorization` header.
    pub(super) authorization: Option<&'a str>,
    /// Time limit for the whole request.
    pub(super) timeout: Duration,
}

/// A body to send.
pub(super) enum Body<'a> {
    Lines(&'a [u8]),
    Form(&'a [(&'a str, &'a str)]),
}

/// An answer with its body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// `X-Influxdb-Version`.
    pub(super) version: Option<String>,
    /// `X-Server-Hostname`, which every program of VictoriaMetrics sends, with errors too.
    pub(super) is_victoria_metrics: bool,
    pub(super) body: String,
}

impl Http {
    /// Makes a client; nothing is connected yet.
    pub(super) fn new(tls: &Tls<'_>) -> Result<Http, CaFileError> {
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
            // The environment's proxy is for the internet; the database is usually in the same network.
            .proxy(None)
            .user_agent(concat!("upgrade-responder/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Http {
            agent: config.new_agent(),
        })
    }

    pub(super) fn get(&self, request: &Request<'_>) -> Result<Answer, Trouble> {
        let get = prepared(self.agent.get(request.url), request);
        get.call()
            .map(Answer::read)
            .map_err(|error| unreachable(&error))
    }

    pub(super) fn post(&self, request: &Request<'_>, body: Body<'_>) -> Result<Answer, Trouble> {
        let post = prepared(self.agent.post(request.url), request);
        let answer = match body {
            Body::Lines(lines) => post.send(lines),
            Body::Form(form) => post.send_form(form.iter().copied()),
        };
        answer
            .map(Answer::read)
            .map_err(|error| unreachable(&error))
    }
}

fn prepared<B>(
    mut builder: ureq::RequestBuilder<B>,
    request: &Request<'_>,
) -> ureq::RequestBuilder<B> {
    for (name, value) in request.query {
        builder = builder.query(*name, *value);
    }
    if let Some(value) = request.authorization {
        builder = builder.header("Authorization", value);
    }
    builder
        .config()
        .timeout_global(Some(request.timeout))
        .build()
}

impl Answer {
    fn read(answer: ureq::http::Response<ureq::Body>) -> Answer {
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let retry_after = header("Retry-After").and_then(|value| retry_after(value.trim()));
        let version = header("X-Influxdb-Version");
        let is_victoria_metrics = header("X-Server-Hostname").is_some();
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        // If reading fails, the status is still used with the part of the body that was read.
        let _ = answer
            .into_body()
            .into_reader()
            .take(MAX_ANSWER)
            .read_to_end(&mut body);
        Answer {
            status,
            retry_after,
            version,
            is_victoria_metrics,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// The status, and the first line of `error`, which is the error text in the body.
    pub(super) fn first_line(&self, error: &str) -> String {
        let line = error.lines().next().unwrap_or_default();
        let line: String = line.chars().take(200).collect();
        format!("status {} {line:?}", self.status)
    }

    /// The trouble of a database that is overloaded or restarting.
    pub(super) fn later(&self, error: &str) -> Trouble {
        Trouble::Later {
            what: format!("{}; make sure that InfluxDB runs", self.first_line(error)),
            retry_after: self.retry_after,
        }
    }
}

/// The time to wait, from a `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    let seconds = value.parse().map(Duration::from_secs);
    seconds.ok().or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        date.duration_since(SystemTime::now()).ok()
    })
}

fn unreachable(error: &ureq::Error) -> Trouble {
    let what = match error {
        ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::LargeResponseHeader(..) => {
            return Trouble::Unreadable(error.to_string());
        }
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => HOST_NOT_FOUND.to_owned(),
        other => other.to_string(),
    };
    Trouble::Later {
        what: format!("{what}; {}", advice(&what)),
        retry_after: None,
    }
}

/// The action that can fix a failed connection. rustls and the system's resolver give the reason as text only.
fn advice(what: &str) -> &'static str {
    if what.contains(HOST_NOT_FOUND) || what.contains("failed to lookup address") {
        "check the host name in --influxdb-url, and the name servers of this machine"
    } else if what.contains("received corrupt message") {
        "the server there does not answer with TLS; check --influxdb-url (http:// instead of https://?) and its port"
    } else if what.contains("UnknownIssuer") {
        "give the certificate of its authority, or the certificate itself, with --influxdb-ca-file"
    } else if what.contains("CaUsedAsEndEntity") {
        // `openssl req -x509` makes such a certificate unless told otherwise.
        "the certificate is marked as an authority's, which is not accepted for a server; create it again \
         with openssl's -addext basicConstraints=critical,CA:FALSE"
    } else {
        "make sure that InfluxDB runs at --influxdb-url"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_fits_the_failure() {
        let unknown = "io: failed to lookup address information: Name or service not known";
        for (what, part) in [
            (unknown, "host name in --influxdb-url"),
            (HOST_NOT_FOUND, "host name in --influxdb-url"),
            (
                "io: received corrupt message of type InvalidContentType",
                "http:// instead of",
            ),
            (
                "io: invalid peer certificate: UnknownIssuer",
                "--influxdb-ca-file",
            ),
            (
                "io: Connection refused (os error 111)",
                "runs at --influxdb-url",
            ),
            ("no answer in time", "runs at --influxdb-url"),
        ] {
            assert!(advice(what).contains(part), "{what}");
        }
    }
}
