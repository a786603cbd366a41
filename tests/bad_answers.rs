//! Answers to a write that cannot be parsed or come from a proxy. If these tests failed, one refused line would stop
//! delivery, or valid records would be rejected.

use std::time::Duration;

use crate::damaged_spool::{lay, lines, serve, settled};
use crate::support::account::{MEASUREMENT, Totals, rejected, state};
use crate::support::influx::Influx;
use crate::support::peer::{Peer, Received, Reply};
use crate::support::scratch::Scratch;
use crate::support::server::DATABASE;
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);

/// A database that answers with an invalid header, as InfluxDB 1.6.7 does when it repeats a refused line in one.
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
fn a_line_that_causes_an_unparsable_answer_is_found_and_rejected() {
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
fn no_record_is_rejected_if_no_answer_can_be_parsed() {
    let scratch = Scratch::new();
    // It answers an empty write in the same way.
    let peer = repeats("", 20);
    lay(&scratch, 1, Some("3"), lines(0..3).concat().as_bytes());
    let running = serve(&scratch, &peer.url());
    // After the first failures, the server sends an empty write to test the database.
    wait_for(SOON, "an empty write", || {
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
fn a_413_of_a_proxy_is_reported_as_the_proxys() {
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
fn a_refused_line_of_200_kilobytes_does_not_stop_delivery() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let mut lines = lines(0..20);
    // InfluxDB repeats the line in a header. Most clients refuse a header of this length.
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
