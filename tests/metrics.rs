//! /metrics is what Prometheus takes, has what an operator is promised, and counts.

mod installations;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::client::{Address, Connection};
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::Server;
use crate::support::wait_for;

const NOTICED: Duration = Duration::from_secs(20);

fn page(address: &Address) -> String {
    let mut connection = Connection::open(address).unwrap();
    let answer = connection.request("GET", "/metrics", &[], b"").unwrap();
    assert_eq!(answer.status, 200);
    answer.text()
}

/// The value of a series, named as on the page without the prefix.
#[track_caller]
fn value(page: &str, series: &str) -> f64 {
    let start = format!("upgrade_responder_{series} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&start));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{page}"));
    line.parse().unwrap()
}

#[test]
fn the_page_passes_promtool_and_has_every_count_and_gauge() {
    let scratch = Scratch::new();
    let metrics = Address::local(free_port());
    let mut server = Server::new(&scratch)
        .arg("--metrics-listen", metrics.to_string())
        .start();
    let mut connection = server.connect();
    let from = [("X-Forwarded-For", "203.0.113.7")];
    let tags = r#"{"appVersion":"v1.0.0","extraTagInfo":{"a b":"bad key","good":"x"}}"#;
    for (body, status) in [(tags, 200), (r#"{"appVersion":"v1.0.0"}"#, 200), ("{", 400)] {
        let answer = connection.post_checkin(body, &from).unwrap();
        assert_eq!(answer.status, status);
    }
    // So that the age of the second snapshot is not that of the server.
    wait_for(NOTICED, "the server to be 2 s old", || {
        value(&page(&metrics), "uptime_seconds") >= 2.0
    });
    server.signal(Signal::HUP);
    wait_for(NOTICED, "the second snapshot, and a waiting record", || {
        let page = page(&metrics);
        value(&page, "snapshot_generation") == 2.0 && value(&page, "spool_oldest_age_seconds") > 0.0
    });
    // Which is in whole seconds, so may be almost one too small.
    wait_for(NOTICED, "the snapshot to be younger than that", || {
        let page = page(&metrics);
        value(&page, "snapshot_age_seconds") <= value(&page, "uptime_seconds") - 1.0
    });
    let page = page(&metrics);
    for (series, expected) in [
        ("requests_total{status=\"400\"}", 1.0),
        ("check_ins_total{outcome=\"recorded\"}", 2.0),
        ("keys_left_out_total{reason=\"bad_key\"}", 1.0),
        ("geo_lookups_total{result=\"found\"}", 2.0),
        ("records_accepted_total", 2.0),
        ("records_delivered_total", 0.0),
        ("records_rejected_total", 0.0),
        ("records_dropped_total{reason=\"disk\"}", 0.0),
        ("influxdb_writes_total{outcome=\"stored\"}", 0.0),
        ("request_duration_seconds_count", 3.0),
        ("connections", 1.0),
    ] {
        assert_eq!(value(&page, series), expected, "{series}");
    }
    assert!(value(&page, "spool_bytes") > 0.0);
    promtool_agrees(&page);
    server.terminate();
}

#[test]
fn an_influxdb_that_was_never_reached_shows() {
    let scratch = Scratch::new();
    let metrics = Address::local(free_port());
    let server = Server::new(&scratch)
        .arg("--metrics-listen", metrics.to_string())
        .arg(
            "--influxdb-url",
            format!("http://127.0.0.1:{}", free_port()),
        )
        .start();
    // Nobody checks in, so there is nothing to write.
    wait_for(NOTICED, "two attempts", || {
        value(
            &page(&metrics),
            "influxdb_writes_total{outcome=\"retried\"}",
        ) >= 2.0
    });
    server.terminate();
}

#[track_caller]
fn promtool_agrees(page: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It reads everything before it says anything, and dropping the pipe is the end of the page.
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let said = promtool.wait_with_output().unwrap();
    assert!(said.status.success(), "{said:?}\n{page}");
    assert!(said.stdout.is_empty() && said.stderr.is_empty(), "{said:?}");
}
