//! The page of `make demo`: two years, five releases, forty countries. If this test fails, a page with much data is too
//! large, or the parts of a total add up to more than the total.

use std::fs;

use serde_json::Value;

use super::get;
use crate::support::client::Address;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{Server, run};

#[path = "../../examples/demo-fleet/files.rs"]
mod files;
#[path = "../../examples/demo-fleet/fleet.rs"]
mod fleet;

/// Bytes of the operator's page over a year, before compression.
const LIMIT: usize = 200_000;

#[test]
fn a_year_of_the_demo_fits_in_200_kb_and_its_parts_add_up_to_no_more_than_the_whole() {
    let scratch = Scratch::new();
    let state = scratch.join("demo-state");
    fs::create_dir(&state).unwrap();
    files::write(scratch.path(), jiff::Timestamp::now().as_second()).unwrap();
    let demo = [
        "--settings",
        "/dev/null",
        "--application-name",
        "demo",
        "--state-dir",
        state.to_str().unwrap(),
    ];
    let totals = scratch.join("totals.csv");
    let imported = [&["import-totals", totals.to_str().unwrap()], &demo[2..]].concat();
    let imported = run(&scratch, &imported);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    let metrics = Address::local(free_port());
    let running = Server::new(&scratch)
        .without("--geodb")
        .arg("--application-name", "demo")
        .arg("--state-dir", &state)
        .arg("--metrics-listen", metrics.to_string())
        .start();
    let page = get(&metrics, "/?last=365d", &[]);
    assert_eq!(page.status, 200);
    let bytes = page.body.len();
    assert!(bytes < LIMIT, "{bytes} bytes");
    for by in [
        "app_version",
        "country",
        "city",
        "host_arch",
        "backup_enabled",
    ] {
        let asked = ["report", "--by", by, "--last", "all", "--format", "json"];
        let report = run(&scratch, &[&asked, &demo[..]].concat());
        assert_eq!(report.code, Some(0), "{}", report.stderr);
        let report: Value = serde_json::from_str(&report.stdout).unwrap();
        let rows = report["rows"].as_array().unwrap();
        assert!(rows.len() > 600, "{by}: {} rows", rows.len());
        for row in rows {
            let values = row["values"].as_array().unwrap();
            let sum: f64 = values
                .iter()
                .filter_map(|value| value["total"].as_f64())
                .sum();
            let all = row["total"].as_f64().unwrap_or(sum);
            // Each total is rounded to a tenth.
            let rounding = 0.05 * (values.len() + 1) as f64;
            assert!(sum <= all + rounding, "{by}: {sum} of {all}: {row}");
        }
    }
    running.terminate();
}
