//! Single lines that InfluxDB refuses. If these tests fail, one bad record holds up or loses the good ones in its
//! batch, or the operator finds rejected records twice or not at all.

use std::fs;

use super::{LINE, create_database, lay, now, passing_on, rejected_lines, settled};
use crate::support::account::{
    MEASUREMENT, assert_exactly_once, line, lines_with, rejected, state, stored_ids,
};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::peer::{Peer, Reply};
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Server};

#[test]
fn refused_lines_that_cannot_be_kept_are_counted_and_logged_as_lost() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let start = now();
    let lines: String = (0..10)
        .map(|n| match n % 5 {
            0 => format!("{LINE} value=99999999999999999999i {}\n", start + n),
            _ => line(&format!("id{n}"), start + n),
        })
        .collect();
    lay(&scratch, &lines);
    // A file in place of the directory: as on a full disk, the directory cannot be created.
    fs::write(state(&scratch).join("rejected"), "").unwrap();
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let (totals, log) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (8, 0), "{log}");
    assert_eq!(totals.dropped, 2, "{log}");
    let logged = log.lines().find(|line| line.contains("refused 2 records"));
    let logged = logged.unwrap_or_else(|| panic!("{log}"));
    assert!(
        logged.contains("ERROR") && logged.contains("are lost"),
        "{logged}"
    );
    assert_eq!(lines_with(&log, "they are in"), 0, "{log}");
}

#[test]
fn one_bad_line_among_5000_is_found_in_few_requests_and_4999_are_stored() {
    let bad_line = |start: i64| format!("{LINE} value=99999999999999999999i {}\n", start + 1234);
    let too_old = |_: i64| format!("{LINE} value=1i 1000\n");
    // InfluxDB names an unparsable line; the server has to search for a line that is too old.
    for (bad, most) in [(bad_line as fn(i64) -> String, 3), (too_old, 30)] {
        let scratch = Scratch::new();
        let influx = Influx::start(&scratch);
        create_database(&influx, "WITH DURATION 30d");
        let counting = Peer::start(passing_on(&influx, |_, answer| answer));
        let start = now();
        let mut lines: Vec<String> = (0..5000)
            .map(|n| line(&format!("id{n}"), start + n))
            .collect();
        lines[1234] = bad(start);
        lay(&scratch, &lines.concat());
        let running = Server::new(&scratch)
            .arg("--influxdb-url", counting.url())
            .start();
        let (totals, log) = settled(&scratch, running);
        assert_eq!((totals.delivered, totals.rejected), (4999, 1), "{log}");
        assert_eq!(influx.count(DATABASE, MEASUREMENT), 4999);
        assert_eq!(rejected_lines(&scratch), [lines[1234].trim_end()]);
        let requests = counting.writes().len();
        println!("{requests} write requests for one bad line among 5000");
        assert!(requests <= most, "{requests} requests");
    }
}

#[test]
fn points_beyond_the_retention_policy_are_rejected_and_the_others_are_stored() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    create_database(&influx, "WITH DURATION 1d");
    let start = now();
    let old = (0..700).map(|n| line(&format!("old{n}"), 1_500_000_000_000_000_000 + n));
    let new = (0..300).map(|n| line(&format!("new{n}"), start + n));
    lay(&scratch, &old.chain(new).collect::<String>());
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let (totals, log) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (300, 700), "{log}");
    assert_eq!(influx.count(DATABASE, MEASUREMENT), 300);
    assert_eq!(rejected_lines(&scratch).len(), 700);
    let reason = &rejected(&scratch)[0];
    assert!(
        reason.contains("points beyond retention policy"),
        "{reason}"
    );
}

#[test]
fn a_request_that_is_too_large_is_halved_and_a_line_that_is_too_large_rejected() {
    let scratch = Scratch::new();
    let mut influx = Influx::start(&scratch).with_max_body_size(2000);
    // InfluxDB reads the size when it starts.
    influx.restart();
    let start = now();
    let mut lines: Vec<String> = (0..200)
        .map(|n| line(&format!("id{n}"), start + n))
        .collect();
    let large = "x".repeat(3000);
    lines[77] = format!("{LINE} value=1i,x_request_id=\"{large}\" {start}\n");
    lay(&scratch, &lines.concat());
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    // Later records must be stored too.
    let later = Load::new(running.addr()).each(50).run();
    let (totals, log) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (249, 1), "{log}");
    assert_eq!(rejected_lines(&scratch), [lines[77].trim_end()]);
    assert!(rejected(&scratch)[0].contains("max-body-size"));
    let mut ids = later.ids();
    ids.extend((0..200).filter(|n| *n != 77).map(|n| format!("id{n}")));
    assert_exactly_once(&ids, &stored_ids(&influx));
}

#[test]
fn a_retry_in_the_middle_of_a_search_writes_no_rejected_line_twice() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    create_database(&influx, "WITH DURATION 30d");
    let mut writes = 0;
    let peer = Peer::start(passing_on(&influx, move |request, answer| {
        if request.path() == "/write" {
            writes += 1;
            if writes == 5 {
                return Reply::status(500, "");
            }
        }
        answer
    }));
    let start = now();
    let mut lines: Vec<String> = (0..1000)
        .map(|n| line(&format!("id{n}"), start + n))
        .collect();
    for at in [10, 600] {
        lines[at] = format!("{LINE} value=1i {at}\n");
    }
    lay(&scratch, &lines.concat());
    let running = Server::new(&scratch)
        .arg("--influxdb-url", peer.url())
        .start();
    let (totals, log) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (998, 2), "{log}");
    assert_eq!(rejected_lines(&scratch).len(), 2);
    assert_eq!(influx.count(DATABASE, MEASUREMENT), 998);
}
