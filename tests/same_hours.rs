//! The same check-ins in InfluxDB, in VictoriaMetrics and in the ledger, through an outage of three periods with a
//! SIGKILL, and a new query period. If these tests fail, dashboards show other totals than the page.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::account::state;
use crate::support::clock::Clock;
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::victoria_metrics::VictoriaMetrics;
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
const HOUR: i64 = 3_600;
/// A measurement, its tag, and its dimension in the ledger.
const KINDS: [(&str, &str, &str); 3] = [
    ("upgrade_request_down_sampling", "", "all"),
    ("by_app_version_down_sampling", "app_version", "app_version"),
    ("by_host_arch_down_sampling", "host_arch", "host_arch"),
];

/// Totals by dimension, start of the period in hours, and value.
type Totals = BTreeMap<(String, i64, String), u64>;

/// A database that can be stopped and restarted.
trait Engine {
    fn url(&self) -> String;
    fn stop(&mut self);
    fn restart(&mut self);
    fn totals(&self, from: i64) -> Totals;
}

impl Engine for Influx {
    fn url(&self) -> String {
        Influx::url(self)
    }

    fn stop(&mut self) {
        self.kill();
    }

    fn restart(&mut self) {
        Influx::restart(self);
    }

    fn totals(&self, from: i64) -> Totals {
        let mut totals = Totals::new();
        for (measurement, tag, by) in KINDS {
            for row in self.rows(DATABASE, measurement) {
                let hour = (row["time"].as_i64().unwrap() / 1_000_000_000 - from) / HOUR;
                let value = row[tag].as_str().unwrap_or_default().to_owned();
                totals.insert((by.to_owned(), hour, value), row["total"].as_u64().unwrap());
            }
        }
        totals
    }
}

impl Engine for VictoriaMetrics {
    fn url(&self) -> String {
        VictoriaMetrics::url(self)
    }

    fn stop(&mut self) {
        VictoriaMetrics::stop(self);
    }

    fn restart(&mut self) {
        VictoriaMetrics::restart(self);
    }

    fn totals(&self, from: i64) -> Totals {
        let mut totals = Totals::new();
        for (measurement, tag, by) in KINDS {
            for series in self.samples(&format!("{measurement}_total")) {
                let value = series["metric"][tag].as_str().unwrap_or_default();
                let times = series["timestamps"].as_array().unwrap().iter();
                for (time, total) in times.zip(series["values"].as_array().unwrap()) {
                    let hour = (time.as_i64().unwrap() / 1000 - from) / HOUR;
                    let key = (by.to_owned(), hour, value.to_owned());
                    // Of two samples with one time the greater is the corrected total, because totals only grow.
                    let shown = totals.entry(key).or_default();
                    *shown = total.as_u64().unwrap().max(*shown);
                }
            }
        }
        totals
    }
}

#[test]
fn influxdb_has_the_ledgers_totals_through_an_outage_a_kill_and_another_period() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    same_totals(&scratch, influx);
}

#[test]
fn victoria_metrics_has_the_ledgers_totals_through_an_outage_a_kill_and_another_period() {
    let scratch = Scratch::new();
    let victoria = VictoriaMetrics::start(&scratch);
    same_totals(&scratch, victoria);
}

fn same_totals(scratch: &Scratch, mut engine: impl Engine) {
    let Some(clock) = Clock::new(scratch) else {
        return;
    };
    let from = (jiff::Timestamp::now().as_second() / 86_400 - 10) * 86_400;
    let hours = Hours {
        scratch,
        clock: &clock,
        from,
    };
    let server = Server::new(scratch).arg("--influxdb-url", engine.url());
    let server = clock.of(server.arg("--down-sample-tags", "host_arch"));
    let mut expected = Totals::new();

    clock.set(from);
    let running = server.start();
    hours.check_in(&running, 0, 0, &mut expected);
    hours.check_in(&running, 1, 1, &mut expected);
    // Three periods without the database; the server is killed during them.
    engine.stop();
    hours.check_in(&running, 2, 2, &mut expected);
    hours.check_in(&running, 3, 3, &mut expected);
    running.kill();
    let running = server.start();
    hours.check_in(&running, 4, 4, &mut expected);
    engine.restart();
    hours.check_in(&running, 5, 5, &mut expected);
    running.terminate();
    // From the next common boundary on, periods are twice as long.
    let server = server.arg("--query-period", "2h");
    let running = server.start();
    for hour in 6..10 {
        hours.check_in(&running, hour, hour - hour % 2, &mut expected);
    }
    clock.set(from + 10 * HOUR + 60);

    let is_there = || (engine.totals(from) == expected).then_some(());
    let start = std::time::Instant::now();
    while is_there().is_none() {
        assert!(
            start.elapsed() < SOON,
            "found {:#?}\nexpected {expected:#?}\n{}",
            engine.totals(from),
            running.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(hours.in_ledger(), expected);
    running.terminate();
}

struct Hours<'a> {
    scratch: &'a Scratch,
    clock: &'a Clock,
    from: i64,
}

impl Hours<'_> {
    /// Sets the clock into an hour and sends check-ins, which belong to the period that begins at hour `period`.
    fn check_in(&self, running: &Running, hour: i64, period: i64, expected: &mut Totals) {
        self.clock.set(self.from + hour * HOUR + 60);
        let before = self.records();
        let mut connection = running.connect();
        let count = 6 + hour;
        for n in 0..count {
            let (version, arch) = (
                format!("v1.{}.0", n % 3),
                ["amd64", "arm64"][n as usize % 2],
            );
            let body =
                format!(r#"{{"appVersion":"{version}","extraTagInfo":{{"hostArch":"{arch}"}}}}"#);
            assert_eq!(connection.post_checkin(&body, &[]).unwrap().status, 200);
            for (by, value) in [
                ("all", ""),
                ("app_version", version.as_str()),
                ("host_arch", arch),
            ] {
                *expected
                    .entry((by.to_owned(), period, value.to_owned()))
                    .or_default() += 1;
            }
        }
        // A kill may lose records of the last 10 ms, so they must be counted before.
        wait_for(SOON, "the records in the ledger", || {
            self.records() == before + count as u64
        });
    }

    /// The number of records that the ledger has counted.
    fn records(&self) -> u64 {
        self.in_ledger()
            .iter()
            .filter(|((by, ..), _)| by == "all")
            .map(|(_, total)| total)
            .sum()
    }

    /// The totals in the ledger, including unfinished periods.
    fn in_ledger(&self) -> Totals {
        let mut totals = Totals::new();
        let file = state(self.scratch).join("totals.db");
        let Ok(ledger) =
            rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        else {
            return totals;
        };
        let sql = "SELECT dimension, (start - ?1) / 3600, value, total FROM totals
                   WHERE dimension IN ('all', 'app_version', 'host_arch') AND total > 0 AND start >= ?1";
        let Ok(mut rows) = ledger.prepare(sql) else {
            return totals;
        };
        let rows = rows.query_map([self.from], |row| {
            let key = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((key, row.get::<_, i64>(3)? as u64))
        });
        totals.extend(rows.unwrap().map(Result::unwrap));
        totals
    }
}
