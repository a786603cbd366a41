//! A real VictoriaMetrics (Debian's), one server, for the tests of delivery to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::client::{Address, Connection};
use super::http::percent_encode;
use super::process::Process;
use super::scratch::{Scratch, free_port};

const SOON: Duration = Duration::from_secs(60);

/// A VictoriaMetrics, running or stopped. Dropping it kills it.
pub struct VictoriaMetrics {
    port: u16,
    folder: PathBuf,
    process: Option<Process>,
}

impl VictoriaMetrics {
    pub fn start(scratch: &Scratch) -> VictoriaMetrics {
        let folder = scratch.join("victoria-metrics");
        fs::create_dir(&folder).unwrap();
        let port = free_port();
        let mut started = VictoriaMetrics {
            port,
            folder,
            process: None,
        };
        started.restart();
        started
    }

    /// Starts it again with the same port and data.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        let mut command = Command::new("victoria-metrics");
        let data = self.folder.join("data");
        command.arg(format!("-storageDataPath={}", data.display()));
        command.arg(format!("-httpListenAddr=127.0.0.1:{}", self.port));
        command.args(["-retentionPeriod=12", "-memory.allowedBytes=64MB"]);
        let mut process = Process::start(&self.folder, command);
        process.wait_until_ready(SOON, |_| get(self.port, "/health").is_some());
        self.process = Some(process);
    }

    /// Stops it cleanly, which flushes all samples to disk.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::TERM);
            process.wait(SOON);
        }
    }

    /// The samples of each series of a name, with its labels.
    pub fn samples(&self, name: &str) -> Vec<Value> {
        get(self.port, "/internal/force_flush");
        let exported = get(
            self.port,
            &format!("/api/v1/export?match[]={}", percent_encode(name)),
        );
        let exported = exported.unwrap_or_default();
        exported
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The current series of an expression.
    #[track_caller]
    pub fn query(&self, expression: &str) -> Vec<Value> {
        get(self.port, "/internal/force_flush");
        let query = percent_encode(expression);
        let answer = get(self.port, &format!("/api/v1/query?query={query}"));
        let answer = answer.unwrap_or_else(|| panic!("{expression}: not answered with 200"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// The URL for `--influxdb-url`, with the path `/influx` as a cluster has `/insert/0/influx`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/influx", self.port)
    }

    /// The sum of the samples of each series of a name, by the value of a label and the server's instance.
    pub fn values(&self, name: &str, label: &str) -> BTreeMap<(String, String), u64> {
        let mut values = BTreeMap::new();
        for series in self.samples(name) {
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
