//! The dashboard of the service, with a real Prometheus that scrapes the server. If these tests failed, a panel would be
//! empty, a metric would have no panel, or an outage would look like a time without check-ins.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use super::grafana::{list, load, panels};
use crate::support::client::Address;
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::metrics;
use crate::support::prometheus::Prometheus;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::Server;
use crate::support::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);

/// The variable's `allValue`, which Grafana uses for all instances.
const ALL: &str = ".*";

/// The expression that Prometheus gets if these instances are chosen.
fn expanded(expression: &Value, instances: &str) -> String {
    let expression = expression.as_str().unwrap();
    let expanded = expression
        .replace("$instance", instances)
        .replace("$__rate_interval", "4s");
    assert!(!expanded.contains('$'), "{expanded}");
    expanded
}

/// The permitted sum of a query's series by the title of the panel and the letter of the query, at up to 20 check-ins
/// a second.
fn expected(title: &str, letter: &str) -> RangeInclusive<f64> {
    match (title, letter) {
        ("Coverage", _) => 1.0..=1.0,
        ("Up since" | "Age of the configuration", _) => 0.1..=600.0,
        ("Check-ins", _) | ("Requests by status", "A") | ("Records", "A" | "B") => 1.0..=21.0,
        ("Handling time", _) => 1e-6..=1.0,
        ("Connections", "A") => 1.0..=2.0,
        ("Writes to InfluxDB", _) | ("Counting", "A") => 0.1..=21.0,
        ("Counting", "C") => 0.05..=2.0,
        ("Not counted yet", _) => 0.0..=1000.0,
        ("Waiting", _) => 0.0..=1000.0,
        ("Spool", "A") => 1.0..=1e6,
        ("Spool", _) => 1_073_741_824.0..=1_073_741_824.0,
        ("Oldest waiting record", _) => 0.0..=60.0,
        ("Reloads", "A") => 0.0..=1.0,
        ("Geography look-ups", _) => 1.0..=21.0,
        (
            "Configuration"
            | "Requests by status"
            | "Connections"
            | "Extra keys left out"
            | "Records"
            | "Counting"
            | "Lost records"
            | "Reloads",
            _,
        ) => 0.0..=0.0,
        _ => panic!("no expectation for panel {title}"),
    }
}

#[test]
fn every_panel_of_the_service_has_numbers_and_coverage_differs_for_no_check_ins_and_an_outage() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let metrics = Address::local(free_port()).to_string();
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--metrics-listen", &metrics);
    let running = server.start();
    let prometheus = Prometheus::scraping(&scratch, "/metrics", &[&metrics]);
    let clients = Load::new(running.addr()).threads(1).endless();
    let clients = clients.pause(Duration::from_millis(50)).start();

    let dashboard = load("service.json");
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        for target in list(&panel["targets"]) {
            let range = expected(title, target["refId"].as_str().unwrap());
            let expression = expanded(&target["expr"], ALL);
            let what = format!("{range:?} for {title}: {expression}");
            wait_for(PATIENCE, &what, || {
                let numbers = prometheus.query(&expression);
                !numbers.is_empty() && range.contains(&numbers.iter().sum())
            });
        }
    }

    let coverage = &panels(&dashboard)[0]["targets"][0]["expr"];
    let becomes = |state: f64, what: &str| {
        let coverage = expanded(coverage, ALL);
        wait_for(PATIENCE, what, || prometheus.query(&coverage) == [state]);
    };
    let instances = prometheus.label_values(&dashboard["templating"]["list"][1]["query"]["query"]);
    assert_eq!(instances, [metrics.as_str()]);
    let chosen = |instance: &str| {
        let chosen = expanded(coverage, &instance.replace('.', r"\\."));
        prometheus.query(&chosen)
    };
    assert_eq!(chosen(&metrics), [1.0]);
    assert_eq!(chosen("127.0.0.1:1"), [-1.0]);
    clients.stop();
    becomes(0.0, "coverage 0 without check-ins");
    running.terminate();
    becomes(-1.0, "coverage -1 without a server");
    // A range query would show the last number of a stopped server as current.
    for target in single_numbers() {
        let kind = (&target["instant"], &target["range"]);
        assert_eq!(kind, (&json!(true), &json!(false)), "{target}");
        let now = prometheus.query(&expanded(&target["expr"], ALL));
        assert!(now.is_empty(), "{now:?} of a stopped server: {target}");
    }
}

fn single_numbers() -> Vec<Value> {
    let dashboard = load("service.json");
    let panels = panels(&dashboard).into_iter();
    let stats = panels.filter(|panel| panel["type"] == "stat");
    stats.flat_map(|p| list(&p["targets"]).to_vec()).collect()
}

/// The metrics page of a newly started server.
#[track_caller]
fn metrics_page() -> String {
    let scratch = Scratch::new();
    let address = Address::local(free_port());
    let server = Server::new(&scratch).arg("--metrics-listen", address.to_string());
    let running = server.start();
    let page = metrics::page(&address);
    running.terminate();
    page
}

/// Metrics without a panel, because other metrics show the same.
const WITHOUT_PANEL: [&str; 5] = [
    "connections_total",
    "records_found_total",
    "totals_found_total",
    "snapshot_generation",
    "snapshot_age_seconds",
];

#[test]
fn every_metric_has_a_panel() {
    let page = metrics_page();
    let dashboard = load("service.json").to_string();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names: Vec<&str> = types.filter_map(|line| line.split(' ').next()).collect();
    assert!(names.len() > WITHOUT_PANEL.len(), "{page}");
    let shown = |name: &str| {
        let ends = ["{", "_bucket{"];
        ends.iter()
            .any(|end| dashboard.contains(&format!("{name}{end}")))
    };
    let without = names.into_iter().filter(|name| !shown(name));
    let without: Vec<&str> = without
        .map(|name| name.strip_prefix("upgrade_responder_").unwrap_or(name))
        .collect();
    assert_eq!(without, WITHOUT_PANEL);
}

#[test]
fn labels_that_the_dashboard_names_are_on_the_metrics_page() {
    let page = metrics_page();
    let dashboard = load("service.json");
    for panel in panels(&dashboard) {
        let overrides = list(&panel["fieldConfig"]["overrides"]).iter();
        for of in overrides.filter_map(|o| o["matcher"]["options"].as_str()) {
            let targets = list(&panel["targets"]).iter();
            let fixed = targets.clone().any(|target| target["legendFormat"] == of);
            let label = targets.filter_map(|t| t["legendFormat"].as_str()?.strip_prefix("{{"));
            let label = label
                .filter_map(|l| l.strip_suffix("}}"))
                .next()
                .unwrap_or_default();
            let known = fixed || page.contains(&format!("{{{label}=\"{of}\"}}"));
            assert!(known, "{}: {of}", panel["title"]);
        }
    }
}
