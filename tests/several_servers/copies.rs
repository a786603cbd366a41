//! `report --merge` on copies of state directories, as an operator makes them: of running servers, of one server
//! twice and with records that nobody has counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{SOON, merge, sum};
use crate::support::account::{spool, state};
use crate::support::scratch::Scratch;
use crate::support::server::{Ended, Running, Server};
use crate::support::wait_for;

/// As `cp -r` does it.
fn copy(from: &Path, to: &Path) -> PathBuf {
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(copied.unwrap().success(), "{}", from.display());
    to.to_owned()
}

/// The files below a directory, with what is in them.
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

/// A server that has counted this many check-ins and runs.
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
fn copies_of_running_and_stopped_servers_stay_as_they_are() {
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

/// What a write-ahead log holds is not left out without a word.
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
fn records_that_nobody_counted_are_said_to_be_missing() {
    let scratches = [Scratch::new(), Scratch::new()];
    let [a, b] = &scratches;
    running(a, 3).terminate();
    running(b, 4).terminate();
    // A kill before the commit leaves this.
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
