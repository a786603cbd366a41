//! No dip in the graph: points that arrive after their period has closed are in the totals all the
//! same, in all three down-sampled measurements, and by the period that is in force.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::support::account::state;
use crate::support::account::{
    MEASUREMENT, lines_with, spool, spooled, stored_ids, wait_until_stored,
};
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(90);

/// The down-sampled measurements and the tag each keeps.
const DOWN_SAMPLED: [(&str, Option<&str>); 3] = [
    ("upgrade_request_down_sampling", None),
    ("by_app_version_down_sampling", Some("app_version")),
    ("by_country_code_down_sampling", Some("country_isocode")),
];

/// By tag value and the beginning of the period.
type Totals = BTreeMap<(String, i64), u64>;

fn now_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Lays segments with check-ins of closed periods into the spool: an hour in each, some in each minute
/// from `from` to `to`, in seconds since 1970, one of them in its last nanosecond. Returns how many.
fn lay(scratch: &Scratch, from: i64, to: i64) -> usize {
    fs::create_dir_all(spool(scratch)).unwrap();
    let mut count = 0;
    let minutes: Vec<i64> = (from..to).step_by(60).collect();
    for (sequence, hour) in minutes.chunks(60).enumerate() {
        let mut text = String::new();
        for minute in hour {
            let number = minute / 60;
            for point in 0..=number % 5 {
                let version = (number + point) % 3;
                let country = ["DE", "NZ", "US"][(number % 3) as usize];
                let timestamp = (minute + 60) * 1_000_000_000 - 1 - point * 11_000_000_000;
                text.push_str(&format!(
                    "upgrade_request,app_version=v1.{version},country_isocode={country} value=1i,x_request_id=\"{number}-{point}\" {timestamp}\n"
                ));
            }
        }
        count += text.lines().count();
        let name = format!("{sequence:020}-{}.lp", text.lines().count());
        fs::write(spool(scratch).join(name), text).unwrap();
    }
    count
}

fn read(influx: &Influx, query: &str, tag: Option<&str>, column: &str) -> Totals {
    let rows = influx.select(DATABASE, query);
    let value = |row: &serde_json::Value| {
        let group = tag.map_or("", |tag| row[tag].as_str().unwrap()).to_string();
        let total = row[column].as_u64()?;
        (total > 0).then_some(((group, row["time"].as_i64()?), total))
    };
    rows.iter().filter_map(value).collect()
}

fn group_by(tag: Option<&str>) -> String {
    tag.map(|tag| format!("GROUP BY {tag}")).unwrap_or_default()
}

fn down_sampled(influx: &Influx, target: &str, tag: Option<&str>) -> Totals {
    let query = format!("SELECT total FROM {target} {}", group_by(tag));
    read(influx, &query, tag, "total")
}

/// What the totals ought to be, from the raw points before `end`.
fn counted(influx: &Influx, tag: Option<&str>, seconds: i64, end: i64) -> Totals {
    let tags = tag.map(|tag| format!(", {tag}")).unwrap_or_default();
    let query = format!(
        "SELECT count(value) FROM {MEASUREMENT} WHERE time < {end}s GROUP BY time({seconds}s){tags} fill(none)"
    );
    read(influx, &query, tag, "count")
}

fn all_down_sampled(influx: &Influx) -> Vec<Totals> {
    let totals = DOWN_SAMPLED.iter();
    totals
        .map(|(target, tag)| down_sampled(influx, target, *tag))
        .collect()
}

fn all_counted(influx: &Influx, seconds: i64, end: i64) -> Vec<Totals> {
    let totals = DOWN_SAMPLED.iter();
    totals
        .map(|(_, tag)| counted(influx, *tag, seconds, end))
        .collect()
}

#[test]
fn late_points_are_in_the_totals_after_a_crash_and_when_it_is_done_twice() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let end = now_seconds() / 60 * 60 - 3600;
    let points = lay(&scratch, end - 3 * 3600, end);
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--query-period", "1m")
        .switch("--debug");
    let running = server.start();
    wait_until_stored(&influx, points, SOON);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    let expected = all_counted(&influx, 60, end);
    assert_eq!(expected[0].values().sum::<u64>(), points as u64);
    // Nothing is recomputed before 10 s have passed.
    running.kill();
    assert_ne!(all_down_sampled(&influx), expected);
    let periods = fs::read_to_string(state(&scratch).join("periods")).unwrap();
    let running = server.start();
    wait_for(SOON, "the totals", || all_down_sampled(&influx) == expected);
    running.terminate();

    // All of it once more.
    fs::write(state(&scratch).join("periods"), &periods).unwrap();
    let running = server.start();
    wait_for(SOON, "the totals once more", || {
        lines_with(&running.log(), "recomputed") == periods.lines().count()
    });
    running.terminate();
    assert_eq!(all_down_sampled(&influx), expected);
    assert_eq!(stored_ids(&influx).len(), points);
}

#[test]
fn late_points_are_in_the_totals_of_the_period_that_is_in_force() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    for (target, tag) in DOWN_SAMPLED {
        let tags = tag.map(|tag| format!(", {tag}")).unwrap_or_default();
        influx.query("", &format!(
            "CREATE CONTINUOUS QUERY cq_{target} ON {DATABASE} BEGIN SELECT count(value) AS total INTO {target} FROM {MEASUREMENT} GROUP BY time(2h){tags} END"
        ));
    }
    let end = now_seconds() / 7200 * 7200 - 7200;
    let points = lay(&scratch, end - 10 * 3600, end);
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--query-period", "1h");
    let running = server.start();
    wait_until_stored(&influx, points, SOON);
    let expected = all_counted(&influx, 7200, end);
    assert_eq!(expected[0].len(), 5);
    wait_for(SOON, "the totals", || all_down_sampled(&influx) == expected);
    let log = running.terminate().stderr;
    assert_eq!(lines_with(&log, "has a period of 7200s"), 3, "{log}");
}
