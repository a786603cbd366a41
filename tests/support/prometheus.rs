//! A real Prometheus (Debian's `prometheus`), for the tests of metrics and dashboards.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::client::{Address, Connection};
use super::http::percent_encode;
use super::process::Process;
use super::scratch::{Scratch, free_port};

const PATIENCE: Duration = Duration::from_secs(60);

/// A Prometheus that scrapes one address each second. Dropping it kills it.
pub struct Prometheus {
    address: Address,
    _process: Process,
}

impl Prometheus {
    #[track_caller]
    pub fn scraping(scratch: &Scratch, path: &str, targets: &[&str]) -> Prometheus {
        let targets = targets.join("', '");
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: upgrade-responder\n  \
             metrics_path: {path}\n  static_configs: [{{targets: ['{targets}']}}]\n"
        );
        let config = scratch.write("prometheus.yml", config);
        let address = Address::local(free_port());
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--web.listen-address={address}"));
        let data = scratch.join("prometheus");
        command.arg(format!("--storage.tsdb.path={}", data.display()));
        let mut process = Process::start(scratch.path(), command);
        process.wait_until_ready(PATIENCE, |_| {
            let answer = get(&address, "/-/ready");
            answer.is_some_and(|(status, _)| status == 200)
        });
        Prometheus {
            address,
            _process: process,
        }
    }

    /// The current values of the series of an expression.
    #[track_caller]
    pub fn query(&self, expression: &str) -> Vec<f64> {
        let series = self.series(expression);
        let number = |series: &Value| series["value"][1].as_str().unwrap().parse().unwrap();
        series.iter().map(number).collect()
    }

    /// The current series of an expression.
    #[track_caller]
    pub fn series(&self, expression: &str) -> Vec<Value> {
        let target = format!("/api/v1/query?query={}", percent_encode(expression));
        let (status, body) = get(&self.address, &target).unwrap();
        assert_eq!(status, 200, "{expression}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// The values of a variable, whose query is `label_values(metric, label)`.
    #[track_caller]
    pub fn label_values(&self, query: &Value) -> Vec<String> {
        let query = query.as_str().unwrap();
        let inner = query.strip_prefix("label_values(").unwrap();
        let (metric, label) = inner.trim_end_matches(')').split_once(", ").unwrap();
        let target = format!("/api/v1/label/{label}/values?match[]={metric}");
        let (status, body) = get(&self.address, &target).unwrap();
        assert_eq!(status, 200, "{query}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        let values = answer["data"].as_array().unwrap();
        values
            .iter()
            .map(|v| v.as_str().unwrap().to_string())
            .collect()
    }
}

fn get(address: &Address, target: &str) -> Option<(u16, String)> {
    let mut connection = Connection::open(address).ok()?;
    let answer = connection.request("GET", target, &[("Connection", "close")], b"");
    answer.ok().map(|answer| (answer.status, answer.text()))
}
