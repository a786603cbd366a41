//! The totals that the server sends to InfluxDB. If these tests fail, dashboards show totals that differ from the page:
//! after an outage, a kill or a late record, or zero for a period that the server did not cover.

mod queries;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::account::{lines_with, segments, spool, state, wait_until_stored};
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
const HOUR: i64 = 3600;
const TARGETS: [&str; 4] = [
    "upgrade_request_down_sampling",
    "by_app_version_down_sampling",
    "by_country_code_down_sampling",
    "by_host_arch_down_sampling",
];

/// The first time of the records: the beginning of a day whose periods are over and not yet merged into days.
fn start() -> i64 {
    (jiff::Timestamp::now().as_second() / 86_400 - 10) * 86_400
}

/// The start of hour `number` as it is in the JSON report.
fn hour(number: i64) -> String {
    let start = jiff::Timestamp::from_second(start() + number * HOUR);
    format!("\"start\":\"{}\"", start.unwrap())
}

/// Totals by measurement, start in hours after [`start`], and value of the tag (empty without a tag).
type Totals = BTreeMap<(String, i64, String), u64>;

/// Records of some hours with several versions, countries and architectures, and their totals.
struct Records {
    lines: String,
    count: usize,
    totals: Totals,
}

impl Records {
    fn of(hours: std::ops::Range<i64>, each: i64) -> Records {
        let (mut lines, mut totals) = (String::new(), Totals::new());
        let mut count = 0;
        for hour in hours {
            for n in 0..each + hour {
                let version = format!("v1.{}.0", n % 3);
                let country = ["DE", "NZ", ""][n as usize % 3 * usize::from(n % 2 == 0)];
                let arch = ["amd64", "arm64"][n as usize % 2];
                let stamp = (start() + hour * HOUR) * 1_000_000_000 + n;
                let place = match country {
                    "" => String::new(),
                    code => format!(",country={code}land,country_isocode={code}"),
                };
                lines += &format!(
                    "upgrade_request,app_version={version}{place},host_arch={arch} value=1i,node_count={n} {stamp}\n"
                );
                for (target, value) in TARGETS.iter().zip(["", &version, country, arch]) {
                    let key = ((*target).to_owned(), hour, value.to_owned());
                    *totals.entry(key).or_default() += 1;
                }
                count += 1;
            }
        }
        Records {
            lines,
            count,
            totals,
        }
    }

    /// Writes the records into the spool as one segment.
    fn lay(&self, scratch: &Scratch, sequence: u64) {
        fs::create_dir_all(spool(scratch)).unwrap();
        let name = format!("{sequence:020}-{}.lp", self.count);
        fs::write(spool(scratch).join(name), &self.lines).unwrap();
    }
}

/// The totals in InfluxDB with the instance of this server.
fn own(influx: &Influx, scratch: &Scratch) -> Totals {
    let instance = fs::read_to_string(state(scratch).join("instance")).unwrap_or_default();
    stored(influx, |row| row["instance"] == instance.trim())
}

/// The totals in InfluxDB from the wanted rows.
fn stored(influx: &Influx, wanted: impl Fn(&Value) -> bool) -> Totals {
    let tags = ["", "app_version", "country_isocode", "host_arch"];
    let mut totals = Totals::new();
    for (target, tag) in TARGETS.iter().zip(tags) {
        for row in influx.rows(DATABASE, target) {
            if wanted(&row) {
                let hour = (row["time"].as_i64().unwrap() / 1_000_000_000 - start()) / HOUR;
                let value = row[tag].as_str().unwrap_or_default().to_owned();
                let key = ((*target).to_owned(), hour, value);
                assert!(totals.insert(key, row["total"].as_u64().unwrap()).is_none());
            }
        }
    }
    totals
}

fn server(scratch: &Scratch, influx: &Influx) -> Server {
    Server::new(scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--down-sample-tags", "host_arch")
}

#[track_caller]
fn wait_for_totals(influx: &Influx, scratch: &Scratch, expected: &Totals) {
    wait_for(SOON, "the totals in InfluxDB", || {
        own(influx, scratch) == *expected
    });
}

/// Runs SQL on the ledger; the server must be stopped.
fn on_ledger(scratch: &Scratch, sql: &str) {
    let ledger = state(scratch).join("totals.db");
    let done = Command::new("sqlite3")
        .arg(ledger)
        .arg(sql)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// Waits until a new check-in is delivered; everything that was due before it has been sent by then.
fn wait_until_idle(running: &Running, scratch: &Scratch) {
    running.connect().post_checkin("{}", &[]).unwrap();
    wait_for(SOON, "an empty spool", || segments(scratch).is_empty());
}

/// The report in JSON.
fn report(scratch: &Scratch) -> String {
    let folder = scratch.join("state");
    let place = [
        "--state-dir",
        folder.to_str().unwrap(),
        "--settings",
        "/dev/null",
    ];
    let flags = ["report", "--format", "json"];
    let ended = crate::support::server::run(scratch, &[flags.as_slice(), &place].concat());
    ended.stdout
}

#[test]
fn totals_in_influxdb_are_exact_after_an_outage_a_kill_and_corrections() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch);
    let mut records = Records::of(0..4, 20);
    records.lay(&scratch, 1);
    // The records are counted and the server is killed while InfluxDB is down.
    let running = server(&scratch, &influx).start();
    wait_for(SOON, "the records in the ledger", || {
        let text = report(&scratch);
        text.matches("\"finished\":true").count() >= 4
    });
    running.kill();
    influx.restart();
    let running = server(&scratch, &influx).start();
    wait_for_totals(&influx, &scratch, &records.totals);
    wait_until_stored(&influx, records.count, SOON);
    running.kill();

    // Late records of periods whose totals were sent, and of one new period.
    let late = Records::of(2..5, 7);
    let shifted = late.lines.replace("00000", "00900");
    let late = Records {
        lines: shifted,
        ..late
    };
    late.lay(&scratch, 1 << 40);
    for (key, total) in late.totals {
        *records.totals.entry(key).or_default() += total;
    }
    let running = server(&scratch, &influx).start();
    wait_for_totals(&influx, &scratch, &records.totals);
    let ended = running.terminate();
    assert_eq!(lines_with(&ended.stderr, "ERROR"), 0, "{}", ended.stderr);
    // InfluxDB has only points of this server.
    assert_eq!(stored(&influx, |_| true), records.totals);

    // A restart with another query period sends no total again.
    let points = |influx: &Influx| influx.rows(DATABASE, TARGETS[1]).len();
    let before = points(&influx);
    let running = server(&scratch, &influx)
        .arg("--query-period", "2h")
        .start();
    wait_until_idle(&running, &scratch);
    running.terminate();
    assert_eq!(points(&influx), before);
    assert_eq!(own(&influx, &scratch), records.totals);
}

#[test]
fn with_only_totals_sent_no_record_leaves_the_server() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let records = Records::of(0..3, 10);
    records.lay(&scratch, 1);
    let running = server(&scratch, &influx)
        .arg("--influxdb-send", "totals")
        .start();
    wait_for_totals(&influx, &scratch, &records.totals);
    let fields = influx.rows(DATABASE, "fields_down_sampling");
    let of_first = fields
        .iter()
        .find(|row| row["time"] == start() * 1_000_000_000);
    let of_first = of_first.unwrap();
    assert_eq!(of_first["field"], "node_count");
    assert_eq!(
        (&of_first["count"], &of_first["sum"]),
        (&10.into(), &45.into())
    );
    running.terminate();
    assert_eq!(influx.count(DATABASE, "upgrade_request"), 0);
    // Without delivery the records stay in the spool up to its limit.
    assert_eq!(segments(&scratch).len(), 1);
}

#[test]
fn a_new_ledger_after_damage_replaces_no_total_that_was_sent() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let records = Records::of(0..2, 9);
    records.lay(&scratch, 1);
    let running = server(&scratch, &influx).start();
    wait_for_totals(&influx, &scratch, &records.totals);
    running.terminate();
    fs::write(state(&scratch).join("totals.db"), vec![b'x'; 20_000]).unwrap();
    // The new ledger has only these late records of that hour.
    Records {
        lines: Records::of(1..2, 1).lines.replace("00000", "00900"),
        ..Records::of(1..2, 1)
    }
    .lay(&scratch, 1 << 40);
    let running = server(&scratch, &influx).start();
    wait_until_idle(&running, &scratch);
    wait_for(SOON, "the late records in the new ledger", || {
        report(&scratch).contains(&hour(1))
    });
    wait_until_idle(&running, &scratch);
    running.terminate();
    assert_eq!(own(&influx, &scratch), records.totals);
}

#[test]
fn zero_is_sent_only_for_a_wholly_covered_period() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let running = server(&scratch, &influx).start();
    wait_until_idle(&running, &scratch);
    running.terminate();
    let row = |hour: i64, ms: i64| {
        let start = start() + hour * HOUR;
        format!("INSERT INTO period (start, seconds, present_ms) VALUES ({start}, {HOUR}, {ms});")
    };
    // Covered wholly, all but 10 s, and wholly: the last period shows that the server skipped the second.
    let rows = [row(0, 3_600_000), row(1, 3_590_000), row(2, 3_600_000)];
    on_ledger(&scratch, &rows.concat());
    let running = server(&scratch, &influx).start();
    let zero = |hour: i64| ((TARGETS[0].to_owned(), hour, String::new()), 0);
    wait_for_totals(&influx, &scratch, &Totals::from([zero(0), zero(2)]));
    running.terminate();
}
