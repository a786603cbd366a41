//! A real InfluxDB 1.x (Debian's `influxdb`) with a folder and ports of its own. It keeps its port when it is killed
//! and restarted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Map, Value};

use super::client::{Address, Connection, Response};
use super::http::percent_encode;
use super::process::Process;
use super::scratch::{Scratch, free_port};

/// The time limit for the start, which is slow on a busy machine with a large data folder.
const START: Duration = Duration::from_secs(60);
/// The time limit for one answer.
const ANSWER: Duration = Duration::from_secs(30);

/// An InfluxDB, running or not. Dropping it kills it.
pub struct Influx {
    folder: PathBuf,
    port: u16,
    rpc_port: u16,
    admin: Option<(String, String)>,
    max_body_size: u64,
    query_interval: String,
    certificate: Option<(PathBuf, PathBuf)>,
    process: Option<Process>,
}

impl Influx {
    /// Starts an InfluxDB without users, which accepts large bodies and checks every second whether a continuous query
    /// is due.
    #[track_caller]
    pub fn start(scratch: &Scratch) -> Influx {
        let mut influx = Influx::stopped(scratch);
        influx.restart();
        influx
    }

    /// The same, but not started: its port is chosen, and [`Influx::restart`] starts it.
    #[track_caller]
    pub fn stopped(scratch: &Scratch) -> Influx {
        let found = Command::new("influxd").arg("version").output();
        assert!(
            found.is_ok(),
            "influxd not found: run `make test`, which installs it"
        );
        let port = free_port();
        let folder = scratch.join(&format!("influx-{port}"));
        fs::create_dir(&folder).unwrap();
        Influx {
            folder,
            port,
            rpc_port: free_port(),
            admin: None,
            max_body_size: 25_000_000,
            query_interval: "1s".to_string(),
            certificate: None,
            process: None,
        }
    }

    /// Enables authentication; the first start creates this administrator.
    pub fn with_admin(mut self, user: &str, password: &str) -> Influx {
        self.admin = Some((user.to_string(), password.to_string()));
        self
    }

    /// Sets the size in bytes above which a write gets 413; 0 is no limit.
    pub fn with_max_body_size(mut self, bytes: u64) -> Influx {
        self.max_body_size = bytes;
        self
    }

    /// Sets how often InfluxDB checks whether a continuous query is due: `1s`, `10m`.
    pub fn with_query_interval(mut self, interval: &str) -> Influx {
        self.query_interval = interval.to_string();
        self
    }

    /// From the next start: https with this certificate and key, or http without. The queries and writes of this handle
    /// use http only.
    pub fn set_certificate(&mut self, certificate_and_key: Option<(&Path, &Path)>) {
        self.certificate =
            certificate_and_key.map(|(certificate, key)| (certificate.into(), key.into()));
    }

    /// Starts InfluxDB with its port and data, for the first time or again, and waits until it answers.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        let config = self.folder.join("influxdb.conf");
        fs::write(&config, self.config()).unwrap();
        let mut command = Command::new("influxd");
        command.arg("run").arg("-config").arg(config);
        let mut process = Process::start(&self.folder, command);
        process.wait_until_ready(START, |_| match self.certificate {
            Some(_) => Connection::open(&self.addr()).is_ok(),
            None => self
                .request("GET", "/ping", b"")
                .is_ok_and(|r| r.status == 204),
        });
        self.process = Some(process);
        if let Some((user, password)) = &self.admin {
            // From the second start on this is refused with "user already exists".
            let create =
                format!("CREATE USER \"{user}\" WITH PASSWORD '{password}' WITH ALL PRIVILEGES");
            self.query("", &create);
        }
    }

    /// Ends InfluxDB with SIGKILL; from then on connections to its port are refused.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Suspends InfluxDB (SIGSTOP): connections are still accepted, but requests get no answer.
    #[track_caller]
    pub fn pause(&mut self) {
        self.running().signal(Signal::STOP);
    }

    /// Resumes after [`Influx::pause`].
    #[track_caller]
    pub fn resume(&mut self) {
        self.running().signal(Signal::CONT);
    }

    /// The URL for `--influxdb-url`.
    pub fn url(&self) -> String {
        let scheme = match self.certificate {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The address, for a proxy in front.
    pub fn addr(&self) -> Address {
        Address::local(self.port)
    }

    /// The whole answer to a query: `{"results":[…]}`, with times in nanoseconds. The caller checks it for errors.
    #[track_caller]
    pub fn query(&self, database: &str, query: &str) -> Value {
        let form = format!(
            "db={}&epoch=ns&q={}",
            percent_encode(database),
            percent_encode(query)
        );
        let response = self.request("POST", "/query", form.as_bytes());
        let response = response.unwrap_or_else(|e| panic!("{query}: {e}"));
        response.json()
    }

    /// The rows of a query's first result as objects by column name, including the tags of a GROUP BY. No rows if the
    /// series or the database does not exist; any other error of the query fails the test.
    #[track_caller]
    pub fn select(&self, database: &str, query: &str) -> Vec<Value> {
        let answer = self.query(database, query);
        let result = &answer["results"][0];
        let error = answer["error"].as_str().or(result["error"].as_str());
        match error {
            Some(error) if error.starts_with("database not found") => return Vec::new(),
            Some(error) => panic!("{query}: {error}"),
            None => {}
        }
        let series = result["series"].as_array();
        series.into_iter().flatten().flat_map(rows_of).collect()
    }

    /// All points of a measurement, oldest first.
    #[track_caller]
    pub fn rows(&self, database: &str, measurement: &str) -> Vec<Value> {
        self.select(database, &format!("SELECT * FROM \"{measurement}\""))
    }

    /// One column of all points of a measurement, as text, without the points that lack it.
    #[track_caller]
    pub fn column(&self, database: &str, measurement: &str, column: &str) -> Vec<String> {
        let rows = self.rows(database, measurement);
        let cells = rows.iter().map(|row| &row[column]);
        cells
            .filter(|cell| !cell.is_null())
            .map(|cell| match cell.as_str() {
                Some(text) => text.to_string(),
                None => cell.to_string(),
            })
            .collect()
    }

    /// The number of points of a measurement that have a `value`.
    #[track_caller]
    pub fn count(&self, database: &str, measurement: &str) -> u64 {
        let query = format!("SELECT count(value) FROM \"{measurement}\"");
        let rows = self.select(database, &query);
        rows.first().map_or(0, |row| row["count"].as_u64().unwrap())
    }

    /// Writes line protocol directly into InfluxDB; returns the status and body of the answer.
    #[track_caller]
    pub fn write(&self, database: &str, lines: &str) -> (u16, String) {
        let target = format!("/write?db={}", percent_encode(database));
        let response = self.request("POST", &target, lines.as_bytes()).unwrap();
        (response.status, response.text())
    }

    fn request(&self, method: &str, target: &str, body: &[u8]) -> std::io::Result<Response> {
        let mut target = target.to_string();
        if let Some((user, password)) = &self.admin {
            let separator = if target.contains('?') { '&' } else { '?' };
            let (user, password) = (percent_encode(user), percent_encode(password));
            target.push_str(&format!("{separator}u={user}&p={password}"));
        }
        let mut connection = Connection::open(&self.addr())?;
        connection.set_limit(ANSWER)?;
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        connection.request(method, &target, &[form, ("Connection", "close")], body)
    }

    #[track_caller]
    fn running(&mut self) -> &mut Process {
        self.process.as_mut().expect("influxd is not running")
    }

    fn config(&self) -> String {
        let at = |name: &str| path_in_toml(&self.folder.join(name));
        format!(
            r#"reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = {meta}
[data]
dir = {data}
wal-dir = {wal}
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = {auth}
log-enabled = false
max-body-size = {max_body_size}
{https}
[continuous_queries]
run-interval = "{query_interval}"
[monitor]
store-enabled = false
"#,
            rpc = self.rpc_port,
            meta = at("meta"),
            data = at("data"),
            wal = at("wal"),
            port = self.port,
            auth = self.admin.is_some(),
            https = self.https_config(),
            max_body_size = self.max_body_size,
            query_interval = self.query_interval,
        )
    }

    fn https_config(&self) -> String {
        let Some((certificate, key)) = &self.certificate else {
            return String::new();
        };
        format!(
            "https-enabled = true\nhttps-certificate = {}\nhttps-private-key = {}",
            path_in_toml(certificate),
            path_in_toml(key)
        )
    }
}

fn path_in_toml(path: &Path) -> String {
    // A TOML basic string has the same escapes as JSON.
    Value::from(path.to_str().unwrap()).to_string()
}

fn rows_of(series: &Value) -> Vec<Value> {
    let columns = series["columns"].as_array().unwrap();
    // A series without rows, such as an empty list, has no values.
    let values = series["values"].as_array();
    let row = |cells: &Value| {
        let mut row = match &series["tags"] {
            Value::Object(tags) => tags.clone(),
            _ => Map::new(),
        };
        for (column, cell) in columns.iter().zip(cells.as_array().unwrap()) {
            row.insert(column.as_str().unwrap().to_string(), cell.clone());
        }
        Value::Object(row)
    };
    values.into_iter().flatten().map(row).collect()
}
