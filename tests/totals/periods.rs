//! The periods that records belong to, and how much of each the server covered. If these tests fail, an operator sees
//! zero installations where the server was stopped, or a record is in two periods or in none.

use std::time::Duration;

use super::{SOON, check_in, counted, recounted, rows, total};
use crate::support::clock::{Clock, tomorrow};
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::wait_for;

/// Covered seconds and total of the period that begins at `start`, from the report.
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
    // `report` uses the real clock, so the period must be in its past.
    let minute = jiff::Timestamp::now().as_second() / 60 * 60 - 3600;
    clock.set(minute - 3);
    let server = clock.of(Server::new(&scratch).arg("--query-period", "1m"));
    // The clock is not set again, so it is read every 10 s: if two threads read it at once, libfaketime can return the
    // real time.
    let running = server.env("FAKETIME_NO_CACHE", "0").start();
    // The covered minute has to pass in real time: a clock that is set leaves its periods partly covered.
    std::thread::sleep(Duration::from_secs(66));
    assert_eq!(running.terminate().code, Some(0));
    let (before, total) = row_at(&scratch, minute - 60);
    assert!(before < 5 && total.is_none(), "{before} s, {total:?}");
    assert_eq!(row_at(&scratch, minute), (60, Some(0)));
    let (after, total) = row_at(&scratch, minute + 60);
    assert!(after < 10 && total.is_none(), "{after} s, {total:?}");
}

#[test]
fn a_changed_clock_leaves_its_periods_partly_covered_and_loses_no_record() {
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
    // Back into the hour before, forward into the hour after, and back into this hour.
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
fn a_new_query_period_begins_at_a_common_boundary_and_no_record_is_in_two_periods() {
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
