//! A ledger that is damaged, of a newer version, or locked by another process. If these tests fail, the server stops
//! counting, loses totals that it could recount, overwrites the ledger of a newer version, or delays answers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::{SOON, check_in, total, try_rows};
use crate::support::account::{lines_with, spooled, state};
use crate::support::load::Load;
use crate::support::scratch::Scratch;
use crate::support::server::{Server, run};
use crate::support::wait_for;

fn overwrite_with_garbage(scratch: &Scratch) {
    let garbage: Vec<u8> = (0..20_000u32).map(|n| (n * 7919 % 251) as u8).collect();
    fs::write(state(scratch).join("totals.db"), garbage).unwrap();
}

/// The number of damaged ledgers that the server renamed.
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
fn a_directory_or_other_bytes_in_place_of_the_ledger_get_advice() {
    let scratch = Scratch::new();
    let ledger = scratch.join("state/myapp/totals.db");
    fs::create_dir_all(&ledger).unwrap();
    let server = Server::new(&scratch);
    let directory = "found a directory, expected the file of the ledger; move the directory away";
    let running = server.start();
    wait_for(SOON, "the advice in the log", || {
        running.log().contains(directory)
    });
    running.terminate();
    let report = ["report", "--state-dir", "state"];
    let ended = run(&scratch, &report);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(directory), "{}", ended.stderr);

    fs::remove_dir(&ledger).unwrap();
    fs::write(&ledger, "no database".repeat(1000)).unwrap();
    let ended = run(&scratch, &report);
    assert_eq!(ended.code, Some(1));
    let advice = "the ledger is damaged (file is not a database); restore a backup";
    assert!(ended.stderr.contains(advice), "{}", ended.stderr);
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
    // The records are still in the spool, so the new ledger counts all of them.
    wait_for(SOON, "a readable ledger", || {
        try_rows(&scratch, &[]).is_ok()
    });
    wait_for(SOON, "the totals", || total(&scratch) == 8);
    let ended = running.terminate();
    assert_eq!(
        lines_with(&ended.stderr, "renamed the file to"),
        1,
        "{}",
        ended.stderr
    );

    overwrite_with_garbage(&scratch);
    let running = server.start();
    check_in(&running, 2);
    wait_for(SOON, "a readable ledger", || {
        try_rows(&scratch, &[]).is_ok()
    });
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
fn a_ledger_of_a_newer_version_is_not_changed_and_its_records_wait() {
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
    wait_for(SOON, "the error in the log", || {
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
fn a_ledger_locked_by_another_process_delays_only_counting() {
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
    wait_for(SOON, "the error in the log", || {
        running.log().contains("another process holds the ledger")
    });
    assert_eq!(total(&scratch), 1);
    holder.execute_batch("ROLLBACK").unwrap();
    wait_for(SOON, "the totals", || total(&scratch) == 51);
    let ended = running.terminate();
    assert_eq!(
        lines_with(&ended.stderr, "INFO  the ledger can be written again"),
        1,
        "{}",
        ended.stderr
    );
}
