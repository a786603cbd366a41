//! The page /metrics. If these tests fail, Prometheus rejects the page, or an operator misses a documented count.

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
    // The second snapshot must be visibly younger than the server.
    wait_for(NOTICED, "the server to be 2 s old", || {
        value(&page(&metrics), "uptime_seconds") >= 2.0
    });
    server.signal(Signal::HUP);
    wait_for(NOTICED, "the second snapshot, and a waiting record", || {
        let page = page(&metrics);
        value(&page, "snapshot_generation") == 2.0 && value(&page, "spool_oldest_age_seconds") > 0.0
    });
    // The age is in whole seconds, so it may be almost 1 s too small.
    wait_for(
        NOTICED,
        "the snapshot to be younger than the server",
        || {
            let page = page(&metrics);
            value(&page, "snapshot_age_seconds") <= value(&page, "uptime_seconds") - 1.0
        },
    );
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
fn attempts_to_reach_an_absent_influxdb_are_counted() {
    let scratch = Scratch::new();
    let metrics = Address::local(free_port());
    let server = Server::new(&scratch)
        .arg("--metrics-listen", metrics.to_string())
        .arg(
            "--influxdb-url",
            format!("http://127.0.0.1:{}", free_port()),
        )
        .start();
    // There is no check-in, so the attempts are not writes of records.
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
    // promtool reads the whole page before it prints anything; the dropped pipe is the end of the page.
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{page}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}
