//! The second write protocol, tested with a simulated server that answers as InfluxDB 2.x and 3.x document it; neither
//! version is in Debian. If these tests fail, operators of these versions lose records or send refused ones repeatedly.

use std::fs;
use std::time::Duration;

use crate::support::account::{Totals, line, rejected, spool, spooled};
use crate::support::influx::Influx;
use crate::support::peer::{Peer, Received, Reply};
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
const WRITE: &str = "/api/v2/write";

fn now() -> i64 {
    jiff::Timestamp::now().as_nanosecond() as i64
}

/// Writes a segment of records with the ids 0, 1, … into the spool.
fn lay(scratch: &Scratch, records: usize) {
    let first = now();
    let lines: Vec<String> = (0..records)
        .map(|n| line(&format!("id{n}"), first + n as i64))
        .collect();
    fs::create_dir_all(spool(scratch)).unwrap();
    let name = format!("{:020}-{records}.lp", 1);
    fs::write(spool(scratch).join(name), lines.concat()).unwrap();
}

/// A simulated server of the second protocol. `reply` answers writes of records; other writes get success.
fn stand_in(mut reply: impl FnMut(&str) -> Option<Reply> + Send + 'static) -> Peer {
    Peer::start(move |request| {
        if request.path() != WRITE {
            return Reply::status(404, "404 page not found");
        }
        let is_of_records = request.text().starts_with("upgrade_request,");
        let given = is_of_records.then(|| reply(&request.text())).flatten();
        given.unwrap_or_else(|| Reply::status(204, ""))
    })
}

fn server(scratch: &Scratch, peer: &Peer) -> Server {
    Server::new(scratch)
        .arg("--influxdb-url", peer.url())
        .arg("--influxdb-token", "t0ken")
        .arg("--influxdb-org", "my org")
}

/// The writes of records, in order.
fn writes(peer: &Peer) -> Vec<Received> {
    let mut received = peer.received();
    received.retain(|r| r.path() == WRITE && r.text().starts_with("upgrade_request,"));
    received
}

#[track_caller]
fn settled(scratch: &Scratch, running: Running) -> (Totals, String) {
    wait_for(SOON, "an empty spool", || spooled(scratch).is_empty());
    let log = running.terminate().stderr;
    let totals = Totals::of(&log);
    totals.assert_add_up(scratch);
    (totals, log)
}

/// Delivers 8 records to a simulated server; returns the counters, the log, the rejected lines and the number of
/// writes.
#[track_caller]
fn deliver(
    reply: impl FnMut(&str) -> Option<Reply> + Send + 'static,
) -> (Totals, String, Vec<String>, usize) {
    let scratch = Scratch::new();
    let peer = stand_in(reply);
    lay(&scratch, 8);
    let (totals, log) = settled(&scratch, server(&scratch, &peer).start());
    (totals, log, rejected(&scratch), writes(&peer).len())
}

/// Answers the first write with `reply`, and later ones with success.
fn once(reply: Reply) -> impl FnMut(&str) -> Option<Reply> + Send {
    let mut reply = Some(reply);
    move |_| reply.take()
}

#[test]
fn a_token_selects_the_protocol_and_no_query_is_sent() {
    let scratch = Scratch::new();
    let peer = stand_in(|_| None);
    lay(&scratch, 3);
    let (totals, log) = settled(&scratch, server(&scratch, &peer).start());
    assert_eq!(totals.delivered, 3, "{log}");
    let written = &writes(&peer)[0];
    for part in [format!("bucket={DATABASE}"), "precision=ns".to_owned()] {
        assert!(written.target.contains(&part), "{}", written.target);
    }
    let org = ["org=my%20org", "org=my+org"];
    assert!(
        org.iter().any(|org| written.target.contains(org)),
        "{}",
        written.target
    );
    assert_eq!(written.headers.get("Authorization"), Some("Token t0ken"));
    assert!(peer.received().iter().all(|r| r.path() != "/query"));
    assert!(!log.contains("t0ken"), "{log}");
}

#[test]
fn the_token_is_read_from_the_credential_of_systemd() {
    let scratch = Scratch::new();
    let peer = stand_in(|_| None);
    let credential = scratch.write("influxdb-token", "from systemd\n");
    lay(&scratch, 1);
    let running = Server::new(&scratch)
        .arg("--influxdb-url", peer.url())
        .env("CREDENTIALS_DIRECTORY", credential.parent().unwrap())
        .start();
    settled(&scratch, running);
    let written = &writes(&peer)[0];
    let token = written.headers.get("Authorization");
    assert_eq!(token, Some("Token from systemd"));
    assert!(!written.target.contains("org="), "{}", written.target);
}

#[test]
fn a_refused_token_is_read_again_from_its_file() {
    let scratch = Scratch::new();
    let token = scratch.write("token", "old\n");
    let peer = Peer::start(|request| match request.headers.get("Authorization") {
        Some("Token new") => Reply::status(204, ""),
        _ => Reply::status(
            401,
            r#"{"code":"unauthorized","message":"unauthorized access"}"#,
        ),
    });
    lay(&scratch, 2);
    let running = Server::new(&scratch)
        .arg("--influxdb-url", peer.url())
        .arg("--influxdb-token-file", &token)
        .arg("--influxdb-bucket", "other")
        .start();
    wait_for(SOON, "the error", || {
        running.log().contains("unauthorized access")
    });
    fs::write(&token, "new\n").unwrap();
    let (totals, log) = settled(&scratch, running);
    assert_eq!(totals.delivered, 2, "{log}");
    assert!(log.contains("is read again before each retry"), "{log}");
    let last = writes(&peer).pop().unwrap();
    assert!(last.target.contains("bucket=other"), "{}", last.target);
}

#[test]
fn of_2_x_a_field_of_another_type_is_rejected_and_the_others_are_stored() {
    let message = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict: input field \"value\" on measurement \"upgrade_request\" is type integer, already exists as type float dropped=8"}"#;
    let (totals, log, kept, writes) = deliver(once(Reply::status(422, message)));
    assert_eq!((totals.delivered, totals.rejected), (0, 8), "{log}");
    assert_eq!(
        writes, 1,
        "the refusal applies to all lines, so nothing is sent again"
    );
    assert!(kept[0].contains("field type conflict"), "{kept:?}");
}

#[test]
fn of_2_x_points_beyond_the_retention_are_found() {
    let (totals, log, kept, _) = deliver(|text| {
        let message = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: points beyond retention policy dropped=1"}"#;
        text.contains("\"id5\"")
            .then(|| Reply::status(422, message))
    });
    assert_eq!((totals.delivered, totals.rejected), (7, 1), "{log}");
    assert!(kept[1].contains("\"id5\"") && kept.len() == 2, "{kept:?}");
}

#[test]
fn of_2_x_a_malformed_line_is_rejected_and_the_rest_is_sent_again() {
    let (totals, log, kept, writes) = deliver(|text| {
        let bad = text.lines().find(|line| line.contains("\"id2\""))?;
        let message = format!("unable to parse '{bad}': invalid field format");
        let body = serde_json::json!({"code": "invalid", "message": message});
        Some(Reply::status(400, &body.to_string()))
    });
    assert_eq!((totals.delivered, totals.rejected), (7, 1), "{log}");
    assert_eq!(
        writes, 2,
        "nothing of the first write was stored, so the rest is sent again"
    );
    assert!(kept[1].contains("\"id2\""), "{kept:?}");
}

#[test]
fn of_3_x_lines_that_are_named_by_number_are_rejected() {
    let (totals, log, kept, writes) = deliver(|text| {
        let refused: Vec<serde_json::Value> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains("\"id0\"") || line.contains("\"id6\""))
            .map(|(at, line)| {
                serde_json::json!({
                    "original_line": line,
                    "line_number": at + 1,
                    "error_message": "invalid column type for column 'value', expected iox::column_type::field::float, got iox::column_type::field::integer",
                })
            })
            .collect();
        let body = serde_json::json!({
            "error": "partial write of line protocol occurred",
            "data": refused,
        });
        (!refused.is_empty()).then(|| Reply::status(400, &body.to_string()))
    });
    assert_eq!((totals.delivered, totals.rejected), (6, 2), "{log}");
    assert_eq!(
        writes, 2,
        "InfluxDB names at most 100 lines, so the others are sent again"
    );
    assert!(kept[0].contains("invalid column type"), "{kept:?}");
    let all = kept.join("\n");
    assert!(all.contains("\"id0\"") && all.contains("\"id6\""), "{all}");
}

#[test]
fn of_3_x_numbers_that_name_no_line_do_not_end_in_a_loop() {
    let (totals, log, _, writes) = deliver(|_| {
        let body = r#"{"error":"parsing failed for write_lp endpoint","data":{"original_line":"","line_number":999,"error_message":"x"}}"#;
        Some(Reply::status(400, body))
    });
    assert_eq!((totals.delivered, totals.rejected), (0, 8), "{log}");
    assert_eq!(writes, 15, "halved down to single lines");
}

#[test]
fn a_request_that_is_too_large_is_halved() {
    let (totals, log, _, _) = deliver(|text| {
        let body = r#"{"code":"request too large","message":"unable to read data: points batch is too large"}"#;
        (text.lines().count() > 3).then(|| Reply::status(413, body))
    });
    assert_eq!((totals.delivered, totals.rejected), (8, 0), "{log}");
}

#[test]
fn contradicting_types_in_one_first_batch_are_halved() {
    let (totals, log, _, _) = deliver(|text| {
        let body = r#"{"code":"internal error","message":"unexpected error writing points to database: field type conflict"}"#;
        (text.lines().count() > 4).then(|| Reply::status(500, body))
    });
    assert_eq!((totals.delivered, totals.rejected), (8, 0), "{log}");
}

#[test]
fn a_failure_that_passes_is_retried() {
    let later = r#"{"code":"unavailable","message":"service unavailable"}"#;
    for reply in [
        Reply::status(503, later).with_header("Retry-After", "1"),
        Reply::status(429, r#"{"code":"too many requests","message":"try later"}"#),
        Reply::status(500, r#"{"code":"internal error","message":"oops"}"#),
    ] {
        let (totals, log, _, writes) = deliver(once(reply));
        assert_eq!((totals.delivered, writes), (8, 2), "{log}");
    }
}

#[test]
fn a_missing_bucket_keeps_the_records_and_logs_what_to_do() {
    let body = r#"{"code":"not found","message":"bucket \"myapp_upgrade_responder\" not found"}"#;
    let (totals, log, _, _) = deliver(once(Reply::status(404, body)));
    assert_eq!(totals.delivered, 8, "{log}");
    assert!(log.contains("create the bucket"), "{log}");
}

#[test]
fn check_config_tests_2_x_with_an_empty_write() {
    let scratch = Scratch::new();
    let peer =
        Peer::start(
            |request| match (request.path(), request.headers.get("Authorization")) {
                ("/ping", _) => Reply::status(204, "").with_header("X-Influxdb-Version", "v2.7.11"),
                (WRITE, Some("Token t0ken")) => Reply::status(
                    400,
                    r#"{"code":"invalid","message":"writing requires points"}"#,
                ),
                _ => Reply::status(
                    401,
                    r#"{"code":"unauthorized","message":"unauthorized access"}"#,
                ),
            },
        );
    let good = server(&scratch, &peer).other_command("check-config", &["--online"]);
    assert_eq!(good.code, Some(0), "{}{}", good.stdout, good.stderr);
    for text in ["InfluxDB version", "is permitted", "my org", DATABASE] {
        assert!(good.stdout.contains(text), "{text}: {}", good.stdout);
    }
    let denied = server(&scratch, &peer).arg("--influxdb-token", "wrong");
    let denied = denied.other_command("check-config", &["--online"]);
    assert_eq!(denied.code, Some(78), "{}", denied.stdout);
    assert!(denied.stderr.contains("access denied"), "{}", denied.stderr);
    let bad = server(&scratch, &peer).arg("--influxdb-api", "v3");
    assert!(bad.expect_exit(2).stderr.contains("--influxdb-api"));
}

#[test]
fn check_config_names_the_protocol_of_the_database_if_the_other_was_chosen() {
    let scratch = Scratch::new();
    let peer = Peer::start(|_| Reply::status(204, "").with_header("X-Influxdb-Version", "v2.7.11"));
    let by_v1 = Server::new(&scratch).arg("--influxdb-url", peer.url());
    let output = by_v1.other_command("check-config", &["--online"]).stdout;
    let warning = "warning:           InfluxDB v2.7.11 is used with --influxdb-api v1, expected v2: give --influxdb-token-file";
    assert!(output.contains(warning), "{output}");
    let influx = Influx::start(&scratch);
    let by_v2 = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--influxdb-api", "v2");
    let ended = by_v2.other_command("check-config", &["--online"]);
    let warning = "is used with --influxdb-api v2, expected v1";
    assert!(
        ended.stdout.contains(warning),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
}
