//! The records of a fault test: the acknowledged ones, those in InfluxDB, in the spool and in the rejected files, and
//! the counters that the server logs when it stops. A lost or duplicated record must never pass unnoticed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::influx::Influx;
use super::scratch::Scratch;
use super::server::{APPLICATION, DATABASE};
use super::wait_for;

/// The measurement of check-ins.
pub const MEASUREMENT: &str = "upgrade_request";

/// The directory in which [`Server::new`](super::server::Server::new) keeps its state.
pub fn state(scratch: &Scratch) -> PathBuf {
    scratch.join("state").join(APPLICATION)
}

/// The spool directory in that state.
pub fn spool(scratch: &Scratch) -> PathBuf {
    state(scratch).join("spool")
}

/// The names of the segments, oldest first.
pub fn segments(scratch: &Scratch) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(spool(scratch))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".lp"))
        .collect();
    names.sort();
    names
}

/// All whole lines in the spool, oldest first.
pub fn spooled(scratch: &Scratch) -> Vec<String> {
    let mut lines = Vec::new();
    for name in segments(scratch) {
        // The server may have settled and deleted the segment since the listing.
        let text = fs::read(spool(scratch).join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let whole = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
        lines.extend(whole.map(|line| line.trim_end().to_string()));
    }
    lines
}

/// All lines in the rejected files, including the reasons.
pub fn rejected(scratch: &Scratch) -> Vec<String> {
    let folder = state(scratch).join("rejected");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let texts = files
        .iter()
        .map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned());
    texts
        .flat_map(|text| text.lines().map(str::to_string).collect::<Vec<_>>())
        .collect()
}

/// The `x_request_id` of a line from the load generator.
pub fn id_of(line: &str) -> String {
    let (_, rest) = line.split_once("x_request_id=\"").expect("a line with id");
    rest.split('"').next().unwrap().to_string()
}

/// A line as the server writes it, for tests that write segments themselves.
pub fn line(id: &str, timestamp_ns: i64) -> String {
    format!(
        "upgrade_request,app_version=v1.0.0,country_isocode=NZ value=1i,x_request_id=\"{id}\" {timestamp_ns}\n"
    )
}

/// The ids of all points in InfluxDB; an id of two points is in the list twice.
pub fn stored_ids(influx: &Influx) -> Vec<String> {
    let query = format!("SELECT x_request_id FROM {MEASUREMENT}");
    let rows = influx.select(DATABASE, &query);
    rows.iter()
        .map(|row| row["x_request_id"].as_str().unwrap().to_string())
        .collect()
}

/// Waits until InfluxDB has at least this many points.
#[track_caller]
pub fn wait_until_stored(influx: &Influx, points: usize, limit: Duration) {
    let what = format!("{points} points");
    wait_for(limit, &what, || {
        influx.count(DATABASE, MEASUREMENT) >= points as u64
    });
}

/// The difference between the acknowledged ids and the stored ones.
#[derive(Debug)]
pub struct Difference {
    pub acknowledged: usize,
    pub stored: usize,
    pub lost: BTreeSet<String>,
    pub duplicated: usize,
}

/// Compares the ids, and prints the numbers (shown with `--nocapture`).
pub fn compare(acknowledged: &BTreeSet<String>, stored: &[String]) -> Difference {
    let unique: BTreeSet<String> = stored.iter().cloned().collect();
    let difference = Difference {
        acknowledged: acknowledged.len(),
        stored: stored.len(),
        lost: acknowledged.difference(&unique).cloned().collect(),
        duplicated: stored.len() - unique.len(),
    };
    println!(
        "acknowledged {}, stored {}, lost {}, duplicated {}",
        difference.acknowledged,
        difference.stored,
        difference.lost.len(),
        difference.duplicated
    );
    difference
}

/// Fails unless each acknowledged id is stored and no id is stored twice.
#[track_caller]
pub fn assert_exactly_once(acknowledged: &BTreeSet<String>, stored: &[String]) {
    let difference = compare(acknowledged, stored);
    assert!(difference.lost.is_empty(), "lost: {difference:?}");
    assert_eq!(difference.duplicated, 0, "{difference:?}");
}

/// The counters of records that the server logs when it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    pub found: u64,
    pub accepted: u64,
    pub delivered: u64,
    pub waiting: u64,
    pub rejected: u64,
    pub dropped: u64,
    pub expired: u64,
}

impl Totals {
    /// Parses the counters in a log.
    #[track_caller]
    pub fn of(log: &str) -> Totals {
        let said = log.lines().rev().find(|line| line.contains("stopped: "));
        let said = said.unwrap_or_else(|| panic!("no totals in the log:\n{log}"));
        let number = |name: &str| {
            let (_, rest) = said.split_once(&format!("{name} ")).unwrap();
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            digits.parse().unwrap()
        };
        Totals {
            found: number("found"),
            accepted: number("accepted"),
            delivered: number("delivered"),
            waiting: number("waiting"),
            rejected: number("rejected"),
            dropped: number("dropped"),
            expired: number("expired"),
        }
    }

    /// Fails unless the counters add up and the number of waiting records is the number of lines in the spool. The
    /// server counts waiting records by segment, so the sum also shows a record that was lost without being counted.
    #[track_caller]
    pub fn assert_add_up(&self, scratch: &Scratch) {
        let ended = self.delivered + self.waiting + self.rejected + self.dropped + self.expired;
        assert_eq!(self.found + self.accepted, ended, "{self:?}");
        let lines = spooled(scratch).len() as u64;
        assert_eq!(self.waiting, lines, "lines in the spool; {self:?}");
    }
}

/// The number of log lines that contain `text`.
pub fn lines_with(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}
