//! `upgrade-responder explain`: shows the answer that a client would get, and why, from the files on disk.
//!
//! It never contacts the running server, never records anything, and never shows the address that it is given.

mod account;

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::checkin::body::{self, Raw};
use crate::checkin::repair;
use crate::config::rules::client::{Client, Place};
use crate::config::sources::ConfigSources;
use crate::config::watch::Fingerprints;
use crate::config::{LoadError, Snapshot};
use crate::geo::Lookup;

/// One byte more than the largest body that the server accepts.
const MOST_BYTES: u64 = 64 * 1024 + 1;

/// The options of `explain`.
#[derive(Debug)]
pub struct ExplainOptions {
    pub sources: ConfigSources,
    pub request: RequestFrom,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Another response config to compare with.
    pub against: Option<PathBuf>,
}

/// Where the body of the request is.
#[derive(Debug, PartialEq, Eq)]
pub enum RequestFrom {
    StandardInput,
    File(PathBuf),
}

/// Why `explain` failed, by exit status.
#[derive(Debug)]
pub enum ExplainError {
    /// The files cannot be used: 78.
    Configuration(String),
    /// The request cannot be read, or the server would refuse it: 1.
    Request(String),
}

impl fmt::Display for ExplainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExplainError::Configuration(text) | ExplainError::Request(text) => f.write_str(text),
        }
    }
}

/// Explains one request. The last line is the answer; with `against`, that of the other config.
pub fn run(options: &ExplainOptions, out: &mut impl Write) -> Result<(), ExplainError> {
    let snapshot = load(&options.sources)?;
    let other = options.against.as_ref().map(|against| {
        load(&ConfigSources {
            response: against.clone(),
            ..options.sources.clone()
        })
        .map_err(|error| match error {
            ExplainError::Configuration(text) => {
                let text = text.replace("--upgrade-response-config", "--against");
                ExplainError::Configuration(text)
            }
            other => other,
        })
    });
    let other = other.transpose()?;
    let body = read(&options.request)?;
    let refused =
        |why: body::BadRequest| ExplainError::Request(format!("the server answers 400: {why}"));
    let repaired;
    let raw = match body::read(&body) {
        Ok(raw) => raw,
        Err(why) => {
            repaired = repair::repaired(&body).ok_or_else(|| refused(why))?;
            body::read(&repaired).map_err(refused)?
        }
    };
    let now = Timestamp::now();
    let mut text = String::new();
    let ours = explain(&snapshot, &raw, options.address, now, &mut text);
    account::answer(&snapshot, ours, &mut text);
    if let (Some(other), Some(path)) = (&other, &options.against) {
        text.push_str(&format!("\nagainst {}\n", path.display()));
        let theirs = explain(other, &raw, options.address, now, &mut text);
        account::differences(&snapshot, ours, other, theirs, &mut text);
        account::answer(other, theirs, &mut text);
    }
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A closed pipe is no error: the reader has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(ExplainError::Request(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes whether each rule fits, and returns the index of the one that decides.
fn explain(
    snapshot: &Snapshot,
    raw: &Raw<'_>,
    address: Option<IpAddr>,
    now: Timestamp,
    text: &mut String,
) -> Option<usize> {
    let place = Place {
        country: country(snapshot, address),
        address,
    };
    let rules = snapshot.response.rules();
    let client = Client::new(raw, rules.needs(), place, now);
    account::rules(rules, &client, text)
}

fn country(snapshot: &Snapshot, address: Option<IpAddr>) -> Option<&str> {
    match snapshot.geodb.as_ref()?.locate(address?) {
        Lookup::Found(location) => location.country_isocode,
        Lookup::NotFound | Lookup::Broken => None,
    }
}

fn load(sources: &ConfigSources) -> Result<Snapshot, ExplainError> {
    let files = Fingerprints::of(sources);
    Snapshot::load(sources, &files, None)
        .map_err(|error: LoadError| ExplainError::Configuration(error.to_string()))
}

fn read(from: &RequestFrom) -> Result<Vec<u8>, ExplainError> {
    let (name, read) = match from {
        RequestFrom::StandardInput => {
            let mut bytes = Vec::new();
            let read = io::stdin().lock().take(MOST_BYTES).read_to_end(&mut bytes);
            ("standard input".to_owned(), read.map(|_| bytes))
        }
        RequestFrom::File(path) => (path.display().to_string(), fs::read(path)),
    };
    let body = read.map_err(|error| {
        let expected = "expected the JSON body of a request";
        ExplainError::Request(format!("--request {name}: {error}; {expected}"))
    })?;
    if body.len() as u64 >= MOST_BYTES {
        let why = "the server answers 413: the body is larger than 64 KiB";
        return Err(ExplainError::Request(why.to_owned()));
    }
    Ok(body)
}
