//! /metrics/installations: the last finished period for Prometheus. If these tests fail, dashboards show wrong numbers
//! of installations, or rare values create series without limit.

use std::fs;

use super::{NOTICED, promtool_agrees, value};
use crate::support::account::spool;
use crate::support::client::{Address, Connection};
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::Server;
use crate::support::wait_for;

const HOUR: i64 = 3600;

fn get(address: &Address) -> (u16, String) {
    let mut connection = Connection::open(address).unwrap();
    let target = "/metrics/installations";
    let answer = connection.request("GET", target, &[], b"").unwrap();
    (answer.status, answer.text())
}

#[test]
fn the_last_finished_period_is_shown_and_the_rarest_values_are_other() {
    let scratch = Scratch::new();
    let metrics = Address::local(free_port());
    let end = jiff::Timestamp::now().as_second() / HOUR * HOUR;
    let mut lines = String::new();
    for n in 0..20_i64 {
        // 11, 4, 3 and 2 check-ins of four versions; half of them have an architecture that needs escapes.
        let version = [11, 15, 18, 20].iter().position(|most| n < *most).unwrap();
        let arch = if n % 2 == 0 { ",host_arch=a\"\\ b" } else { "" };
        let stamp = (end - HOUR) * 1_000_000_000 + n;
        lines += &format!("upgrade_request,app_version=v1.{version}.0{arch} value=1i {stamp}\n");
    }
    fs::create_dir_all(spool(&scratch)).unwrap();
    fs::write(spool(&scratch).join("00000000000000000001-20.lp"), lines).unwrap();
    let server = Server::new(&scratch)
        .arg("--metrics-listen", metrics.to_string())
        .arg("--down-sample-tags", "host_arch")
        .arg("--max-metric-values", "3")
        .start();
    wait_for(NOTICED, "the period", || {
        get(&metrics)
            .1
            .contains("upgrade_responder_installations 20\n")
    });
    let (status, page) = get(&metrics);
    assert_eq!(status, 200);
    for (series, expected) in [
        ("installations{app_version=\"v1.0.0\"}", 11.0),
        ("installations{app_version=\"v1.1.0\"}", 4.0),
        ("installations{app_version=\"other\"}", 5.0),
        ("installations{host_arch=\"a\\\" b\"}", 10.0),
        ("installations_period_end_seconds", end as f64),
        ("installations_period_coverage", 0.0),
    ] {
        assert_eq!(value(&page, series), expected, "{series}\n{page}");
    }
    assert!(!page.contains("v1.2.0"), "{page}");
    promtool_agrees(&page);
    // As if the server had covered half of the period.
    let ledger = crate::support::account::state(&scratch).join("totals.db");
    let ledger = rusqlite::Connection::open(&ledger).unwrap();
    ledger.busy_timeout(NOTICED).unwrap();
    let sql = "UPDATE period SET present_ms = seconds * 500 WHERE start = ?";
    ledger.execute(sql, (end - HOUR,)).unwrap();
    let page = get(&metrics).1;
    assert_eq!(value(&page, "installations_period_coverage"), 0.5, "{page}");
    server.terminate();
}

#[test]
fn a_ledger_that_cannot_be_read_is_a_503_with_the_reason() {
    let scratch = Scratch::new();
    let metrics = Address::local(free_port());
    let server = Server::new(&scratch)
        .arg("--metrics-listen", metrics.to_string())
        .start();
    wait_for(NOTICED, "the ledger", || get(&metrics).0 == 200);
    let page = get(&metrics).1;
    assert_eq!(
        value(&page, "installations_period_end_seconds"),
        0.0,
        "{page}"
    );
    promtool_agrees(&page);
    let ledger = crate::support::account::state(&scratch).join("totals.db");
    let newer = rusqlite::Connection::open(&ledger).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    let (status, text) = get(&metrics);
    assert_eq!(status, 503);
    assert!(text.contains("has version 99"), "{text}");
    server.terminate();
}
