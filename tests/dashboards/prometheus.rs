//! The dashboard for Prometheus and VictoriaMetrics. If this test failed, a panel would show a number that differs from
//! `report --merge`. Each query is run against both, with the data of two servers.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::grafana::{list, load, panels};
use crate::support::account::{spool, state};
use crate::support::client::Address;
use crate::support::prometheus::Prometheus;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{APPLICATION, Server, run};
use crate::support::victoria_metrics::VictoriaMetrics;
use crate::support::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: i64 = 3_600;
const LATEST: &str = "v1.1.0";

type Figures = BTreeMap<String, f64>;

/// The check-ins of two servers in the last whole hour: version, country, architecture and number.
const COUNTED: [[(&str, &str, &str, usize); 3]; 2] = [
    [
        ("v1.1.0", "CH", "amd64", 20),
        ("v1.0.0", "JP", "arm64", 10),
        ("v1.0.0", "", "amd64", 3),
    ],
    [
        ("v1.1.0", "CH", "arm64", 30),
        ("v0.9.0", "EG", "amd64", 5),
        ("v1.0.0", "JP", "amd64", 2),
    ],
];

#[test]
fn every_query_gives_the_totals_of_the_ledgers_in_prometheus_and_in_victoria_metrics() {
    let scratches = [Scratch::new(), Scratch::new()];
    let victoria = VictoriaMetrics::start(&scratches[0]);
    let mut metrics = Vec::new();
    let mut running = Vec::new();
    // The hour must not end during the test.
    let now = || jiff::Timestamp::now().as_second();
    wait_for(PATIENCE * 4, "the next hour", || {
        HOUR - now().rem_euclid(HOUR) > 120
    });
    for (scratch, counted) in scratches.iter().zip(COUNTED) {
        lay(scratch, &counted, now());
        let listen = Address::local(free_port()).to_string();
        let server = Server::new(scratch).arg("--influxdb-url", victoria.url());
        let server = server
            .arg("--down-sample-tags", "host_arch")
            .arg("--metrics-listen", &listen);
        running.push(server.start());
        metrics.push(listen);
    }
    let scraped: Vec<&str> = metrics.iter().map(String::as_str).collect();
    let prometheus = Prometheus::scraping(&scratches[0], "/metrics/installations", &scraped);
    let dashboard = load("upgrade-responder-prometheus.json");
    let all = expanded(&query_of(&dashboard, "Active installations now"));
    let total = |series: Vec<Value>| figures(&series).get("").copied();
    wait_for(PATIENCE, "all to be scraped", || {
        total(prometheus.series(&all)) == Some(70.0)
    });
    wait_for(PATIENCE, "all to be sent", || {
        total(victoria.query(&all)) == Some(70.0)
    });

    let by = |by: &str| merged(&scratches, by);
    assert_eq!(
        by("app_version"),
        figures_of(&[("v1.1.0", 50.0), ("v1.0.0", 15.0), ("v0.9.0", 5.0)])
    );
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        for target in list(&panel["targets"]) {
            let query = expanded(target["expr"].as_str().unwrap());
            let expected = match title {
                "Active installations now" | "Active installations over time" => {
                    figures_of(&[("", 70.0)])
                }
                // There were no check-ins at that time.
                "Against 7 days ago" | "Against 30 days ago" => Figures::new(),
                "On the latest versions" | "Share on the latest versions" => {
                    figures_of(&[("", 50.0 / 70.0)])
                }
                "Versions over time" | "Versions now" => by("app_version"),
                "Countries" => by("country"),
                "${extra_tag} over time" | "${extra_tag} now" => by("host_arch"),
                "Servers" => {
                    let mut servers: Vec<f64> =
                        figures(&prometheus.series(&query)).into_values().collect();
                    servers.sort_by(f64::total_cmp);
                    assert_eq!(servers, [33.0, 37.0]);
                    let mut sent: Vec<f64> =
                        figures(&victoria.query(&query)).into_values().collect();
                    sent.sort_by(f64::total_cmp);
                    assert_eq!(sent, [33.0, 37.0]);
                    continue;
                }
                _ => panic!("no expectation for panel {title}"),
            };
            assert_eq!(
                figures(&prometheus.series(&query)),
                expected,
                "Prometheus, {title}: {query}"
            );
            assert_eq!(
                figures(&victoria.query(&query)),
                expected,
                "VictoriaMetrics, {title}: {query}"
            );
        }
    }
    for running in running {
        running.terminate();
    }
}

/// Writes records of the last whole hour into the spool of a server.
fn lay(scratch: &Scratch, counted: &[(&str, &str, &str, usize)], now: i64) {
    let start = now - now.rem_euclid(HOUR) - HOUR;
    let mut lines = String::new();
    for (version, country, arch, count) in counted {
        for _ in 0..*count {
            let place = if country.is_empty() {
                String::new()
            } else {
                format!(",country={country},country_isocode={country}")
            };
            let stamp = start * 1_000_000_000 + lines.len() as i64;
            lines += &format!(
                "upgrade_request,app_version={version}{place},host_arch={arch} value=1i {stamp}\n"
            );
        }
    }
    fs::create_dir_all(spool(scratch)).unwrap();
    let name = format!("{:020}-{}.lp", 1, lines.lines().count());
    fs::write(spool(scratch).join(name), lines).unwrap();
}

/// The merged report of all servers for the last whole period.
fn merged(scratches: &[Scratch], by: &str) -> Figures {
    let dirs: Vec<String> = scratches
        .iter()
        .map(|scratch| state(scratch).display().to_string())
        .collect();
    let mut asked = vec![
        "report",
        "--merge",
        "--application-name",
        APPLICATION,
        "--last",
        "2h",
        "--format",
        "json",
        "--by",
        by,
    ];
    asked.extend(dirs.iter().map(String::as_str));
    let ended = run(&scratches[0], &asked);
    let report: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.stderr));
    let row = list(&report["rows"])
        .iter()
        .rfind(|row| row["finished"] == true)
        .unwrap();
    let value = |value: &Value| {
        (
            value["value"].as_str().unwrap().to_owned(),
            value["total"].as_f64().unwrap(),
        )
    };
    list(&row["values"]).iter().map(value).collect()
}

fn query_of(dashboard: &Value, title: &str) -> String {
    let panels = panels(dashboard);
    let panel = panels.iter().find(|panel| panel["title"] == title).unwrap();
    panel["targets"][0]["expr"].as_str().unwrap().to_owned()
}

fn expanded(expression: &str) -> String {
    let expanded = expression
        .replace("${extra_tag}", "host_arch")
        .replace("$extra_tag", "host_arch")
        .replace("$job", ".*")
        .replace("$database", ".*")
        .replace("$lookback", "125m")
        .replace("$latest", LATEST);
    assert!(!expanded.contains('$'), "{expanded}");
    expanded
}

/// The value of each series, by the values of its labels.
fn figures(series: &[Value]) -> Figures {
    let figure = |series: &Value| {
        let labels = series["metric"].as_object().unwrap().values();
        let labels: Vec<&str> = labels.map(|label| label.as_str().unwrap()).collect();
        let value: f64 = series["value"][1].as_str().unwrap().parse().unwrap();
        (labels.join("|"), value)
    };
    series.iter().map(figure).collect()
}

fn figures_of(figures: &[(&str, f64)]) -> Figures {
    figures
        .iter()
        .map(|(name, figure)| ((*name).to_owned(), *figure))
        .collect()
}
