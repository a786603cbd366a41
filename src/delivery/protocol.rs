//! The write protocols behind one interface with one type of outcome.
//!
//! Modules above must not depend on the protocol. The file of each protocol interprets its engines' answers.

use std::path::PathBuf;
use std::time::Duration;

use super::outcome::{Engine, Outcome, Trouble};
use super::url::InfluxUrl;
use super::v1::V1;
use super::v2::V2;

/// A client for one database, by its write protocol.
#[derive(Debug)]
pub enum Protocol {
    /// `/write?db=`: InfluxDB 1.x, VictoriaMetrics.
    V1(V1),
    /// `/api/v2/write?bucket=`: InfluxDB 2.x and 3.x.
    V2(V2),
}

impl Protocol {
    /// Writes lines; `timeout` covers the whole request.
    pub fn write(&self, lines: &[u8], timeout: Duration) -> Outcome {
        match self {
            Protocol::V1(v1) => v1.write(lines, timeout),
            Protocol::V2(v2) => v2.write(lines, timeout),
        }
    }

    /// Asks whether the server answers, and which engine it is.
    pub fn ping(&self, timeout: Duration) -> Result<Engine, Trouble> {
        match self {
            Protocol::V1(v1) => v1.ping(timeout),
            Protocol::V2(v2) => v2.ping(timeout),
        }
    }

    pub fn url(&self) -> &InfluxUrl {
        match self {
            Protocol::V1(v1) => v1.url(),
            Protocol::V2(v2) => v2.url(),
        }
    }

    /// Names the file that the secret came from, to be read again after a refusal.
    pub fn read_secret_again_from(&mut self, file: PathBuf) {
        match self {
            Protocol::V1(v1) => v1.read_password_again_from(file),
            Protocol::V2(v2) => v2.read_token_again_from(file),
        }
    }

    /// Reads the secret's file again after access was denied, for the next request. Returns advice for the log.
    pub fn denied(&mut self) -> String {
        match self {
            Protocol::V1(v1) => v1.denied(),
            Protocol::V2(v2) => v2.denied(),
        }
    }

    /// The client that can run InfluxQL statements, where the protocol has them.
    pub fn v1(&self) -> Option<&V1> {
        match self {
            Protocol::V1(v1) => Some(v1),
            Protocol::V2(_) => None,
        }
    }
}
