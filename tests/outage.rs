//! InfluxDB is down, hangs, or starts late. If these tests fail, an outage of the database delays answers, loses
//! records, or fills the log.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::account::{
    Totals, assert_exactly_once, line, lines_with, segments, spool, spooled, stored_ids,
    wait_until_stored,
};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::peer::{Peer, Received, Reply};
use crate::support::scratch::Scratch;
use crate::support::server::{Running, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);

/// 400 check-ins a second.
fn load(server: &Running) -> Load {
    Load::new(server.addr())
        .threads(4)
        .pause(Duration::from_millis(10))
        .endless()
}

#[test]
fn influxdb_killed_for_ten_seconds_costs_no_record() {
    let scratch = Scratch::new();
    let mut influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let server = server.start();
    let load = load(&server).start();
    wait_until_stored(&influx, 400, SOON);
    influx.kill();
    let mut most_segments = 0;
    let away = Instant::now();
    while away.elapsed() < Duration::from_secs(10) {
        most_segments = most_segments.max(segments(&scratch).len());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(server.log().contains("trying again"), "{}", server.log());
    influx.restart();
    wait_for(SOON, "the end of the outage", || {
        server.log().contains("takes records again")
    });
    let outcome = load.stop();
    wait_until_stored(&influx, outcome.acknowledged.len(), SOON);
    let ended = server.terminate();

    assert_exactly_once(&outcome.ids(), &stored_ids(&influx));
    Totals::of(&ended.stderr).assert_add_up(&scratch);
    assert!(
        most_segments <= 3,
        "an outage left {most_segments} segments"
    );
    assert_eq!(
        lines_with(&ended.stderr, "trying again"),
        1,
        "{}",
        ended.stderr
    );
    assert_eq!(
        lines_with(&ended.stderr, "takes records again"),
        1,
        "{}",
        ended.stderr
    );
}

#[test]
fn influxdb_that_hangs_for_fifteen_seconds_delays_no_answer_and_costs_no_record() {
    let scratch = Scratch::alone();
    let mut influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let server = server.start();
    // The latencies of this machine without an outage.
    let before = load(&server).each(250).run();
    wait_until_stored(&influx, before.acknowledged.len(), SOON);
    let load = load(&server).start();
    influx.pause();
    thread::sleep(Duration::from_secs(15));
    let outcome = load.stop();
    influx.resume();
    let ids = before.ids().union(&outcome.ids()).cloned().collect();
    wait_until_stored(
        &influx,
        before.acknowledged.len() + outcome.acknowledged.len(),
        SOON,
    );
    let ended = server.terminate();

    let again = ended
        .stderr
        .split_once("takes records again after ")
        .and_then(|(_, rest)| rest.split_once(" s;")?.0.parse::<f64>().ok());
    // The outage begins with the first failed request, not with its time-out.
    assert!(again.is_some_and(|s| s >= 14.0), "{}", ended.stderr);
    println!(
        "answers: p50 {:?}, p99 {:?}, max {:?}",
        outcome.p50(),
        outcome.p99(),
        outcome.max()
    );
    assert_exactly_once(&ids, &stored_ids(&influx));
    Totals::of(&ended.stderr).assert_add_up(&scratch);
    assert!(
        outcome.p99() < Duration::from_millis(50),
        "p99 {:?}, before {:?}",
        outcome.p99(),
        before.p99()
    );
    assert!(
        outcome.max() < Duration::from_secs(1).max(before.max() * 2),
        "max {:?}",
        outcome.max()
    );
}

#[test]
fn influxdb_that_starts_after_the_server_gets_every_record() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let server = server.start();
    let start = Instant::now();
    wait_for(SOON, "the beginning of the outage", || {
        server.log().contains("trying again")
    });
    let outcome = Load::new(server.addr()).threads(2).each(100).run();
    // After 30 s the server waits 16 s between two attempts.
    thread::sleep(Duration::from_secs(30).saturating_sub(start.elapsed()));
    influx.restart();
    wait_until_stored(&influx, 200, SOON);
    let ended = server.terminate();

    assert_exactly_once(&outcome.ids(), &stored_ids(&influx));
    assert_eq!(
        lines_with(&ended.stderr, "trying again"),
        1,
        "{}",
        ended.stderr
    );
    Totals::of(&ended.stderr).assert_add_up(&scratch);
}

#[test]
fn repeated_outages_are_logged_once() {
    let scratch = Scratch::new();
    let failing = || [Reply::status(500, "oh"), Reply::Success];
    let peer = Peer::script([failing(), failing(), failing()].into_iter().flatten());
    let server = Server::new(&scratch).arg("--influxdb-url", peer.url());
    let server = server.start();
    for outage in 1..=3 {
        Load::new(server.addr()).each(1).run();
        wait_for(SOON, "the second attempt", || {
            peer.writes().len() == 2 * outage
        });
        // The waiting records are sealed and delivered, so the outage is over.
        wait_for(SOON, "the end of the outage", || {
            segments(&scratch).is_empty()
        });
    }
    let ended = server.terminate();
    Totals::of(&ended.stderr).assert_add_up(&scratch);
    let log = &ended.stderr;
    assert_eq!(lines_with(log, "trying again"), 1, "{log}");
    assert_eq!(lines_with(log, "takes records again"), 1, "{log}");
}

#[test]
fn a_stop_is_not_held_up_by_an_influxdb_that_hangs() {
    let scratch = Scratch::new();
    let mut influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let running = server.start();
    let first = Load::new(running.addr()).each(10).run();
    wait_until_stored(&influx, 10, SOON);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    influx.pause();
    let second = Load::new(running.addr()).each(10).run();
    // At this moment the sender is in the middle of a request, or begins one.
    let start = Instant::now();
    let ended = running.terminate();
    let took = start.elapsed();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(took < Duration::from_secs(7), "the stop took {took:?}");
    assert_eq!(spooled(&scratch).len(), 10);
    Totals::of(&ended.stderr).assert_add_up(&scratch);

    influx.resume();
    let running = server.start();
    wait_until_stored(&influx, 20, SOON);
    running.terminate();
    let all = first.ids().union(&second.ids()).cloned().collect();
    assert_exactly_once(&all, &stored_ids(&influx));
}

/// A query for the continuous queries that is never answered delays totals, but not records.
#[test]
fn queries_that_hang_do_not_keep_records_waiting() {
    let scratch = Scratch::new();
    let is_question = |request: &Received| {
        let sent = format!("{}&{}", request.target, request.text());
        sent.contains("q=SHOW")
    };
    let peer = Peer::start(move |request| match is_question(request) {
        true => Reply::Hang(Duration::from_secs(4)),
        false => Reply::Success,
    });
    // Records of two hours that are over, whose totals are due.
    let dir = spool(&scratch);
    fs::create_dir_all(&dir).unwrap();
    let now = jiff::Timestamp::now().as_nanosecond() as i64;
    let old = [2, 3].map(|hours| line("a", now - hours * 3_600_000_000_000));
    fs::write(dir.join("00000000000000000001-2.lp"), old.concat()).unwrap();
    let server = Server::new(&scratch)
        .arg("--influxdb-url", peer.url())
        .arg("--cache-size", "1");
    let server = server.start();
    let hung = || peer.received().iter().filter(|r| is_question(r)).count();
    wait_for(SOON, "a query for continuous queries", || hung() > 0);
    let load = Load::new(server.addr()).each(6).run();
    assert_eq!(load.acknowledged.len(), 6);
    wait_for(SOON, "six records", || {
        let writes = peer.writes();
        load.ids()
            .iter()
            .all(|id| writes.iter().any(|write| write.contains(id)))
    });
    let log = server.log();
    assert_eq!(lines_with(&log, "totals are not sent"), 1, "{log}");
    assert_eq!(
        lines_with(&log, "InfluxDB at"),
        1,
        "only the line about readiness: {log}"
    );
    server.terminate();
}
