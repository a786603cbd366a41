//! Failures of a write that pass. If these tests fail, a check-in is counted twice after a time-out, or InfluxDB is
//! retried too late, or so soon that the retries overload it.

use std::thread;
use std::time::{Duration, Instant};

use super::{SOON, passing_on, settled};
use crate::support::account::{assert_exactly_once, lines_with, stored_ids, wait_until_stored};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::peer::{Peer, Reply};
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::wait_for;

#[test]
fn a_write_that_was_stored_and_answered_with_an_error_is_not_counted_twice() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let mut failures = 2;
    let peer = Peer::start(passing_on(&influx, move |request, answer| {
        if request.path() == "/write" && failures > 0 {
            failures -= 1;
            return Reply::status(500, r#"{"error":"timeout"}"#);
        }
        answer
    }));
    let running = Server::new(&scratch)
        .arg("--influxdb-url", peer.url())
        .start();
    let outcome = Load::new(running.addr()).each(100).run();
    wait_until_stored(&influx, 100, SOON);
    let (totals, _) = settled(&scratch, running);
    assert_eq!(totals.delivered, 100);
    assert_exactly_once(&outcome.ids(), &stored_ids(&influx));
    let writes = peer.writes();
    assert_eq!(writes[0], writes[1], "a retry must send the same bytes");
}

/// One failure of InfluxDB, and how long the server waits before the retry.
struct Case {
    reply: Reply,
    at_least: Duration,
    at_most: Duration,
    /// A part of the log line about the failure.
    logged: &'static str,
}

#[test]
fn a_failure_that_passes_is_retried_in_time_with_the_same_bytes() {
    let seconds = Duration::from_secs_f64;
    let case = |reply, at_least, at_most, logged| Case {
        reply,
        at_least: seconds(at_least),
        at_most: seconds(at_most),
        logged,
    };
    let cases = [
        case(Reply::Hang(seconds(100.0)), 10.0, 14.0, "no answer in time"),
        case(
            Reply::Trickle(seconds(1.0)),
            10.0,
            14.0,
            "no answer in time",
        ),
        case(Reply::Reset, 0.7, 4.0, "trying again"),
        case(Reply::status(500, "oh"), 0.7, 4.0, r#"status 500 "oh""#),
        case(
            Reply::status(503, "").with_header("Retry-After", "4"),
            3.9,
            8.0,
            "status 503",
        ),
        case(
            Reply::status(429, "").with_header("Retry-After", "3"),
            2.9,
            7.0,
            "status 429",
        ),
        case(
            Reply::status(302, "moved").with_header("Location", "http://127.0.0.1:9/"),
            8.0,
            16.0,
            "unexpected answer: status 302",
        ),
        case(Reply::status(418, "a\nteapot"), 8.0, 16.0, "status 418"),
        case(Reply::status(403, "no"), 8.0, 16.0, "access denied"),
    ];
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| assert_retried(case));
        }
    });
}

fn assert_retried(case: Case) {
    let scratch = Scratch::new();
    let peer = Peer::script([case.reply]);
    let running = Server::new(&scratch)
        .arg("--influxdb-url", peer.url())
        .start();
    Load::new(running.addr()).each(10).run();
    wait_for(SOON, "the first write", || !peer.writes().is_empty());
    let start = Instant::now();
    wait_for(SOON, "the second write", || peer.writes().len() > 1);
    let took = start.elapsed();
    let (totals, log) = settled(&scratch, running);
    println!("{}: retried after {took:?}", case.logged);
    assert!(took >= case.at_least, "{}: after {took:?}", case.logged);
    assert!(took <= case.at_most, "{}: after {took:?}", case.logged);
    let writes = peer.writes();
    assert_eq!(writes[0], writes[1]);
    assert_eq!(totals.delivered, 10);
    assert_eq!(lines_with(&log, case.logged), 1, "{log}");
    assert_eq!(lines_with(&log, "takes records again"), 1, "{log}");
}
