//! Several servers that write to one database: InfluxDB 1.x, or VictoriaMetrics with a path in its base URL, as a
//! cluster has one. If these tests fail, one server overwrites the totals of another.

use std::fs;
use std::time::Duration;

use crate::support::account::{spool, spooled};
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::victoria_metrics::VictoriaMetrics;
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);

/// Writes records of periods that are over into a server's spool.
fn lay(scratch: &Scratch, versions: &[(&str, usize)]) {
    let hour = (jiff::Timestamp::now().as_second() / 3600 - 5) * 3600;
    let mut lines = String::new();
    for (version, count) in versions {
        for n in 0..*count {
            let stamp = (hour + (n as i64 % 3) * 3600) * 1_000_000_000 + n as i64;
            lines += &format!("upgrade_request,app_version={version} value=1i {stamp}\n");
        }
    }
    fs::create_dir_all(spool(scratch)).unwrap();
    let name = format!("{:020}-{}.lp", 1, lines.lines().count());
    fs::write(spool(scratch).join(name), lines).unwrap();
}

/// Three servers with different records, together 33 of v1.0.0 and 120 of v1.1.0.
struct Three {
    folders: Vec<Scratch>,
    running: Vec<Running>,
}

impl Three {
    fn start(url: &str) -> Three {
        let folders: Vec<Scratch> = (0..3).map(|_| Scratch::new()).collect();
        let start = |(n, scratch): (usize, &Scratch)| {
            lay(scratch, &[("v1.0.0", 10 + n), ("v1.1.0", 20 * (n + 1))]);
            let server = Server::new(scratch).arg("--influxdb-url", url);
            server.start()
        };
        let running = folders.iter().enumerate().map(start).collect();
        Three { folders, running }
    }

    fn finish(self) {
        for (running, scratch) in self.running.into_iter().zip(&self.folders) {
            wait_for(SOON, "an empty spool", || spooled(scratch).is_empty());
            running.terminate();
        }
    }
}

#[test]
fn three_servers_add_up_in_influxdb() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let three = Three::start(&influx.url());
    let by_version = |version: &str| -> u64 {
        let rows = influx.rows(DATABASE, "by_app_version_down_sampling");
        let of = rows.iter().filter(|row| row["app_version"] == version);
        of.map(|row| row["total"].as_u64().unwrap()).sum()
    };
    wait_for(SOON, "the totals of all three", || {
        by_version("v1.0.0") == 33 && by_version("v1.1.0") == 120
    });
    let all = influx.rows(DATABASE, "upgrade_request_down_sampling");
    assert_eq!(all.len(), 9, "3 periods of each server: {all:?}");
    assert_eq!(
        all.iter()
            .map(|row| row["total"].as_u64().unwrap())
            .sum::<u64>(),
        153
    );
    three.finish();
}

#[test]
fn three_servers_add_up_in_victoria_metrics_below_a_path() {
    let scratch = Scratch::new();
    let database = VictoriaMetrics::start(&scratch);
    let three = Three::start(&database.url());
    let by_version = |version: &str| -> u64 {
        let values = database.values("by_app_version_down_sampling_total", "app_version");
        let of = values.iter().filter(|((found, _), _)| found == version);
        of.map(|(_, value)| value).sum()
    };
    wait_for(SOON, "the totals of all three", || {
        by_version("v1.0.0") == 33 && by_version("v1.1.0") == 120
    });
    let all = database.values("upgrade_request_down_sampling_total", "");
    assert_eq!(all.values().sum::<u64>(), 153);
    assert_eq!(all.len(), 3, "a series for each server: {all:?}");
    three.finish();
}

#[test]
fn check_config_names_victoria_metrics_and_writes_nothing() {
    let scratch = Scratch::new();
    let database = VictoriaMetrics::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", database.url());
    let ended = server.other_command("check-config", &["--online"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("VictoriaMetrics"), "{}", ended.stdout);
    assert!(ended.stdout.contains("not tried"), "{}", ended.stdout);
}
