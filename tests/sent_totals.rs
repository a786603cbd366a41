//! Totals as points: what the ledger says of each period stands in InfluxDB, value by value, through outages,
//! kills and corrections; and what another server's continuous queries fill is left to them until they go.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::account::{lines_with, segments, spool, state, wait_until_stored};
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Ended, Running, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
const HOUR: i64 = 3600;
const TARGETS: [&str; 4] = [
    "upgrade_request_down_sampling",
    "by_app_version_down_sampling",
    "by_country_code_down_sampling",
    "by_host_arch_down_sampling",
];

/// A time of records that is over, and still kept in full detail: the beginning of a day.
fn start() -> i64 {
    (jiff::Timestamp::now().as_second() / 86_400 - 10) * 86_400
}

fn hour(number: i64) -> String {
    let start = jiff::Timestamp::from_second(start() + number * HOUR);
    format!("\"start\":\"{}\"", start.unwrap())
}

/// Totals by measurement, start in hours, and the value of the tag; empty where there is none.
type Totals = BTreeMap<(String, i64, String), u64>;

/// Records of some hours, which differ in versions, countries and architectures.
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

    fn lay(&self, scratch: &Scratch, sequence: u64) {
        fs::create_dir_all(spool(scratch)).unwrap();
        let name = format!("{sequence:020}-{}.lp", self.count);
        fs::write(spool(scratch).join(name), &self.lines).unwrap();
    }
}

/// The totals of this server in InfluxDB.
fn own(influx: &Influx, scratch: &Scratch) -> Totals {
    let instance = fs::read_to_string(state(scratch).join("instance")).unwrap_or_default();
    stored(influx, |row| row["instance"] == instance.trim())
}

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

/// Runs SQL on the ledger of a server that is stopped.
fn on_ledger(scratch: &Scratch, sql: &str) {
    let ledger = state(scratch).join("totals.db");
    let done = Command::new("sqlite3")
        .arg(ledger)
        .arg(sql)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn totals_stand_in_influxdb_value_by_value_through_an_outage_a_kill_and_corrections() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch);
    let mut records = Records::of(0..4, 20);
    records.lay(&scratch, 1);
    // Counted and killed while InfluxDB is away.
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

    // Late records of a period that was sent, and a period of their own.
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
    // Nothing but this server's points.
    assert_eq!(stored(&influx, |_| true), records.totals);

    // A restart with another period repeats nothing.
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

/// Waits until a check-in of now is delivered: what was due before went first.
fn wait_until_idle(running: &Running, scratch: &Scratch) {
    running.connect().post_checkin("{}", &[]).unwrap();
    wait_for(SOON, "an empty spool", || segments(scratch).is_empty());
}

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
fn with_totals_alone_no_raw_record_leaves_the_server() {
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
    // They stay as long as there is room.
    assert_eq!(segments(&scratch).len(), 1);
}

fn queries(influx: &Influx) -> Vec<String> {
    influx
        .select(DATABASE, "SHOW CONTINUOUS QUERIES")
        .iter()
        .filter_map(|row| Some(row["name"].as_str()?.to_owned()))
        .collect()
}

/// As the Go original makes them, and one by hand for a tag.
fn make_queries(influx: &Influx) {
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    for (target, group) in
        TARGETS
            .iter()
            .zip(["", ", app_version", ", country_isocode", ", host_arch"])
    {
        influx.query(DATABASE, &format!(
            "CREATE CONTINUOUS QUERY cq_{target} ON {DATABASE} BEGIN SELECT count(value) AS total INTO {target} \
             FROM upgrade_request GROUP BY time(1h){group} END"
        ));
    }
}

/// What a continuous query of the original did at the end of each hour.
fn fill_as_the_queries_did(influx: &Influx, hours: std::ops::Range<i64>) {
    let (start, end) = (start() + hours.start * HOUR, start() + hours.end * HOUR);
    for (target, group) in
        TARGETS
            .iter()
            .zip(["", ", app_version", ", country_isocode", ", host_arch"])
    {
        influx.select(
            DATABASE,
            &format!(
                "SELECT count(value) AS total INTO {target} FROM upgrade_request \
             WHERE time >= {start}s AND time < {end}s GROUP BY time(1h){group}"
            ),
        );
    }
}

#[test]
fn an_originals_queries_keep_their_measurements_until_nobody_else_writes() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    make_queries(&influx);
    // The original's records, and its totals of them.
    let old = Records::of(0..3, 9);
    assert_eq!(influx.write(DATABASE, &old.lines).0, 204);
    fill_as_the_queries_did(&influx, 0..3);
    let theirs = stored(&influx, |_| true);
    assert_eq!(theirs.len(), old.totals.len());

    // This server's first hour, in which the original runs too.
    let first = Records::of(3..4, 9);
    first.lay(&scratch, 1);
    let beside = first.lines.replace("app_version=v1", "app_version=v0");
    assert_eq!(influx.write(DATABASE, &beside).0, 204);
    let running = server(&scratch, &influx).start();
    wait_for(SOON, "the warning", || {
        lines_with(&running.log(), "continuous queries of another server fill") == 1
    });
    wait_until_idle(&running, &scratch);
    running.terminate();
    assert_eq!(queries(&influx).len(), 4);
    assert!(own(&influx, &scratch).is_empty(), "left to the queries");

    // Two hours for which this server was alone, and there all the time.
    let alone = Records::of(4..6, 9);
    alone.lay(&scratch, 1 << 40);
    let running = server(&scratch, &influx).without("--influxdb-url").start();
    wait_for(SOON, "the records in the ledger", || {
        report(&scratch).contains(&hour(5))
    });
    running.terminate();
    on_ledger(
        &scratch,
        "UPDATE period SET present_ms = seconds * 1000 WHERE total > 0",
    );
    let running = server(&scratch, &influx).start();
    wait_for(SOON, "the end of the queries", || {
        queries(&influx).is_empty()
    });
    let log = running.terminate().stderr;
    assert_eq!(
        lines_with(&log, "INFO  InfluxDB: DROP CONTINUOUS QUERY"),
        4,
        "{log}"
    );
    assert!(
        own(&influx, &scratch).is_empty(),
        "the hours before stay theirs"
    );

    // From then on the totals are this server's; a late record changes no total of the queries'.
    let next = Records::of(6..8, 9);
    next.lay(&scratch, 1 << 41);
    let late = Records::of(5..6, 1);
    Records {
        lines: late.lines.replace("00000", "00900"),
        ..late
    }
    .lay(&scratch, (1 << 41) + 1);
    let running = server(&scratch, &influx).start();
    wait_for_totals(&influx, &scratch, &next.totals);
    running.terminate();
    assert_eq!(stored(&influx, |row| row["instance"].is_null()), theirs);
}

#[test]
fn take_over_drops_the_queries_at_once_and_a_dry_run_nothing() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    make_queries(&influx);
    influx.query(DATABASE, &format!(
        "CREATE CONTINUOUS QUERY other ON {DATABASE} BEGIN SELECT mean(node_count) INTO nodes FROM upgrade_request \
         GROUP BY time(1h) END"
    ));
    let server = server(&scratch, &influx);
    let run = |more: &[&str]| -> Ended {
        let ended = server.other_command("take-over", more);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        ended
    };
    let said = run(&["--dry-run"]).stdout;
    assert!(
        said.contains("DROP CONTINUOUS QUERY \"cq_by_host_arch_down_sampling\""),
        "{said}"
    );
    assert!(said.contains("kept: other fills nodes"), "{said}");
    assert!(
        said.contains("4 continuous queries would be dropped"),
        "{said}"
    );
    assert_eq!(queries(&influx).len(), 5);
    let checked = server.other_command("check-config", &["--online"]).stdout;
    let warning = "continuous query cq_by_app_version_down_sampling of another server fills";
    assert!(checked.contains(warning), "{checked}");
    run(&[]);
    assert_eq!(queries(&influx), ["other"]);
    assert!(run(&[]).stdout.contains("nothing to do"));

    let records = Records::of(0..2, 5);
    records.lay(&scratch, 1);
    let running = server.start();
    wait_for_totals(&influx, &scratch, &records.totals);
    running.terminate();
}

#[test]
fn a_ledger_that_was_set_aside_replaces_no_total_that_was_sent() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let records = Records::of(0..2, 9);
    records.lay(&scratch, 1);
    let running = server(&scratch, &influx).start();
    wait_for_totals(&influx, &scratch, &records.totals);
    running.terminate();
    fs::write(state(&scratch).join("totals.db"), vec![b'x'; 20_000]).unwrap();
    // Late records: all that the new ledger knows of that hour.
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
fn zero_is_sent_of_a_wholly_covered_period_alone() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let running = server(&scratch, &influx).start();
    wait_until_idle(&running, &scratch);
    running.terminate();
    let row = |hour: i64, ms: i64| {
        let start = start() + hour * HOUR;
        format!("INSERT INTO period (start, seconds, present_ms) VALUES ({start}, {HOUR}, {ms});")
    };
    // All of it, all but some seconds, and after those a period that shows that they were passed over.
    let rows = [row(0, 3_600_000), row(1, 3_590_000), row(2, 3_600_000)];
    on_ledger(&scratch, &rows.concat());
    let running = server(&scratch, &influx).start();
    let zero = |hour: i64| ((TARGETS[0].to_owned(), hour, String::new()), 0);
    wait_for_totals(&influx, &scratch, &Totals::from([zero(0), zero(2)]));
    running.terminate();
}
