//! One request and its answer over HTTP. The only module that sees ureq's requests. It must never retry.

use std::time::Duration;

use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Error};

use crate::error::{BuildError, CheckError};
use crate::proxy;

/// Sent as `User-Agent`.
pub(crate) const AGENT: &str = concat!("upgrade-responder-client/", env!("CARGO_PKG_VERSION"));
pub(crate) const CONTENT_TYPE: &str = "application/json";
/// Bytes of an answer that are read.
const MAX_ANSWER: u64 = 1024 * 1024;
/// Characters that are kept of an answer with a status other than 200.
const MAX_MESSAGE: usize = 200;

/// The server and the settings of requests to it.
#[derive(Debug)]
pub(crate) struct Exchange {
    url: Uri,
    timeout: Duration,
    tls: TlsConfig,
}

impl Exchange {
    pub(crate) fn new(
        url: Uri,
        timeout: Duration,
        authorities: Option<&[u8]>,
    ) -> Result<Exchange, BuildError> {
        let mut tls = TlsConfig::builder();
        if let Some(pem) = authorities {
            tls = tls.root_certs(RootCerts::Specific(certificates(pem)?.into()));
        }
        Ok(Exchange {
            url,
            timeout,
            tls: tls.build(),
        })
    }

    pub(crate) fn url(&self) -> &Uri {
        &self.url
    }

    /// Sends a body, and returns the body of the answer if its status is 200.
    pub(crate) fn post(&self, body: &str) -> Result<Vec<u8>, CheckError> {
        let proxy = proxy::from_environment(&self.url).map_err(CheckError::Unreachable)?;
        // A new agent each time: a kept connection would be idle until the next request.
        let agent = Agent::config_builder()
            .tls_config(self.tls.clone())
            .timeout_global(Some(self.timeout))
            .http_status_as_error(false)
            // A redirect would be a second request within the interval.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .proxy(proxy)
            .user_agent(AGENT)
            .build()
            .new_agent();
        let post = agent.post(&self.url).header("Content-Type", CONTENT_TYPE);
        let mut answer = post
            .send(body)
            .map_err(|error| CheckError::Unreachable(said(&error)))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(MAX_ANSWER);
        match (status, body.read_to_vec()) {
            (200, Ok(body)) => Ok(body),
            (200, Err(Error::BodyExceedsLimit(_))) => {
                let what = format!("longer than {MAX_ANSWER} bytes");
                Err(CheckError::NotUnderstood(what))
            }
            (200, Err(error)) => Err(CheckError::Unreachable(said(&error))),
            (status, body) => Err(CheckError::Status {
                status,
                // The status is reported even if the body cannot be read.
                message: first_line(&body.unwrap_or_default()),
            }),
        }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, BuildError> {
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(BuildError::Authorities(said(&error))),
        }
    }
    match certificates.is_empty() {
        true => Err(BuildError::Authorities("no certificate in it".to_owned())),
        false => Ok(certificates),
    }
}

fn said(error: &Error) -> String {
    printable(&error.to_string()).collect()
}

fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.trim().lines().next().unwrap_or_default();
    printable(line).take(MAX_MESSAGE).collect()
}

/// A text without control characters, for terminals and logs.
fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| !c.is_control())
}
