//! The ledger. A total is the number of records of its period that reached the spool. If these tests fail, the number
//! of installations on the page and in reports is wrong. Here: segments from elsewhere, the metrics of counting, and
//! the documented SQL queries.

mod beside;
mod kills;
mod ledger;
mod periods;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::account::{MEASUREMENT, spooled, state};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server, run};
use crate::support::{metrics, wait_for};

const SOON: Duration = Duration::from_secs(60);

/// The rows of `report --format json`.
#[track_caller]
fn rows(scratch: &Scratch, flags: &[&str]) -> Vec<Value> {
    try_rows(scratch, flags).unwrap_or_else(|error| panic!("{error}"))
}

/// The rows of `report --format json`, or its error if the ledger cannot be read.
fn try_rows(scratch: &Scratch, flags: &[&str]) -> Result<Vec<Value>, String> {
    let folder = scratch.join("state");
    let command = ["report", "--settings", "/dev/null", "--format", "json"];
    let place = ["--state-dir", folder.to_str().unwrap()];
    let ended = run(
        scratch,
        &[command.as_slice(), place.as_slice(), flags].concat(),
    );
    if ended.code != Some(0) {
        return Err(ended.stderr);
    }
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    Ok(report["rows"].as_array().unwrap().clone())
}

/// Totals by start of the period in seconds since 1970, and version; `all` stands for all versions.
type Totals = BTreeMap<(i64, String), u64>;

/// The totals in the ledger.
#[track_caller]
fn counted(scratch: &Scratch) -> Totals {
    let mut totals = Totals::new();
    for row in rows(scratch, &["--by", "app_version"]) {
        let start: jiff::Timestamp = row["start"].as_str().unwrap().parse().unwrap();
        let start = start.as_second();
        if let Some(total) = row["total"].as_u64().filter(|total| *total > 0) {
            totals.insert((start, "all".to_owned()), total);
        }
        for value in row["values"].as_array().unwrap() {
            let version = value["value"].as_str().unwrap().to_owned();
            totals.insert((start, version), value["total"].as_u64().unwrap());
        }
    }
    totals
}

/// The totals computed from the records in the spool.
fn recounted(scratch: &Scratch, period: i64) -> Totals {
    let mut totals = Totals::new();
    for line in spooled(scratch) {
        let stamp: i64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        let start = stamp / 1_000_000_000 / period * period;
        let (_, rest) = line.split_once("app_version=").unwrap();
        let version = rest.split([',', ' ']).next().unwrap().to_owned();
        for value in ["all".to_owned(), version] {
            *totals.entry((start, value)).or_default() += 1;
        }
    }
    totals
}

/// Sends `times` check-ins.
fn check_in(running: &Running, times: usize) {
    Load::new(running.addr()).each(times).run();
}

/// The number of check-ins in the ledger.
fn total(scratch: &Scratch) -> u64 {
    counted(scratch)
        .iter()
        .filter(|((_, value), _)| value == "all")
        .map(|(_, total)| total)
        .sum()
}

#[test]
fn segments_put_into_the_spool_by_hand_are_counted_whatever_their_numbers_are() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let running = server.start();
    check_in(&running, 5);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    wait_for(SOON, "the totals", || total(&scratch) == 5);
    running.terminate();
    let now = jiff::Timestamp::now().as_nanosecond() as i64;
    let line = |n: i64| crate::support::account::line(&format!("by-hand-{n}"), now + n);
    let lines: String = (0..3).map(line).collect();
    let spool = state(&scratch).join("spool");
    fs::write(spool.join("00000000000000000001-3.lp"), lines).unwrap();
    let running = server.start();
    wait_for(SOON, "the totals", || total(&scratch) == 8);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    running.terminate();
    assert_eq!(influx.count(DATABASE, MEASUREMENT), 8);
}

#[test]
fn the_metrics_of_counting_add_up() {
    let scratch = Scratch::new();
    let address = crate::support::client::Address::local(crate::support::scratch::free_port());
    let server = Server::new(&scratch).arg("--metrics-listen", address.to_string());
    let running = server.start();
    check_in(&running, 25);
    let value = |name: &str| metrics::value(&address, name);
    wait_for(SOON, "the totals", || value("totals_counted_total") == 25);
    assert_eq!(value("totals_uncounted"), 0);
    running.kill();
    let running = server.start();
    assert_eq!(value("totals_found_total"), 0);
    assert_eq!(value("records_found_total"), 25);
    running.terminate();
}

/// The SQL blocks of docs/totals.md.
fn documented_queries() -> Vec<String> {
    let document = include_str!("../docs/totals.md");
    let blocks = document.split("```sql\n").skip(1);
    let query = |block: &str| block.split("```").next().unwrap().to_owned();
    blocks.map(query).collect()
}

#[test]
fn the_documented_queries_run_while_the_server_does() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    let body = r#"{"appVersion":"v1.0.0","extraFieldInfo":{"nodeCount":3}}"#;
    Load::new(running.addr()).each(4).body(body).run();
    wait_for(SOON, "the totals", || total(&scratch) == 4);
    let path = state(&scratch).join("totals.db");
    let rows = |query: &str| {
        let sqlite = std::process::Command::new("sqlite3")
            .args(["-readonly", path.to_str().unwrap(), query])
            .output()
            .unwrap();
        assert!(sqlite.status.success(), "{query}: {sqlite:?}");
        String::from_utf8(sqlite.stdout).unwrap()
    };
    let queries = documented_queries();
    assert_eq!(queries.len(), 3);
    assert!(
        rows(&queries[0]).trim_end().ends_with("|4"),
        "{}",
        rows(&queries[0])
    );
    // The period is not over, so no period is wholly covered.
    assert_eq!(rows(&queries[1]), "");
    assert!(
        rows(&queries[2]).contains("|3.0|3.0|3.0"),
        "{}",
        rows(&queries[2])
    );
    let daily =
        "SELECT day, periods, dimension, value, name, country, mean, least, greatest FROM daily";
    assert_eq!(rows(daily), "");
    running.terminate();
}
