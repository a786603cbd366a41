//! `report --merge` on copies of state directories. If these tests fail, an incomplete copy, two copies of one server,
//! uncounted records or merged days give wrong sums without a warning.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{SOON, merge, sum};
use crate::support::account::{spool, state};
use crate::support::scratch::Scratch;
use crate::support::server::{Ended, Running, Server, run};
use crate::support::wait_for;

/// Copies a directory with `cp -r`.
fn copy(from: &Path, to: &Path) -> PathBuf {
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(copied.unwrap().success(), "{}", from.display());
    to.to_owned()
}

/// The files below a directory with their contents.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), fs::read(path).unwrap())),
        }
    }
    found
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// A running server that has counted this many check-ins.
fn running(scratch: &Scratch, check_ins: u64) -> Running {
    let running = Server::new(scratch).start();
    let mut connection = running.connect();
    for _ in 0..check_ins {
        let body = r#"{"appVersion":"v1.0.0"}"#;
        assert_eq!(connection.post_checkin(body, &[]).unwrap().status, 200);
    }
    wait_for(SOON, "the check-ins to be counted", || {
        let ended = merge(scratch, &[state(scratch)], &["--format", "json"]);
        ended.code == Some(0) && sum(&json(&ended), "") == check_ins
    });
    running
}

#[test]
fn copies_of_running_and_stopped_servers_are_not_changed() {
    let scratches = [Scratch::new(), Scratch::new()];
    let [a, b] = &scratches;
    let (one, other) = (running(a, 3), running(b, 4));
    let of_running = [
        copy(&state(a), &a.join("running")),
        copy(&state(b), &b.join("running")),
    ];
    one.terminate();
    other.terminate();
    let of_stopped = [
        copy(&state(a), &a.join("stopped")),
        copy(&state(b), &b.join("stopped")),
    ];
    assert!(of_running[0].join("totals.db-wal").exists());
    assert!(!of_stopped[0].join("totals.db-wal").exists());
    for dirs in [of_running, of_stopped] {
        let before: Vec<_> = dirs.iter().map(|dir| files(dir)).collect();
        let ended = merge(a, &dirs, &["--format", "json"]);
        assert_eq!(sum(&json(&ended), ""), 7, "{}", ended.stdout);
        let after: Vec<_> = dirs.iter().map(|dir| files(dir)).collect();
        for (before, after) in before.iter().zip(&after) {
            let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect();
            let (before_names, after_names): (Vec<_>, Vec<_>) = (names(before), names(after));
            assert_eq!(before_names, after_names);
            assert!(before == after, "a file was written");
        }
    }
}

/// A copy without all parts of the write-ahead log could lack totals, so it must be refused.
#[test]
fn a_copy_that_lacks_a_part_is_refused() {
    let scratch = Scratch::new();
    let server = running(&scratch, 3);
    let copied = copy(&state(&scratch), &scratch.join("copied"));
    server.terminate();
    fs::remove_file(copied.join("totals.db-shm")).unwrap();
    let ended = merge(&scratch, &[copied], &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("totals.db-shm"), "{}", ended.stderr);
}

#[test]
fn two_copies_of_one_server_are_not_added_up() {
    let scratch = Scratch::new();
    running(&scratch, 3).terminate();
    let dirs = [
        copy(&state(&scratch), &scratch.join("monday")),
        copy(&state(&scratch), &scratch.join("tuesday")),
    ];
    let ended = merge(&scratch, &dirs, &[]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    let instance = fs::read_to_string(state(&scratch).join("instance")).unwrap();
    for piece in ["monday", "tuesday", instance.trim()] {
        assert!(ended.stderr.contains(piece), "{piece}: {}", ended.stderr);
    }
    let one = merge(&scratch, &dirs[..1], &["--format", "json"]);
    let servers = json(&one)["servers"].clone();
    assert_eq!(servers[0]["instance"], instance.trim(), "{servers}");
}

#[test]
fn uncounted_records_are_reported_as_missing() {
    let scratches = [Scratch::new(), Scratch::new()];
    let [a, b] = &scratches;
    running(a, 3).terminate();
    running(b, 4).terminate();
    // A kill before the commit leaves such a segment.
    let late = "upgrade_request,app_version=late value=1i 1795446171937260407\n";
    fs::write(spool(b).join("00000000000000000099-1.lp"), late).unwrap();
    for format in ["text", "csv", "json"] {
        let ended = merge(a, &[state(a), state(b)], &["--format", format]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let said: Vec<&str> = ended.stderr.lines().collect();
        let said = said.iter().filter(|line| line.contains("not counted"));
        let said: Vec<_> = said.collect();
        assert_eq!(said.len(), 1, "{}", ended.stderr);
        let ledger = state(b).join("totals.db").display().to_string();
        assert!(said[0].contains(&ledger), "{}", ended.stderr);
    }
}

const HEAD: &str = "kind,start,seconds,covered_seconds,periods,dimension,type,value,name,country,total,least,greatest,count,sum\n";

/// One server covered 24 periods with 15 check-ins each, the other 12 periods with 10 each before it went down.
#[test]
fn a_day_is_the_mean_over_the_periods_that_any_server_covered() {
    let scratches = [Scratch::new(), Scratch::new()];
    let [a, b] = &scratches;
    for (scratch, periods, mean) in [(a, 24, 15), (b, 12, 10)] {
        running(scratch, 1).terminate();
        let day = kept_day("2026-01-01", periods);
        let csv = format!(
            "{HEAD}{day},all,,,,,{mean},{mean},{mean},,\n\
             {day},app_version,tag,v1.0.0,,,{mean},{mean},{mean},,\n\
             {day},load,number,,,,,2,2,{mean},{}\n",
            mean * 2
        );
        import(scratch, &csv);
    }
    let by_version = only_row(&scratches, "2026-01-01", "2026-01-02", "app_version");
    assert_eq!(by_version["total"], 20, "{by_version}");
    assert_eq!(by_version["values"][0]["total"], 20, "{by_version}");
    let load = only_row(&scratches, "2026-01-01", "2026-01-02", "load");
    // 15 + 10/2 records, each of 2.
    assert_eq!((&load["count"], &load["sum"]), (&20.into(), &40.into()));
}

/// One server has only the day, the other still has its periods.
#[test]
fn a_day_and_periods_add_up_as_two_days_do() {
    let scratches = [Scratch::new(), Scratch::new()];
    let [a, b] = &scratches;
    let ten_days_ago = jiff::Timestamp::now().as_second() / 86_400 * 86_400 - 10 * 86_400;
    let moment = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap().to_string();
    let (from, to) = (moment(ten_days_ago), moment(ten_days_ago + 86_400));
    running(a, 1).terminate();
    let day = kept_day(&from[..10], 24);
    import(a, &format!("{HEAD}{day},all,,,,,15,15,15,,\n"));
    running(b, 1).terminate();
    let period = |hour: i64| {
        let start = moment(ten_days_ago + hour * 3_600);
        format!("period,{start},3600,3600,1,all,,,,,10,10,10,,\n")
    };
    let periods: String = (0..12).map(period).collect();
    import(b, &format!("{HEAD}{periods}"));
    let all = only_row(&scratches, &from, &to, "all");
    assert_eq!(
        (&all["total"], &all["seconds"]),
        (&20.into(), &86_400.into())
    );
}

/// The only row of the merged report of a time span.
#[track_caller]
fn only_row(scratches: &[Scratch], from: &str, to: &str, by: &str) -> Value {
    let dirs: Vec<PathBuf> = scratches.iter().map(state).collect();
    let asked = ["--format", "json", "--from", from, "--to", to, "--by", by];
    let mut report = json(&merge(&scratches[0], &dirs, &asked));
    let rows = report["rows"].as_array_mut().unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

/// The first columns of a day with this many covered periods.
fn kept_day(day: &str, periods: u64) -> String {
    let covered = periods * 3_600;
    format!("day,{day}T00:00:00Z,86400,{covered},{periods}")
}

fn import(scratch: &Scratch, csv: &str) {
    let file = scratch.write("import.csv", csv);
    let state = scratch.join("state");
    let state = ["--state-dir", state.to_str().unwrap()];
    let words = ["import-totals", file.to_str().unwrap()];
    let more = ["--settings", "/dev/null", "--application-name", "myapp"];
    let ended = run(scratch, &[&words[..], &more, &state].concat());
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}
