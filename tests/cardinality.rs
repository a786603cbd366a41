//! Limits on what clients can add to the database's index. If one failed, a client that invents tags could fill the
//! memory of InfluxDB or of the server.

mod keys;
mod memory;
mod tag_sets;
mod tag_values;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use crate::support::account::state;
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::tried::tried;
use crate::support::wait_for;

const FAMILY: &str = "Cardinality";
/// Time limit for all records to reach InfluxDB or the spool.
const DELIVERED: Duration = Duration::from_secs(60);

/// Sends check-ins, each of which must get 200, and returns their number.
fn send(running: &Running, bodies: impl IntoIterator<Item = String>) -> u64 {
    let mut connection = running.connect();
    let mut sent = 0;
    for body in bodies {
        let answer = connection.post_checkin(&body, &[]).unwrap();
        assert_eq!(answer.status, 200, "{body}");
        sent += 1;
    }
    sent
}

fn with_tags(tags: &str) -> String {
    format!(r#"{{"appVersion":"v1.0.0","extraTagInfo":{{{tags}}}}}"#)
}

#[track_caller]
fn wait_for_points(influx: &Influx, points: u64) {
    wait_for(DELIVERED, "all points to be stored", || {
        influx.count(DATABASE, "upgrade_request") == points
    });
}

/// The values of a tag that InfluxDB has stored.
#[track_caller]
fn values(influx: &Influx, tag: &str) -> BTreeSet<String> {
    let query = format!("SHOW TAG VALUES FROM upgrade_request WITH KEY = \"{tag}\"");
    let rows = influx.select(DATABASE, &query);
    rows.iter()
        .map(|row| row["value"].as_str().unwrap().to_string())
        .collect()
}

#[track_caller]
fn count_of(influx: &Influx, query: &str) -> usize {
    influx.select(DATABASE, query).len()
}

/// The number of warnings in the log that contain this text.
fn warnings(log: &str, with: &str) -> usize {
    log.lines()
        .filter(|line| line.contains("WARN") && line.contains(with))
        .count()
}

#[test]
fn unusable_file_of_known_values_is_logged_once() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    // Not even root can read or write a directory as a file.
    fs::create_dir_all(state(&scratch).join("known")).unwrap();
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let sent = send(
        &running,
        (0..20).map(|n| with_tags(&format!(r#""a":"{n}""#))),
    );
    wait_for_points(&influx, sent);
    let log = running.terminate().stderr;
    assert_eq!(warnings(&log, "known: cannot"), 1, "{log}");
    tried(
        FAMILY,
        "the file `known` cannot be read nor written",
        "check-ins are recorded within the limits; one warning says what is forgotten at the next start",
    );
}
