//! The HTTP protocol: status, message, and whether the connection stays open. If these tests failed, clients would get
//! errors for valid requests, or parts of a refused request would be recorded.

use std::time::Duration;

use crate::support::client::{Address, Connection};
use crate::support::scratch::Scratch;
use crate::support::server::{Running, Server};
use crate::support::spool;

const CHECK_IN: &str = "POST /v1/checkupgrade HTTP/1.1\r\nHost: localhost\r\n";
/// A check-in that must not be recorded, because it is part of a body.
const SMUGGLED: &str = "POST /v1/checkupgrade HTTP/1.1\r\nHost: localhost\r\nContent-Length: 25\r\n\r\n{\"appVersion\":\"smuggled\"}";

fn started(scratch: &Scratch) -> Running {
    Server::new(scratch).without("--geodb").start()
}

/// Sends bytes over a new connection and reads until the server closes it.
#[track_caller]
fn exchange(address: &Address, bytes: &str) -> String {
    let mut connection = Connection::open(address).unwrap();
    connection.send(bytes.as_bytes()).unwrap();
    let all = connection.read_until_close().unwrap();
    String::from_utf8(all).unwrap()
}

#[test]
fn refused_requests_get_the_reason_and_keep_the_connection_usable() {
    let scratch = Scratch::new();
    let running = started(&scratch);
    let mut connection = running.connect();
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, u16, &str)] = &[
        ("POST", "/v1/checkupgrade", "", 400, "the body ends too early (line 1, column 0)"),
        ("POST", "/v1/checkupgrade", "{\n\"secret\":", 400, "the body ends too early (line 2, column 9)"),
        ("POST", "/v1/checkupgrade", "{\"secret\" 1}", 400, "the body is not valid JSON (line 1, column 11)"),
        ("POST", "/v1/checkupgrade", "{} secret", 400, "the body is not valid JSON (line 1, column 4)"),
        ("POST", "/v1/checkupgrade", r#"{"extraFieldInfo":{"secret":1e400}}"#, 400, "the body holds a number that is out of range for a 64-bit float (line 1, column 33)"),
        ("POST", "/v1/checkupgrade", "[]", 400, "the body is not a JSON object (line 1, column 0)"),
        ("POST", "/v1/checkupgrade", "\"secret\"", 400, "the body is not a JSON object (line 1, column 8)"),
        ("POST", "/v1/checkupgrade", r#"{"appVersion":7}"#, 400, "appVersion is not a string"),
        ("POST", "/v1/checkupgrade", r#"{"extraTagInfo":{"secret":1}}"#, 400, "extraTagInfo is not an object of strings"),
        ("POST", "/v1/checkupgrade", r#"{"extraTagInfo":"secret"}"#, 400, "extraTagInfo is not an object of strings"),
        ("POST", "/v1/checkupgrade", r#"{"extraInfo":["secret"]}"#, 400, "extraInfo is not an object of strings"),
        ("POST", "/v1/checkupgrade", r#"{"extraFieldInfo":"secret"}"#, 400, "extraFieldInfo is not an object"),
        ("GET", "/v1/checkupgrade", "", 405, "method not allowed, expected POST"),
        ("DELETE", "/v1/checkupgrade/", "", 405, "method not allowed, expected POST"),
        ("POST", "/v1/healthcheck", "{}", 405, "method not allowed, expected GET, HEAD"),
        ("POST", "/v2/secret", "{}", 404, "unknown path"),
        ("GET", "/", "", 404, "unknown path"),
        ("GET", "//v1/healthcheck", "", 404, "unknown path"),
    ];
    for (method, target, body, status, message) in rows {
        let answer = connection.request(method, target, &[], body.as_bytes());
        let answer = answer.unwrap_or_else(|e| panic!("{method} {target} {body}: {e}"));
        assert_eq!(answer.status, *status, "{method} {target} {body}");
        assert_eq!(
            answer.text(),
            format!("{{\"error\":\"{message}\"}}\n"),
            "{body}"
        );
        assert_eq!(answer.headers.get("Content-Type"), Some("application/json"));
        let allow = (*status == 405).then(|| message.split_once("expected ").unwrap().1);
        assert_eq!(answer.headers.get("Allow"), allow);
    }
    assert_eq!(connection.post_checkin("{}", &[]).unwrap().status, 200);
    running.terminate();
    assert_eq!(spool::points(&scratch), ["upgrade_request value=1i"]);
}

#[test]
fn targets_of_all_forms_are_accepted() {
    let scratch = Scratch::new();
    let running = started(&scratch);
    let mut connection = running.connect();
    let targets = [
        "/v1/checkupgrade",
        "/v1/checkupgrade/",
        "/v1/checkupgrade?utm=x",
        "http://updates.example.com/v1/checkupgrade",
        "http://updates.example.com:8314/v1/checkupgrade/?a",
    ];
    for target in targets {
        let answer = connection.request("POST", target, &[], b"{}").unwrap();
        assert_eq!(answer.status, 200, "{target}");
    }
    let health = connection
        .request("GET", "/v1/healthcheck", &[], b"")
        .unwrap();
    assert_eq!((health.status, health.body.len()), (200, 0));
    running.terminate();
    assert_eq!(spool::points(&scratch).len(), targets.len());
}

#[test]
fn a_body_at_the_limit_is_accepted_and_one_byte_more_is_not() {
    let scratch = Scratch::new();
    let running = started(&scratch);
    let padded = |length: usize| format!("{{{}}}", " ".repeat(length - 2));
    let chunked = |body: &str| {
        let (first, second) = body.split_at(body.len() / 2);
        let chunk = |part: &str| format!("{:x}\r\n{part}\r\n", part.len());
        format!(
            "{CHECK_IN}Transfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
            chunk(first),
            chunk(second)
        )
    };
    let mut connection = running.connect();
    assert_eq!(
        connection
            .post_checkin(&padded(65_536), &[])
            .unwrap()
            .status,
        200
    );
    connection
        .send(chunked(&padded(65_536)).as_bytes())
        .unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);

    let too_large = "{\"error\":\"the body is larger than 65536 bytes\"}\n";
    let by_length = format!("{CHECK_IN}Content-Length: 65537\r\n\r\n{}", padded(65_537));
    for request in [by_length, chunked(&padded(65_537))] {
        let answer = exchange(running.addr(), &format!("{request}{SMUGGLED}"));
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.ends_with(too_large), "{answer}");
    }
    running.terminate();
    assert_eq!(spool::points(&scratch).len(), 2);
}

#[test]
fn requests_of_ambiguous_length_are_refused_and_end_the_connection() {
    let scratch = Scratch::new();
    let running = started(&scratch);
    let ambiguous = "{\"error\":\"the length of the request is ambiguous\"}\n";
    #[rustfmt::skip]
    let rows = [
        ("Content-Length: 2\r\nContent-Length: 2\r\n", ambiguous),
        ("Content-Length: 2\r\nContent-Length: 200\r\n", ambiguous),
        ("Content-Length: 2, 2\r\n", ambiguous),
        ("Content-Length: two\r\n", ambiguous),
        ("Content-Length: +2\r\n", ambiguous),
        ("Content-Length: -2\r\n", ambiguous),
        ("Content-Length: 0x2\r\n", ambiguous),
        // More than fits into 64 bits.
        ("Content-Length: 99999999999999999999\r\n", ambiguous),
        ("Content-Length:\r\n", ambiguous),
        (": x\r\nContent-Length: 2\r\n", "{\"error\":\"a header has no name\"}\n"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ambiguous),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n", "{\"error\":\"connection upgrades are not supported\"}\n"),
        // tiny_http refuses these, without a body.
        ("Content-Length : 2\r\n", "\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "\r\n\r\n"),
        ("Transfer-Encoding: gzip\r\n", "\r\n\r\n"),
    ];
    for (headers, end) in rows {
        let request = format!("{CHECK_IN}{headers}\r\n{{}}{SMUGGLED}");
        let answer = exchange(running.addr(), &request);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{headers}: {answer}");
        assert!(answer.ends_with(end), "{headers}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{headers}: {answer}"
        );
    }
    running.terminate();
    assert_eq!(spool::points(&scratch), [""; 0]);
}

#[test]
fn requests_without_a_valid_request_line_get_400() {
    let scratch = Scratch::new();
    let running = started(&scratch);
    for request in ["nonsense\r\n\r\n", "POST /v1/checkupgrade\r\n\r\n"] {
        let answer = exchange(running.addr(), request);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}: {answer}");
    }
    assert_eq!(
        running.connect().post_checkin("{}", &[]).unwrap().status,
        200
    );
    running.terminate();
    assert_eq!(spool::points(&scratch).len(), 1);
}

#[test]
fn a_chunked_body_and_the_request_after_it_are_read() {
    let scratch = Scratch::new();
    let running = started(&scratch);
    // The last two are not valid by RFC 9112, section 7.1. tiny_http accepts them, as SECURITY.md states.
    let sizes = ["d", "D", "00000000000000000000d", "+d", " d "];
    let mut connection = running.connect();
    for size in sizes {
        let chunks =
            format!("{size}\r\n{{\"appVersion\"\r\n7;name=value\r\n: \"v1\"}}\r\n0\r\n\r\n");
        let request = format!("{CHECK_IN}Transfer-Encoding: chunked\r\n\r\n{chunks}");
        connection
            .send(format!("{request}{request}").as_bytes())
            .unwrap();
        for _ in 0..2 {
            assert_eq!(connection.read_response().unwrap().status, 200, "{size:?}");
        }
    }
    running.terminate();
    assert_eq!(
        spool::points(&scratch),
        ["upgrade_request,app_version=v1 value=1i"; 10]
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let scratch = Scratch::new();
    let running = started(&scratch);
    let check_in = format!("{CHECK_IN}Content-Length: 2\r\n\r\n{{}}");
    let health = "GET /v1/healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let unknown = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /v1/healthcheck HTTP/1.1\r\nConnection: close\r\n\r\n";
    let mut connection = running.connect();
    let all = [&check_in, health, unknown, &check_in, last, &check_in].concat();
    connection.send(all.as_bytes()).unwrap();
    let versions = running.connect().post_checkin("{}", &[]).unwrap().text();
    let not_found = "{\"error\":\"unknown path\"}\n";
    for (status, body) in [
        (200, &*versions),
        (200, ""),
        (404, not_found),
        (200, &versions),
        (200, ""),
    ] {
        let answer = connection.read_response().unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (status, body));
    }
    // The request after `Connection: close` is not read.
    assert_eq!(connection.read_until_close().unwrap(), b"");
    running.terminate();
    assert_eq!(spool::points(&scratch).len(), 3);
}

#[test]
fn http_1_0_and_head_requests_get_the_answers_that_clients_expect() {
    let scratch = Scratch::new();
    let running = started(&scratch);
    let old = exchange(
        running.addr(),
        "POST /v1/checkupgrade HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
    );
    assert!(old.starts_with("HTTP/1.1 200 "), "{old}");
    assert!(old.ends_with("\"requestIntervalInMinutes\":60}"), "{old}");
    let rows = [
        ("/v1/healthcheck", "200"),
        ("/v1/checkupgrade", "405"),
        ("/x", "404"),
    ];
    for (target, status) in rows {
        let head = format!("HEAD {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = exchange(running.addr(), &head);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn a_client_gets_100_continue_only_for_a_body_within_the_limit() {
    let scratch = Scratch::new();
    let running = started(&scratch);
    let mut connection = running.connect();
    let expecting = |length: usize| {
        format!("{CHECK_IN}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };
    connection.send(expecting(2).as_bytes()).unwrap();
    connection.set_limit(Duration::from_millis(50)).unwrap();
    // The client skips the interim answer. There is no other one before the body is sent.
    assert!(connection.read_response().is_err());
    connection.set_limit(Duration::from_secs(10)).unwrap();
    connection.send(b"{}").unwrap();
    assert_eq!(connection.read_response().unwrap().status, 200);

    let mut connection = running.connect();
    connection.send(expecting(70_000).as_bytes()).unwrap();
    let answer = connection.read_response().unwrap();
    assert_eq!(
        (answer.status, answer.text().contains("65536")),
        (413, true)
    );
}
