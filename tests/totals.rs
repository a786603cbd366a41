//! The ledger: a total is the number of records of its period that reached the spool, whatever was killed,
//! damaged or set when, and a period that the server was not there for says so.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use crate::support::account::{MEASUREMENT, lines_with, spooled, state};
use crate::support::clock::{Clock, tomorrow};
use crate::support::influx::Influx;
use crate::support::load::{Load, Running as Loading};
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server, run};
use crate::support::{metrics, wait_for};

const SOON: Duration = Duration::from_secs(60);
/// The most check-ins that 10 ms of the load below hold, which is what a crash may cost.
const LOST_TO_A_KILL: usize = 4;

/// The rows of `report --format json`.
#[track_caller]
fn rows(scratch: &Scratch, flags: &[&str]) -> Vec<Value> {
    try_rows(scratch, flags).unwrap_or_else(|error| panic!("{error}"))
}

/// The same, or what the command says of a ledger that cannot be read.
fn try_rows(scratch: &Scratch, flags: &[&str]) -> Result<Vec<Value>, String> {
    let folder = scratch.join("state");
    let command = ["report", "--settings", "/dev/null", "--format", "json"];
    let place = ["--state-dir", folder.to_str().unwrap()];
    let ended = run(
        scratch,
        &[command.as_slice(), place.as_slice(), flags].concat(),
    );
    if ended.code != Some(0) {
        return Err(ended.stderr);
    }
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    Ok(report["rows"].as_array().unwrap().clone())
}

type Totals = BTreeMap<(i64, String), u64>;

/// What the ledger says of each period and version, and under `all` of the period.
#[track_caller]
fn counted(scratch: &Scratch) -> Totals {
    let mut totals = Totals::new();
    for row in rows(scratch, &["--by", "app_version"]) {
        let start: jiff::Timestamp = row["start"].as_str().unwrap().parse().unwrap();
        let start = start.as_second();
        if let Some(total) = row["total"].as_u64().filter(|total| *total > 0) {
            totals.insert((start, "all".to_owned()), total);
        }
        for value in row["values"].as_array().unwrap() {
            let version = value["value"].as_str().unwrap().to_owned();
            totals.insert((start, version), value["total"].as_u64().unwrap());
        }
    }
    totals
}

/// The same, worked out from the raw records in the spool.
fn recounted(scratch: &Scratch, period: i64) -> Totals {
    let mut totals = Totals::new();
    for line in spooled(scratch) {
        let stamp: i64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        let start = stamp / 1_000_000_000 / period * period;
        let (_, rest) = line.split_once("app_version=").unwrap();
        let version = rest.split([',', ' ']).next().unwrap().to_owned();
        for value in ["all".to_owned(), version] {
            *totals.entry((start, value)).or_default() += 1;
        }
    }
    totals
}

fn loads(server: &Server) -> Vec<Loading> {
    let versions = ["v1.0.0", "v1.1.0"];
    let load = |version: &&str| {
        let body = format!(r#"{{"appVersion":"{version}","extraFieldInfo":{{"nodeCount":3}}}}"#);
        let load = Load::new(&server.address()).threads(2).endless().tolerant();
        load.body(&body).pause(Duration::from_millis(10)).start()
    };
    versions.iter().map(load).collect()
}

/// Kills the server so many times under load, at other moments of a second each time.
fn kill_under_load(server: &Server, kills: u64) -> usize {
    let loads = loads(server);
    let acknowledged = || loads.iter().map(Loading::acknowledged).sum::<usize>();
    for kill in 0..kills {
        let running = server.start();
        let goal = acknowledged() + 60;
        wait_for(SOON, "answers", || acknowledged() >= goal);
        // The moments between append, sync, commit and deletion are milliseconds long.
        std::thread::sleep(Duration::from_millis(kill * 137 % 900));
        running.kill();
    }
    loads
        .into_iter()
        .map(|load| load.stop().acknowledged.len())
        .sum()
}

#[test]
fn totals_are_the_records_in_the_spool_whenever_the_server_is_killed() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).arg("--query-period", "1m");
    let acknowledged = kill_under_load(&server, 20);
    let running = server.start();
    let records = spooled(&scratch).len();
    wait_for(SOON, "the counting", || {
        counted(&scratch) == recounted(&scratch, 60)
    });
    assert_eq!(running.terminate().code, Some(0));
    assert_eq!(counted(&scratch), recounted(&scratch, 60));
    let most = acknowledged.saturating_sub(20 * LOST_TO_A_KILL);
    assert!(records >= most, "{records} of {acknowledged} records");
}

#[test]
fn totals_are_what_influxdb_stores_whenever_the_server_is_killed() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch)
        .arg("--query-period", "1m")
        .arg("--influxdb-url", influx.url());
    kill_under_load(&server, 20);
    let running = server.start();
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    let total = |totals: &Totals| {
        let all = totals.iter().filter(|((_, value), _)| value == "all");
        all.map(|(_, total)| total).sum::<u64>()
    };
    let (all, stored) = (
        total(&counted(&scratch)),
        influx.count(DATABASE, MEASUREMENT),
    );
    assert_eq!(all, stored, "{}", running.log());
    running.terminate();
}

fn overwrite_with_garbage(scratch: &Scratch) {
    let garbage: Vec<u8> = (0..20_000u32).map(|n| (n * 7919 % 251) as u8).collect();
    fs::write(state(scratch).join("totals.db"), garbage).unwrap();
}

fn check_in(running: &Running, times: usize) {
    Load::new(running.addr()).each(times).run();
}

fn total(scratch: &Scratch) -> u64 {
    counted(scratch)
        .iter()
        .filter(|((_, value), _)| value == "all")
        .map(|(_, total)| total)
        .sum()
}

fn set_aside(scratch: &Scratch) -> usize {
    let files = fs::read_dir(state(scratch)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| {
            name.starts_with("totals.db.corrupt-")
                && !name.ends_with("-wal")
                && !name.ends_with("-shm")
        })
        .count()
}

#[test]
fn a_ledger_overwritten_with_garbage_is_set_aside_and_counting_starts_again() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    let running = server.start();
    check_in(&running, 5);
    wait_for(SOON, "the totals", || total(&scratch) == 5);
    overwrite_with_garbage(&scratch);
    check_in(&running, 3);
    wait_for(SOON, "the new ledger", || set_aside(&scratch) == 1);
    // The raw records are in the spool, so nothing is lost.
    wait_for(SOON, "a ledger", || try_rows(&scratch, &[]).is_ok());
    wait_for(SOON, "the totals", || total(&scratch) == 8);
    let ended = running.terminate();
    assert_eq!(
        lines_with(&ended.stderr, "was renamed to"),
        1,
        "{}",
        ended.stderr
    );

    overwrite_with_garbage(&scratch);
    let running = server.start();
    check_in(&running, 2);
    wait_for(SOON, "a ledger", || try_rows(&scratch, &[]).is_ok());
    wait_for(SOON, "the totals", || total(&scratch) == 10);
    let ended = running.terminate();
    assert_eq!(set_aside(&scratch), 2, "{}", ended.stderr);
    assert_eq!(
        lines_with(&ended.stderr, "the ledger is damaged"),
        1,
        "{}",
        ended.stderr
    );
    let mode = fs::metadata(state(&scratch).join("totals.db"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_ledger_of_a_newer_version_is_left_alone_and_its_records_wait() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    let running = server.start();
    check_in(&running, 2);
    wait_for(SOON, "the totals", || total(&scratch) == 2);
    running.terminate();
    let path = state(&scratch).join("totals.db");
    let sql = |statement: &str| {
        let ledger = rusqlite::Connection::open(&path).unwrap();
        ledger.execute_batch(statement).unwrap();
    };
    let ledger = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = ledger
        .query_row("PRAGMA user_version", (), |row| row.get(0))
        .unwrap();
    drop(ledger);
    sql("PRAGMA user_version = 99");
    let running = server.start();
    check_in(&running, 3);
    wait_for(SOON, "the records", || spooled(&scratch).len() == 5);
    wait_for(SOON, "the log", || {
        running
            .log()
            .contains(&format!("has version 99, expected at most {version}"))
    });
    assert_eq!(lines_with(&running.log(), "has version 99"), 1);
    sql(&format!("PRAGMA user_version = {version}"));
    wait_for(SOON, "the totals", || total(&scratch) == 5);
    let ended = running.terminate();
    assert_eq!(set_aside(&scratch), 0, "{}", ended.stderr);
}

#[test]
fn a_ledger_that_somebody_holds_delays_counting_and_nothing_else() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    let running = server.start();
    check_in(&running, 1);
    wait_for(SOON, "the totals", || total(&scratch) == 1);
    let path = state(&scratch).join("totals.db");
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answers = Load::new(running.addr()).each(50).run();
    assert!(
        answers.max() < Duration::from_secs(1),
        "{:?}",
        answers.max()
    );
    wait_for(SOON, "the records", || spooled(&scratch).len() == 51);
    wait_for(SOON, "the log", || {
        running.log().contains("another process holds the ledger")
    });
    assert_eq!(total(&scratch), 1);
    holder.execute_batch("ROLLBACK").unwrap();
    wait_for(SOON, "the totals", || total(&scratch) == 51);
    let ended = running.terminate();
    assert_eq!(
        lines_with(&ended.stderr, "the ledger can be written again"),
        1,
        "{}",
        ended.stderr
    );
}

#[test]
fn segments_put_into_the_spool_by_hand_are_counted_whatever_their_numbers_are() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let running = server.start();
    check_in(&running, 5);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    wait_for(SOON, "the totals", || total(&scratch) == 5);
    running.terminate();
    let now = jiff::Timestamp::now().as_nanosecond() as i64;
    let line = |n: i64| crate::support::account::line(&format!("by-hand-{n}"), now + n);
    let lines: String = (0..3).map(line).collect();
    let spool = state(&scratch).join("spool");
    fs::write(spool.join("00000000000000000001-3.lp"), lines).unwrap();
    let running = server.start();
    wait_for(SOON, "the totals", || total(&scratch) == 8);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    running.terminate();
    assert_eq!(influx.count(DATABASE, MEASUREMENT), 8);
}

/// What a report says of a period: covered seconds, total.
#[track_caller]
fn row_at(scratch: &Scratch, start: i64) -> (u64, Option<u64>) {
    let start = jiff::Timestamp::from_second(start).unwrap().to_string();
    let rows = rows(scratch, &["--from", &start]);
    let row = rows.iter().find(|row| row["start"] == start.as_str());
    let row = row.unwrap_or_else(|| panic!("no row {start} in {rows:?}"));
    (
        row["covered_seconds"].as_u64().unwrap(),
        row["total"].as_u64(),
    )
}

#[test]
fn only_a_wholly_covered_period_without_check_ins_has_a_total_of_zero() {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    // In the past of the real clock, which `report` goes by.
    let minute = jiff::Timestamp::now().as_second() / 60 * 60 - 3600;
    clock.set(minute - 3);
    let server = clock.of(Server::new(&scratch).arg("--query-period", "1m"));
    let running = server.start();
    std::thread::sleep(Duration::from_secs(66));
    assert_eq!(running.terminate().code, Some(0));
    let (before, total) = row_at(&scratch, minute - 60);
    assert!(before < 5 && total.is_none(), "{before} s, {total:?}");
    assert_eq!(row_at(&scratch, minute), (60, Some(0)));
    let (after, total) = row_at(&scratch, minute + 60);
    assert!(after < 10 && total.is_none(), "{after} s, {total:?}");
}

#[test]
fn a_clock_that_is_set_makes_its_periods_partly_covered_and_loses_no_record() {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    let hour = jiff::Timestamp::now().as_second() / 3600 * 3600 - 7 * 3600;
    let server = clock.of(Server::new(&scratch));
    clock.set(hour + 600);
    let running = server.start();
    check_in(&running, 3);
    wait_for(SOON, "the totals", || total(&scratch) == 3);
    // Back into the hour before, forth by two, and back to where it was.
    for (step, counted) in [(-1200, 6), (6600, 9), (700, 12)] {
        clock.set(hour + step);
        check_in(&running, 3);
        wait_for(SOON, "the totals", || total(&scratch) == counted);
    }
    running.terminate();
    assert_eq!(counted(&scratch), recounted(&scratch, 3600));
    for start in [hour - 3600, hour, hour + 3600] {
        let (covered, total) = row_at(&scratch, start);
        assert!(covered < 3600 && total.is_some(), "{covered} s, {total:?}");
    }
}

#[test]
fn another_query_period_holds_from_a_common_boundary_and_no_record_is_in_two_periods() {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    let day = tomorrow() - 3 * 86_400;
    let server = |period: &str| clock.of(Server::new(&scratch).arg("--query-period", period));
    clock.set(day + 1800);
    let running = server("1h").start();
    check_in(&running, 4);
    wait_for(SOON, "the totals", || total(&scratch) == 4);
    running.terminate();
    let running = server("2h").start();
    check_in(&running, 5);
    // Periods of both lengths begin at 02:00.
    for (at, counted) in [(5400, 14), (7300, 19), (12_000, 24), (14_500, 29)] {
        clock.set(day + at);
        check_in(&running, 5);
        wait_for(SOON, "the totals", || total(&scratch) == counted);
    }
    running.terminate();
    let starts: Vec<(i64, u64, u64)> = rows(&scratch, &[])
        .iter()
        .map(|row| {
            let start: jiff::Timestamp = row["start"].as_str().unwrap().parse().unwrap();
            let seconds = row["seconds"].as_u64().unwrap();
            (
                start.as_second() - day,
                seconds,
                row["total"].as_u64().unwrap_or(0),
            )
        })
        .take(4)
        .collect();
    let expected = [
        (0, 3600, 9),
        (3600, 3600, 5),
        (7200, 7200, 10),
        (14_400, 7200, 5),
    ];
    assert_eq!(starts, expected);
}

#[test]
fn the_terms_of_the_counting_add_up_on_the_metrics_page() {
    let scratch = Scratch::new();
    let address = crate::support::client::Address::local(crate::support::scratch::free_port());
    let server = Server::new(&scratch).arg("--metrics-listen", address.to_string());
    let running = server.start();
    check_in(&running, 25);
    let value = |name: &str| metrics::value(&address, name);
    wait_for(SOON, "the totals", || value("totals_counted_total") == 25);
    assert_eq!(value("totals_uncounted"), 0);
    running.kill();
    let running = server.start();
    assert_eq!(value("totals_found_total"), 0);
    assert_eq!(value("records_found_total"), 25);
    running.terminate();
}

/// The blocks of docs/totals.md that are marked as SQL.
fn documented_queries() -> Vec<String> {
    let document = include_str!("../docs/totals.md");
    let blocks = document.split("```sql\n").skip(1);
    let query = |block: &str| block.split("```").next().unwrap().to_owned();
    blocks.map(query).collect()
}

#[test]
fn the_documented_queries_run_while_the_server_does() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    let body = r#"{"appVersion":"v1.0.0","extraFieldInfo":{"nodeCount":3}}"#;
    Load::new(running.addr()).each(4).body(body).run();
    wait_for(SOON, "the totals", || total(&scratch) == 4);
    let path = state(&scratch).join("totals.db");
    let rows = |query: &str| {
        let sqlite = std::process::Command::new("sqlite3")
            .args(["-readonly", path.to_str().unwrap(), query])
            .output()
            .unwrap();
        assert!(sqlite.status.success(), "{query}: {sqlite:?}");
        String::from_utf8(sqlite.stdout).unwrap()
    };
    let queries = documented_queries();
    assert_eq!(queries.len(), 3);
    assert!(
        rows(&queries[0]).trim_end().ends_with("|4"),
        "{}",
        rows(&queries[0])
    );
    // The period is not over, so none is wholly covered.
    assert_eq!(rows(&queries[1]), "");
    assert!(
        rows(&queries[2]).contains("|3.0|3.0|3.0"),
        "{}",
        rows(&queries[2])
    );
    let daily =
        "SELECT day, periods, dimension, value, name, country, mean, least, greatest FROM daily";
    assert_eq!(rows(daily), "");
    running.terminate();
}
