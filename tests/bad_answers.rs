//! Answers to a write that are no HTTP, or not the database's own: they neither hold up delivery nor cost
//! records that are not to blame.

use std::time::Duration;

use crate::damaged_spool::{lay, lines, serve, settled};
use crate::support::account::{MEASUREMENT, Totals, rejected, state};
use crate::support::influx::Influx;
use crate::support::peer::{Peer, Received, Reply};
use crate::support::scratch::Scratch;
use crate::support::server::DATABASE;
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);

/// A database that repeats a line in a header, as InfluxDB 1.6.7 does with a refused one.
fn repeats(text: &'static str, times: usize) -> Peer {
    let mut left = times;
    Peer::start(move |request| {
        if request.path() != "/write" || !request.text().contains(text) || left == 0 {
            return Reply::Success;
        }
        left -= 1;
        Reply::status(400, "{}").with_header("X-Influxdb-Error", "unable to parse 'x\u{1}'")
    })
}

#[test]
fn a_line_whose_answer_cannot_be_parsed_is_found_and_rejected() {
    let scratch = Scratch::new();
    let peer = repeats("id7\"", usize::MAX);
    lay(&scratch, 1, Some("100"), lines(0..100).concat().as_bytes());
    lay(
        &scratch,
        2,
        Some("100"),
        lines(100..200).concat().as_bytes(),
    );
    let running = serve(&scratch, &peer.url());
    let (totals, log) = settled(&scratch, running, 200);
    assert_eq!((totals.delivered, totals.rejected), (199, 1), "{log}");
    let kept = rejected(&scratch);
    assert!(kept[0].contains("cannot be parsed"), "{kept:?}");
    assert!(kept[1].contains("\"id7\"") && kept.len() == 2, "{kept:?}");
    assert!(log.contains("an answer that cannot be parsed"), "{log}");
}

#[test]
fn a_database_that_answers_nothing_that_can_be_parsed_gets_no_record_rejected() {
    let scratch = Scratch::new();
    // Its answers are the same to a write of nothing.
    let peer = repeats("", 20);
    lay(&scratch, 1, Some("3"), lines(0..3).concat().as_bytes());
    let running = serve(&scratch, &peer.url());
    // Those of the first failures, and then a write of nothing at each further one.
    wait_for(SOON, "attempts", || {
        let empty = |request: &Received| request.path() == "/write" && request.body.is_empty();
        peer.received()
            .iter()
            .filter(|request| empty(request))
            .count()
            >= 1
    });
    let log = running.terminate().stderr;
    let totals = Totals::of(&log);
    assert_eq!((totals.waiting, totals.rejected), (3, 0), "{log}");
    assert!(!state(&scratch).join("rejected").exists());
}

#[test]
fn a_413_of_a_proxy_is_not_said_to_be_the_databases() {
    let scratch = Scratch::new();
    let page = "<html><head><title>413 Request Entity Too Large</title></head></html>";
    let peer = Peer::start(move |request| match request.text().contains("id1\"") {
        true => Reply::status(413, page),
        false => Reply::Success,
    });
    let lines = lines(0..3);
    lay(&scratch, 1, Some("3"), lines.concat().as_bytes());
    let running = serve(&scratch, &peer.url());
    let (totals, log) = settled(&scratch, running, 3);
    assert_eq!((totals.delivered, totals.rejected), (2, 1), "{log}");
    let reason = &rejected(&scratch)[0];
    let size = format!(
        "{} bytes are too large for a proxy in front of InfluxDB",
        lines[1].len()
    );
    for part in [&*size, "client_max_body_size", "max-body-size"] {
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn a_refused_line_of_200_kilobytes_holds_up_nothing() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let mut lines = lines(0..20);
    // InfluxDB repeats it in a header, which is longer than most clients take.
    let (point, stamp) = lines[7].trim_end().rsplit_once(' ').unwrap();
    let long = "x".repeat(200_000);
    lines[7] = format!("{point},n=99999999999999999999i,text=\"{long}\" {stamp}\n");
    lay(&scratch, 1, Some("20"), lines.concat().as_bytes());
    let running = serve(&scratch, &influx.url());
    let (totals, log) = settled(&scratch, running, 20);
    assert_eq!((totals.delivered, totals.rejected), (19, 1), "{log}");
    assert_eq!(influx.count(DATABASE, MEASUREMENT), 19);
    let kept = rejected(&scratch);
    assert_eq!(format!("{}\n", kept[1]), lines[7]);
}
