//! A clock that is set back while the server runs. If these tests failed, records would share a timestamp, so that
//! InfluxDB keeps only one of them, or a wrong clock would give later records a time in the future.

use std::time::Duration;

use crate::support::account::{MEASUREMENT, Totals, lines_with, spool, spooled, wait_until_stored};
use crate::support::clock::Clock;
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);

fn timestamps(scratch: &Scratch) -> Vec<i64> {
    let lines = spooled(scratch);
    let stamp = |line: &String| line.rsplit(' ').next().unwrap().parse().unwrap();
    lines.iter().map(stamp).collect()
}

/// Nanoseconds since 1970 by the clock of the test, which is not changed.
fn now() -> i64 {
    jiff::Timestamp::now().as_nanosecond() as i64
}

#[test]
fn a_clock_set_back_by_an_hour_is_followed_and_by_half_a_second_is_not() {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    let server = clock.of(Server::new(&scratch));
    clock.set_off("+1h");
    let mut running = server.start();
    let mut expected = 0;
    let mut send = |running: &Running| {
        Load::new(running.addr()).threads(4).each(50).run();
        expected += 200;
        wait_for(SOON, "the spool", || spooled(&scratch).len() == expected);
        timestamps(&scratch).split_off(expected - 200)
    };
    const HOUR: i64 = 3_600_000_000_000;
    const SECOND: i64 = 1_000_000_000;

    let future = send(&running);
    assert!(
        future[0] > now() + HOUR - 60 * SECOND,
        "libfaketime has no effect"
    );
    clock.set_off("+0.5s");
    let present = send(&running);
    assert!(present[199] < now() + SECOND, "still in the future");
    clock.set_off("+0");
    let half_a_second_less = send(&running);
    assert!(
        half_a_second_less[0] > present[199],
        "timestamps follow a clock that was set back by half a second"
    );
    // A restart with the clock set back a little more.
    let log = running.terminate().stderr;
    assert_eq!(lines_with(&log, "the clock was set back"), 1, "{log}");
    clock.set_off("-0.3s");
    running = server.start();
    let after_restart = send(&running);
    assert!(
        after_restart[0] > half_a_second_less[199],
        "timestamps follow a clock that was set back by 0.3 s at the restart"
    );

    let mut all = timestamps(&scratch);
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "two records share a timestamp");
    let totals = Totals::of(&running.terminate().stderr);
    totals.assert_add_up(&scratch);
    assert!(spool(&scratch).exists());
}

#[test]
fn equal_check_ins_in_the_same_nanosecond_stay_two_points_across_restarts() {
    let scratch = Scratch::new();
    let Some(clock) = Clock::new(&scratch) else {
        return;
    };
    let influx = Influx::start(&scratch);
    let server = clock.of(Server::new(&scratch).arg("--influxdb-url", influx.url()));
    let moment = now() / 1_000_000_000;
    clock.freeze(moment);
    let mut expected = 0;
    let mut send_and_settle = |running: &Running| {
        Load::new(running.addr()).each(20).run();
        expected += 20;
        wait_until_stored(&influx, expected, SOON);
        wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    };
    let running = server.start();
    send_and_settle(&running);
    let log = running.terminate().stderr;
    Totals::of(&log).assert_add_up(&scratch);
    let running = server.start();
    send_and_settle(&running);
    running.kill();
    let running = server.start();
    send_and_settle(&running);
    let log = running.terminate().stderr;
    assert_eq!(lines_with(&log, "WARN"), 0, "{log}");
    let last = format!("SELECT last(value) FROM {MEASUREMENT}");
    let last = influx.select(DATABASE, &last)[0]["time"].as_i64().unwrap();
    assert_eq!(
        last,
        moment * 1_000_000_000 + 59,
        "60 records, one nanosecond apart, while the clock stands still"
    );
}
