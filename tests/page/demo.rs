//! The page of `make demo`: two years, five releases, forty countries. If this test fails, a page with much data is too
//! large or does not fit its window, or the parts of a total add up to more than the total.

use std::fs;

use serde_json::Value;

use super::{WIDTHS, get};
use crate::support::chromium::{Chromium, View};
use crate::support::client::Address;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{Ended, Running, Server, run};

#[path = "../../examples/demo-fleet/files.rs"]
mod files;
#[path = "../../examples/demo-fleet/fleet.rs"]
mod fleet;

/// Bytes of the operator's page over a year, before compression.
const LIMIT: usize = 200_000;

/// A server with the ledger of the demo.
struct Demo {
    metrics: Address,
    running: Running,
    scratch: Scratch,
}

impl Demo {
    #[track_caller]
    fn start() -> Demo {
        let scratch = Scratch::new();
        let state = scratch.join("state");
        fs::create_dir(&state).unwrap();
        files::write(scratch.path(), jiff::Timestamp::now().as_second()).unwrap();
        let totals = scratch.join("totals.csv");
        let imported = command(&scratch, &["import-totals", totals.to_str().unwrap()]);
        assert_eq!(imported.code, Some(0), "{}", imported.stderr);
        let metrics = Address::local(free_port());
        let running = Server::new(&scratch)
            .without("--geodb")
            .arg("--application-name", "demo")
            .arg("--metrics-listen", metrics.to_string())
            .start();
        Demo {
            metrics,
            running,
            scratch,
        }
    }
}

/// Runs a command on the ledger of the demo.
fn command(scratch: &Scratch, arguments: &[&str]) -> Ended {
    let state = scratch.join("state");
    let demo = ["--application-name", "demo", "--settings", "/dev/null"];
    let place = ["--state-dir", state.to_str().unwrap()];
    run(scratch, &[arguments, &demo, &place].concat())
}

#[test]
fn a_year_of_the_demo_fits_in_200_kb_and_its_parts_add_up_to_no_more_than_the_whole() {
    let demo = Demo::start();
    let page = get(&demo.metrics, "/?last=365d", &[]);
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
        let report = command(&demo.scratch, &asked);
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
    demo.running.terminate();
}

/// Texts that leave the card that they are in.
const CUT_TEXTS: &str = "[...document.querySelectorAll('.card text, .card td, .card th, .tile *')].filter(text => {
    const [a, b] = [text.getBoundingClientRect(), text.closest('.card, .tile').getBoundingClientRect()];
    return a.width > 0 && !text.closest('.scroll') && (a.left < b.left || a.right > b.right);
}).map(text => text.textContent).join(', ')";

#[test]
fn no_text_of_the_demo_is_cut_off_at_any_width() {
    let demo = Demo::start();
    let Some(mut chromium) = Chromium::start(&demo.scratch) else {
        return;
    };
    for width in WIDTHS {
        let view = View { width, dark: false };
        for last in ["90d", "all"] {
            let url = format!("http://{}/?last={last}", demo.metrics);
            chromium.open(&url, view);
            assert_eq!(chromium.eval(CUT_TEXTS), "", "{last} at {width} px");
            let over = chromium.eval("document.documentElement.scrollWidth - innerWidth");
            let over = over.as_i64();
            assert!(over.is_some_and(|over| over <= 0), "{last} at {width} px");
        }
    }
    demo.running.terminate();
}
