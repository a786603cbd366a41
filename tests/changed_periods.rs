//! The continuous queries get another period while the server runs or is away: no check-in is in two
//! totals of different lengths, and none is in no total.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::account::{MEASUREMENT, Totals, lines_with, totals_of, wait_until_stored};
use crate::support::clock::{Clock, tomorrow};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
const TARGETS: [&str; 3] = [
    "upgrade_request_down_sampling",
    "by_app_version_down_sampling",
    "by_country_code_down_sampling",
];

#[track_caller]
fn wait_for_totals(influx: &Influx, start: i64, expected: &[(i64, u64)]) {
    let expected: BTreeMap<i64, u64> = expected.iter().copied().collect();
    let what = format!("totals {expected:?}");
    for target in TARGETS {
        wait_for(SOON, &what, || totals_of(influx, target, start) == expected);
    }
}

/// What InfluxDB's continuous query does at the end of a period.
fn as_its_own_query(influx: &Influx, start: i64, seconds: i64) {
    for (target, tag) in TARGETS
        .iter()
        .zip(["", ", app_version", ", country_isocode"])
    {
        let end = start + seconds;
        influx.select(DATABASE, &format!(
            "SELECT count(value) AS total INTO {target} FROM {MEASUREMENT} WHERE time >= {start}s AND time < {end}s GROUP BY time({seconds}s){tag}"
        ));
    }
}

fn check_in(running: &Running, times: usize) {
    Load::new(running.addr()).each(times).run();
}

#[track_caller]
fn set_query_period(server: &Server, period: &str) {
    let ended = server.other_command("set-query-period", &["--query-period", period]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

/// From one length to another under a running server, in the middle of a period of both.
fn change_under_way(before: &str, after: &str, seconds: i64, expected: &[(i64, u64)]) {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--query-period", before);
    let day = tomorrow();
    clock.set(day + 10);
    let running = clock.of(server.clone()).start();
    check_in(&running, 3);
    wait_until_stored(&influx, 3, SOON);
    clock.set(day + 125);
    check_in(&running, 4);
    wait_until_stored(&influx, 7, SOON);
    clock.set(day + 135);
    wait_for(SOON, "the total of before", || {
        totals_of(&influx, TARGETS[0], day).get(&0) == Some(&3)
    });

    set_query_period(&server, after);
    clock.set(day + 185);
    check_in(&running, 5);
    wait_until_stored(&influx, 12, SOON);
    clock.set(day + 245);
    wait_for(SOON, "word of the change", || {
        running.log().contains("continuous queries were changed")
    });
    for start in (day + 120..day + 240).step_by(seconds as usize) {
        as_its_own_query(&influx, start, seconds);
    }
    check_in(&running, 6);
    wait_until_stored(&influx, 18, SOON);
    clock.set(day + 380);
    wait_for_totals(&influx, day, expected);
    let log = running.terminate().stderr;
    assert_eq!(lines_with(&log, "were changed"), 1, "{log}");
    let said = format!("period is {before}: restart with --query-period");
    assert_eq!(lines_with(&log, &said), 1, "{log}");
    Totals::of(&log).assert_add_up(&scratch);
}

#[test]
fn a_longer_period_that_is_set_under_the_running_server_counts_nothing_twice() {
    change_under_way("1m", "2m", 120, &[(0, 3), (120, 9), (240, 6)]);
}

#[test]
fn a_shorter_period_that_is_set_under_the_running_server_counts_nothing_twice() {
    change_under_way("2m", "1m", 60, &[(0, 3), (120, 4), (180, 5), (240, 6)]);
}

#[test]
fn a_backlog_from_before_the_change_is_counted_by_the_period_of_its_own_time() {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    let mut influx = Influx::start(&scratch);
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--query-period", "1m");
    let day = tomorrow();
    clock.set(day + 10);
    let running = clock.of(server.clone()).start();
    check_in(&running, 10);
    wait_until_stored(&influx, 10, SOON);
    as_its_own_query(&influx, day, 60);
    clock.set(day + 70);
    check_in(&running, 5);
    wait_until_stored(&influx, 15, SOON);
    as_its_own_query(&influx, day + 60, 60);
    influx.kill();
    check_in(&running, 5);
    Totals::of(&running.terminate().stderr).assert_add_up(&scratch);

    influx.restart();
    set_query_period(&server, "2m");
    clock.set(day + 125);
    let server = server.arg("--query-period", "2m");
    let running = clock.of(server).start();
    wait_until_stored(&influx, 20, SOON);
    check_in(&running, 7);
    wait_until_stored(&influx, 27, SOON);
    clock.set(day + 255);
    wait_for_totals(&influx, day, &[(0, 10), (60, 10), (120, 7)]);
    let log = running.terminate().stderr;
    assert_eq!(lines_with(&log, "were changed"), 1, "{log}");
    assert_eq!(lines_with(&log, "WARN"), 0, "{log}");
}
