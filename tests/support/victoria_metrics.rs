//! Debian's VictoriaMetrics, one server.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::client::{Address, Connection};
use super::http::percent_encode;
use super::process::Process;
use super::scratch::{Scratch, free_port};

const SOON: Duration = Duration::from_secs(60);

/// A running one. Dropping it kills it.
pub struct VictoriaMetrics {
    port: u16,
    _process: Process,
}

impl VictoriaMetrics {
    pub fn start(scratch: &Scratch) -> VictoriaMetrics {
        let port = free_port();
        let folder: PathBuf = scratch.join("victoria-metrics");
        fs::create_dir(&folder).unwrap();
        let mut command = Command::new("victoria-metrics");
        command
            .arg(format!(
                "-storageDataPath={}",
                folder.join("data").display()
            ))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .args(["-retentionPeriod=12", "-memory.allowedBytes=64MB"]);
        let mut process = Process::start(&folder, command);
        let ready = || get(port, "/health").is_some();
        process.wait_until_ready(SOON, |_| ready());
        VictoriaMetrics {
            port,
            _process: process,
        }
    }

    /// The series of an expression at this moment.
    #[track_caller]
    pub fn query(&self, expression: &str) -> Vec<Value> {
        get(self.port, "/internal/force_flush");
        let query = percent_encode(expression);
        let answer = get(self.port, &format!("/api/v1/query?query={query}"));
        let answer = answer.unwrap_or_else(|| panic!("{expression}: not answered with 200"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// `/influx`: what stands before `/write`, as `/insert/0/influx` does in a cluster.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/influx", self.port)
    }

    /// The last value of each series of a name, by a label and the server's own name.
    pub fn values(&self, name: &str, label: &str) -> BTreeMap<(String, String), u64> {
        get(self.port, "/internal/force_flush");
        let query = percent_encode(name);
        let exported = get(self.port, &format!("/api/v1/export?match[]={query}"));
        let mut values = BTreeMap::new();
        for line in exported.unwrap_or_default().lines() {
            let series: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| {
                series["metric"][key]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            let sum = series["values"].as_array().unwrap().iter();
            let sum = sum.map(|value| value.as_u64().unwrap()).sum();
            values.insert((text(label), text("instance")), sum);
        }
        values
    }
}

fn get(port: u16, target: &str) -> Option<String> {
    let mut connection = Connection::open(&Address::local(port)).ok()?;
    let answer = connection.request("GET", target, &[], b"").ok()?;
    (answer.status == 200).then(|| answer.text())
}
