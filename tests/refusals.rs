//! Every answer that InfluxDB gives to a write, and what becomes of the records: a real InfluxDB where it
//! can be made to answer so, a scripted peer where it cannot.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::account::{
    MEASUREMENT, Totals, assert_exactly_once, line, lines_with, rejected, spool, spooled, state,
    stored_ids, wait_until_stored,
};
use crate::support::client::{Address, Connection};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::peer::{Peer, Received, Reply};
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
const LINE: &str = "upgrade_request,app_version=v1.0.0";

/// Nanoseconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_nanosecond() as i64
}

/// Lays a segment into the spool before the server starts.
fn lay(scratch: &Scratch, lines: &str) {
    fs::create_dir_all(spool(scratch)).unwrap();
    let name = format!("{:020}-{}.lp", 1, lines.lines().count());
    fs::write(spool(scratch).join(name), lines).unwrap();
}

fn create_database(influx: &Influx, options: &str) {
    influx.query("", &format!("CREATE DATABASE {DATABASE} {options}"));
}

/// Waits until nothing waits any more, stops the server, and checks the books.
#[track_caller]
fn settled(scratch: &Scratch, running: Running) -> (Totals, String) {
    wait_for(SOON, "an empty spool", || spooled(scratch).is_empty());
    let log = running.terminate().stderr;
    let totals = Totals::of(&log);
    totals.assert_add_up(scratch);
    (totals, log)
}

/// The lines of the rejected files without the reasons.
fn rejected_lines(scratch: &Scratch) -> Vec<String> {
    let mut lines = rejected(scratch);
    lines.retain(|line| !line.starts_with('#'));
    lines
}

#[test]
fn a_field_of_another_type_is_rejected_with_the_reason_and_the_others_are_stored() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    create_database(&influx, "");
    // InfluxDB keeps the types of fields by shard, so it has to be a point of today.
    influx.write(DATABASE, "upgrade_request value=1i,node_count=\"three\"");
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let refused = Load::new(running.addr())
        .body(r#"{"appVersion":"v1.0.0","extraFieldInfo":{"nodeCount":3}}"#)
        .each(20)
        .run();
    let stored = Load::new(running.addr()).each(30).run();
    wait_until_stored(&influx, 1 + stored.acknowledged.len(), SOON);
    let (totals, log) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (30, 20), "{log}");
    assert_eq!(rejected_lines(&scratch).len(), 20);
    let reasons = rejected(&scratch);
    assert!(reasons[0].contains("field type conflict"), "{reasons:?}");
    assert!(lines_with(&log, "field type conflict") >= 1, "{log}");
    let in_file = |id: &String| {
        reasons
            .iter()
            .any(|line| line.contains(&format!("\"{id}\"")))
    };
    assert!(refused.ids().iter().all(in_file));
}

#[test]
fn a_line_that_another_shard_has_stored_is_not_rejected_for_a_field_of_its_type() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    create_database(&influx, "");
    let this_week = now();
    // Shards hold a week.
    let last_month = this_week - 30 * 86_400_000_000_000;
    influx.write(
        DATABASE,
        &format!("upgrade_request value=1i,f=1 {this_week}"),
    );
    let lines = |start: i64, fields: &'static str| {
        (1..=10).map(move |n| format!("{LINE} value=1i{fields} {}\n", start + n))
    };
    let text = lines(last_month, ",f=\"a\"").chain(lines(this_week, ",f=\"a\""));
    let text = text.chain(lines(this_week + 100, ""));
    lay(&scratch, &text.collect::<String>());
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let (totals, log) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (20, 10), "{log}");
    assert_eq!(influx.count(DATABASE, MEASUREMENT), 1 + 20);
    let refused: Vec<String> = lines(this_week, ",f=\"a\"").collect();
    assert_eq!(rejected_lines(&scratch).join("\n") + "\n", refused.concat());
}

#[test]
fn refused_lines_that_cannot_be_kept_are_counted_and_said_as_lost() {
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
    // Where a disk is full, no directory can be made either.
    fs::write(state(&scratch).join("rejected"), "").unwrap();
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let (totals, log) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (8, 0), "{log}");
    assert_eq!(totals.dropped, 2, "{log}");
    let said = log.lines().find(|line| line.contains("refused 2 records"));
    let said = said.unwrap_or_else(|| panic!("{log}"));
    assert!(
        said.contains("ERROR") && said.contains("are lost"),
        "{said}"
    );
    assert_eq!(lines_with(&log, "they are in"), 0, "{log}");
}

#[test]
fn a_new_field_with_two_types_in_one_batch_keeps_the_records_of_one() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let start = now();
    let lines: String = (0..100)
        .map(|n| match n % 2 {
            0 => format!("{LINE} value=1i,f=1 {}\n", start + n),
            _ => format!("{LINE} value=1i,f=\"a\" {}\n", start + n),
        })
        .collect();
    lay(&scratch, &lines);
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let (totals, _) = settled(&scratch, running);
    assert_eq!((totals.delivered, totals.rejected), (50, 50));
    assert_eq!(influx.count(DATABASE, MEASUREMENT), 50);
    assert_eq!(rejected_lines(&scratch).len(), 50);
}

#[test]
fn one_bad_line_among_5000_is_found_in_few_requests_and_4999_are_stored() {
    let bad_line = |start: i64| format!("{LINE} value=99999999999999999999i {}\n", start + 1234);
    let too_old = |_: i64| format!("{LINE} value=1i 1000\n");
    // An unparsable line is named by InfluxDB, one that is too old has to be searched for.
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
    let influx = Influx::start(&scratch).with_max_body_size(2000);
    // The size is read at the start.
    let mut influx = influx;
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
    // The next ones are not sent in requests of their own for that.
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
fn a_database_that_is_dropped_is_made_again() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    Load::new(running.addr()).each(10).run();
    wait_until_stored(&influx, 10, SOON);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    influx.query("", &format!("DROP DATABASE {DATABASE}"));
    let later = Load::new(running.addr()).each(10).run();
    wait_until_stored(&influx, 10, SOON);
    settled(&scratch, running);
    assert_exactly_once(&later.ids(), &stored_ids(&influx));
}

#[test]
fn a_wrong_password_keeps_the_records_until_it_is_mended() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch).with_admin("admin", "secret");
    influx.restart();
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--influxdb-user", "responder")
        .arg("--influxdb-pass", "open sesame")
        .start();
    let outcome = Load::new(running.addr()).each(10).run();
    wait_for(SOON, "the refusal", || {
        running.log().contains("access denied")
    });
    influx.query(
        "",
        "CREATE USER responder WITH PASSWORD 'open sesame' WITH ALL PRIVILEGES",
    );
    wait_until_stored(&influx, 10, SOON);
    let (_, log) = settled(&scratch, running);
    assert_exactly_once(&outcome.ids(), &stored_ids(&influx));
    assert_eq!(lines_with(&log, "access denied"), 1, "{log}");
    assert_eq!(lines_with(&log, "takes records again"), 1, "{log}");
    assert!(
        !log.contains("open sesame"),
        "the password is in the log: {log}"
    );
}

/// Passes requests on to a real InfluxDB; `change` sees a request and may change the answer.
fn passing_on(
    influx: &Influx,
    mut change: impl FnMut(&Received, Reply) -> Reply + Send + 'static,
) -> impl FnMut(&Received) -> Reply + Send + 'static {
    let address: Address = influx.addr();
    move |request| {
        let mut connection = Connection::open(&address).unwrap();
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let (method, target) = (&request.method, &request.target);
        let answer = connection.request(method, target, &headers, &request.body);
        let answer = answer.unwrap();
        change(request, Reply::status(answer.status, &answer.text()))
    }
}

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
    assert_eq!(
        writes[0], writes[1],
        "a retry has to be byte for byte the same"
    );
}

/// What InfluxDB does once, and how long the server then waits before it tries again.
struct Case {
    reply: Reply,
    at_least: Duration,
    at_most: Duration,
    /// What the log says of it.
    said: &'static str,
}

#[test]
fn what_passes_is_tried_again_with_the_same_bytes_in_good_time() {
    let seconds = Duration::from_secs_f64;
    let case = |reply, at_least, at_most, said| Case {
        reply,
        at_least: seconds(at_least),
        at_most: seconds(at_most),
        said,
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
            scope.spawn(|| try_again(case));
        }
    });
}

fn try_again(case: Case) {
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
    println!("{}: tried again after {took:?}", case.said);
    assert!(took >= case.at_least, "{}: after {took:?}", case.said);
    assert!(took <= case.at_most, "{}: after {took:?}", case.said);
    let writes = peer.writes();
    assert_eq!(writes[0], writes[1]);
    assert_eq!(totals.delivered, 10);
    assert_eq!(lines_with(&log, case.said), 1, "{log}");
    assert_eq!(lines_with(&log, "takes records again"), 1, "{log}");
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
