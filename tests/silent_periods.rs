//! A period in which nobody checked in has a total of zero if the server was there for all of it, and no
//! total if it was not: the dashboard tells the two apart by that.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::support::account::state;
use crate::support::account::{MEASUREMENT, Totals, line, spool, totals_of, wait_until_stored};
use crate::support::clock::{Clock, tomorrow};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
const TARGET: &str = "upgrade_request_down_sampling";

/// The totals of all check-ins by the seconds from `start` to the beginning of their period.
fn totals(influx: &Influx, start: i64) -> BTreeMap<i64, u64> {
    totals_of(influx, TARGET, start)
}

/// Waits until the server has noted, on disk, that it was there for a period, and nobody checked in.
#[track_caller]
fn wait_until_noted(scratch: &Scratch, start: i64, seconds: i64) {
    wait_until_due(scratch, &format!("{TARGET} {start} {seconds} silent"));
}

#[track_caller]
fn wait_until_due(scratch: &Scratch, noted: &str) {
    wait_for(SOON, noted, || {
        let text = fs::read_to_string(state(scratch).join("periods")).unwrap_or_default();
        text.lines().any(|line| line == noted)
    });
}

#[test]
fn a_period_without_check_ins_is_zero_if_the_server_was_there_for_all_of_it() {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--query-period", "1m");
    let server = clock.of(server);
    let day = tomorrow();

    // It comes in the middle of a minute, and nobody checks in during the next one.
    clock.set(day + 30);
    let running = server.start();
    clock.set(day + 125);
    wait_until_noted(&scratch, day + 60, 60);
    // In the one after it somebody does.
    Load::new(running.addr()).run();
    wait_until_stored(&influx, 1, SOON);
    // Then somebody checks in at another server.
    let other = line("other", (day + 185) * 1_000_000_000);
    assert_eq!(influx.write(DATABASE, &other).0, 204);
    clock.set(day + 195);
    let mut expected = BTreeMap::from([(60, 0), (120, 1)]);
    wait_for(SOON, "a zero and a total", || {
        totals(&influx, day) == expected
    });
    clock.set(day + 245);
    wait_until_noted(&scratch, day + 180, 60);
    expected.insert(180, 1);
    wait_for(SOON, "the other server's total", || {
        totals(&influx, day) == expected
    });

    // A server that is killed has noted which period nobody checked in. Of those in which it is away, and
    // those in which it ends and begins, nothing is known.
    clock.set(day + 305);
    wait_until_noted(&scratch, day + 240, 60);
    running.kill();
    clock.set(day + 440);
    let running = server.start();
    clock.set(day + 541);
    wait_until_noted(&scratch, day + 480, 60);
    expected.extend([(240, 0), (480, 0)]);
    wait_for(SOON, "two more zeros", || totals(&influx, day) == expected);
    Totals::of(&running.terminate().stderr).assert_add_up(&scratch);

    // A point that comes late after all.
    let late = line("late", (day + 65) * 1_000_000_000) + "\n";
    fs::write(spool(&scratch).join("00000000000000009999-1.lp"), late).unwrap();
    let running = server.start();
    expected.insert(60, 1);
    wait_for(SOON, "a total in place of a zero", || {
        totals(&influx, day) == expected
    });
    Totals::of(&running.terminate().stderr).assert_add_up(&scratch);
    let by_version = "SELECT * FROM by_app_version_down_sampling WHERE total = 0";
    assert!(influx.select(DATABASE, by_version).is_empty());
}

#[test]
fn zeros_wait_for_influxdb_and_have_the_period_that_is_in_force_there() {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    let mut influx = Influx::start(&scratch);
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    influx.query("", &format!(
        "CREATE CONTINUOUS QUERY cq_{TARGET} ON {DATABASE} BEGIN SELECT count(value) AS total INTO {TARGET} FROM {MEASUREMENT} GROUP BY time(2m) END"
    ));
    influx.kill();
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--query-period", "1m")
        .switch("--debug");
    let server = clock.of(server);
    let day = tomorrow();

    // Without InfluxDB it cannot know better than its flag.
    clock.set(day + 30);
    let running = server.start();
    clock.set(day + 125);
    wait_until_noted(&scratch, day + 60, 60);
    influx.restart();
    let looked = format!("recomputed {TARGET} from {}s", day + 60);
    wait_for(SOON, &looked, || running.log().contains(&looked));
    assert_eq!(totals(&influx, day), BTreeMap::new());

    // Now it does.
    clock.set(day + 200);
    Load::new(running.addr()).run();
    wait_until_stored(&influx, 1, SOON);
    clock.set(day + 245);
    wait_until_due(&scratch, &format!("{TARGET} {} 120", day + 120));
    wait_for(SOON, "the total", || {
        totals(&influx, day) == BTreeMap::from([(120, 1)])
    });
    influx.kill();
    clock.set(day + 370);
    wait_until_noted(&scratch, day + 240, 120);
    // Each step is shorter than the pause after which the server knows nothing, 120 s, by some seconds.
    clock.set(day + 485);
    wait_until_noted(&scratch, day + 360, 120);
    // The clock was ahead: of the period that it is in now nothing is known.
    clock.set(day + 601);
    wait_until_noted(&scratch, day + 480, 120);
    clock.set(day + 495);
    wait_for(SOON, "the future to be forgotten", || {
        let text = fs::read_to_string(state(&scratch).join("periods")).unwrap();
        !text.contains(&format!(" {} ", day + 480))
    });
    influx.restart();
    wait_for(SOON, "two zeros after the outage", || {
        totals(&influx, day) == BTreeMap::from([(120, 1), (240, 0), (360, 0)])
    });
    Totals::of(&running.terminate().stderr).assert_add_up(&scratch);
}

#[test]
fn a_period_whose_check_ins_are_all_refused_or_not_recorded_has_no_total() {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    let influx = Influx::start(&scratch);
    let day = tomorrow();
    let schema = r#"{"appVersionSchema": {"dataType": "string", "maxLen": 20}}"#;
    let schema = scratch.write("schema.json", schema);
    // From now on InfluxDB refuses a value that is an integer.
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    let float = format!("{MEASUREMENT} value=1 {}", (day + 1) * 1_000_000_000);
    assert_eq!(influx.write(DATABASE, &float).0, 204);
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--query-period", "1m")
        .arg("--request-schema", schema)
        .switch("--debug");
    let server = clock.of(server);

    clock.set(day + 61);
    let running = server.start();
    Load::new(running.addr()).run();
    wait_for(SOON, "a refusal", || {
        running.log().contains("records for good")
    });
    clock.set(day + 135);
    let recomputed = format!("recomputed {TARGET} from {}s", day + 60);
    wait_for(SOON, &recomputed, || running.log().contains(&recomputed));
    clock.set(day + 195);
    wait_for(SOON, "a zero for the next one", || {
        totals(&influx, day).contains_key(&120)
    });
    assert_eq!(totals(&influx, day), BTreeMap::from([(120, 0)]));

    // This one breaks the schema, and so leaves nothing that could be refused.
    let body = r#"{"appVersion": "a version that is far too long"}"#;
    Load::new(running.addr()).body(body).run();
    let began = Instant::now();
    wait_for(SOON, "a zero for a later one", || {
        // Never back, and slowly enough for a look at the clock between any two minutes.
        clock.set(day + 235 + 40 * began.elapsed().as_secs() as i64);
        totals(&influx, day).range(240..).next().is_some()
    });
    assert!(!totals(&influx, day).contains_key(&180));
    Totals::of(&running.terminate().stderr).assert_add_up(&scratch);
}

#[test]
fn a_total_whose_points_are_gone_is_not_made_zero() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    let start = tomorrow() - 2 * 86_400;
    let total = format!("{TARGET} total=5i {}", start * 1_000_000_000);
    assert_eq!(influx.write(DATABASE, &total).0, 204);
    // As a server leaves it that is killed after it has recomputed the period.
    fs::create_dir_all(spool(&scratch)).unwrap();
    let noted = format!("{TARGET} {start} 3600\n");
    fs::write(state(&scratch).join("periods"), noted).unwrap();
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .switch("--debug");
    let running = server.start();
    let recomputed = format!("recomputed {TARGET} from {start}s");
    wait_for(SOON, &recomputed, || running.log().contains(&recomputed));
    assert_eq!(totals(&influx, start), BTreeMap::from([(0, 5)]));
    running.terminate();
}
