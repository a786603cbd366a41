//! Other programs that use the ledger of a running server. If these tests fail, a backup or a look with `sqlite3` makes
//! the server lose totals at its next crash.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{SOON, check_in, total};
use crate::support::account::{lines_with, spooled, state};
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::wait_for;

/// Runs `sqlite3`, which may write, on a file.
#[track_caller]
fn sqlite3(path: &Path, command: &str) {
    let ended = Command::new("sqlite3").arg(path).arg(command).output();
    let ended = ended.unwrap();
    assert!(ended.status.success(), "{command}: {ended:?}");
}

#[test]
fn after_a_backup_with_sqlite3_a_crash_loses_no_total() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let running = server.start();
    check_in(&running, 3);
    wait_for(SOON, "the totals", || total(&scratch) == 3);
    let ledger = state(&scratch).join("totals.db");
    let backup = scratch.join("backup.db");
    sqlite3(&ledger, &format!(".backup '{}'", backup.display()));
    sqlite3(&ledger, "SELECT count(*) FROM totals");
    let log = state(&scratch).join("totals.db-wal");
    assert!(log.exists(), "sqlite3 deleted the log of the server");
    check_in(&running, 20);
    wait_for(SOON, "the totals", || total(&scratch) == 23);
    // Delivered and counted records are deleted, so that only the ledger has them.
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    running.kill();
    let running = server.start();
    assert_eq!(total(&scratch), 23, "{}", running.log());
    running.terminate();
}

#[test]
fn a_deleted_log_of_the_ledger_is_reported_and_no_total_is_lost() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    let running = server.start();
    check_in(&running, 3);
    wait_for(SOON, "the totals", || total(&scratch) == 3);
    fs::remove_file(state(&scratch).join("totals.db-wal")).unwrap();
    check_in(&running, 2);
    wait_for(SOON, "the error", || {
        running.log().contains("totals.db-wal was deleted; restart")
    });
    let ended = running.terminate();
    assert_eq!(
        lines_with(&ended.stderr, "was deleted; restart the server"),
        1,
        "{}",
        ended.stderr
    );
    let running = server.start();
    wait_for(SOON, "the totals", || total(&scratch) == 5);
    running.terminate();
}
