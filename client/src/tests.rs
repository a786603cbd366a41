//! Checks against a test server with prepared answers, with minutes of some milliseconds.

mod server;

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Answer, CheckError, Checker, Checks, Decision};
use server::{Reply, Server};

const MINUTE: Duration = Duration::from_millis(50);
/// Time limit of each wait.
const SOON: Duration = Duration::from_secs(20);
const ANSWER: &str = r#"{"versions":[{"name":"v1.1.0","releaseDate":"2024-06-20T00:00:00Z",
    "minUpgradableVersion":"","tags":["latest"]}],"requestIntervalInMinutes":"#;

type Outcomes = Receiver<Result<Answer, CheckError>>;

/// The answer with this interval.
fn every(minutes: &str) -> Reply {
    Reply::status(200, &format!("{ANSWER}{minutes}}}"))
}

fn checker(url: &str) -> Checker {
    let builder = Checker::builder(url, "v1.0.0").minute(MINUTE);
    let builder = builder.interval(MINUTE).start_within(Duration::ZERO);
    builder.build().unwrap()
}

fn spawned(checker: &Checker) -> (Checks, Outcomes) {
    let (sender, outcomes) = channel();
    // Sending fails once the test has dropped the receiver.
    let callback = move |outcome| drop(sender.send(outcome));
    (checker.spawn(callback).unwrap(), outcomes)
}

#[track_caller]
fn next(outcomes: &Outcomes) -> Result<Answer, CheckError> {
    outcomes.recv_timeout(SOON).unwrap()
}

#[test]
fn a_server_that_says_0_says_nonsense_stops_and_comes_back() {
    let replies = [
        every("0"),
        every("0"),
        Reply::status(200, "<html>"),
        Reply::Hang,
    ];
    let server = Server::script(replies);
    let url = server.url();
    let checker = Checker::builder(&url, "v1.0.0").minute(MINUTE);
    let checker = checker.interval(MINUTE).start_within(Duration::ZERO);
    let checker = checker.timeout(MINUTE).build().unwrap();
    let (checks, outcomes) = spawned(&checker);
    for _ in 0..2 {
        let answer = next(&outcomes).unwrap();
        assert_eq!(answer.interval, MINUTE);
        assert!(matches!(answer.decision, Decision::Upgrade { to } if to.name == "v1.1.0"));
    }
    assert!(matches!(next(&outcomes), Err(CheckError::NotUnderstood(_))));
    assert!(matches!(next(&outcomes), Err(CheckError::Unreachable(_))));
    let port = server.port();
    let gaps = server.gaps();
    drop(server);
    assert!(matches!(next(&outcomes), Err(CheckError::Unreachable(_))));
    let server = Server::on(port, [Reply::status(503, ""), every("1")]);
    let found = loop {
        match next(&outcomes) {
            Err(CheckError::Unreachable(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(found, Err(CheckError::Status { status: 503, .. })));
    assert!(next(&outcomes).is_ok());
    checks.stop();
    for gap in gaps.iter().chain(&server.gaps()) {
        assert!(*gap >= MINUTE, "{gap:?}");
    }
}

#[test]
fn stopping_returns_at_once_and_no_outcome_follows() {
    let server = Server::script([Reply::Hang]);
    let (checks, outcomes) = spawned(&checker(&server.url()));
    server.wait_for(1);
    let start = Instant::now();
    checks.stop();
    assert!(start.elapsed() < Duration::from_secs(1));
    // The server ends the request, so the thread ends and drops the sender.
    drop(server);
    assert!(outcomes.recv_timeout(SOON).is_err());
}

#[test]
fn a_stop_in_the_midst_of_a_pause_ends_the_thread() {
    let server = Server::script([every("10000")]);
    let (checks, outcomes) = spawned(&checker(&server.url()));
    assert!(next(&outcomes).is_ok());
    checks.clone().stop();
    let start = Instant::now();
    assert!(outcomes.recv_timeout(SOON).is_err());
    assert!(start.elapsed() < SOON);
}

#[test]
fn clones_share_one_request_an_interval() {
    let server = Server::script([every("10000")]);
    let checker = checker(&server.url());
    let first = checker.check().unwrap();
    assert_eq!(checker.clone().check(), Ok(first));
    let (_checks, outcomes) = spawned(&checker);
    assert!(outcomes.recv_timeout(3 * MINUTE).is_err());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_failure_too_takes_an_interval() {
    let server = Server::script([Reply::status(500, "{\"error\":\"no\u{1b}[31m\"}\nmore")]);
    let checker = Checker::builder(server.url(), "v1.0.0").build().unwrap();
    let error = checker.check().unwrap_err();
    let message = "{\"error\":\"no[31m\"}".to_owned();
    assert_eq!(
        error,
        CheckError::Status {
            status: 500,
            message
        }
    );
    assert!(matches!(checker.check(), Err(CheckError::TooSoon { .. })));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Server::script([]);
    for status in [301, 302, 303, 307, 308] {
        let there = elsewhere.url();
        let redirect =
            format!("HTTP/1.1 {status} X\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::script([Reply::Bytes(redirect.into_bytes())]);
        let found = checker(&server.url()).check();
        assert!(matches!(found, Err(CheckError::Status { status: is, .. }) if is == status));
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn of_an_answer_at_most_a_mebibyte_is_read() {
    let of = |length: usize| Reply::status(200, &format!("{ANSWER}1}}{}", " ".repeat(length)));
    let server = Server::script([of(1024 * 1024)]);
    let found = checker(&server.url()).check();
    assert!(
        matches!(found, Err(CheckError::NotUnderstood(_))),
        "{found:?}"
    );
    let server = Server::script([of(1000 * 1024)]);
    assert!(checker(&server.url()).check().is_ok());
    // The endless body reaches the limit on its size before the time-out.
    let server = Server::script([Reply::Endless]);
    let found = checker(&server.url()).check();
    assert!(
        matches!(found, Err(CheckError::NotUnderstood(_))),
        "{found:?}"
    );
}

#[test]
fn silence_and_what_is_no_http_are_errors() {
    for reply in [
        Reply::Hang,
        Reply::Trickle,
        Reply::Bytes(Vec::new()),
        Reply::Bytes(b"SSH-2.0\r\n".into()),
    ] {
        let server = Server::script([reply]);
        let checker = Checker::builder(server.url(), "v1.0.0").timeout(Duration::from_millis(300));
        let start = Instant::now();
        let found = checker.build().unwrap().check();
        assert!(
            matches!(found, Err(CheckError::Unreachable(_))),
            "{found:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn switched_off_nothing_is_sent() {
    let server = Server::script([]);
    let checker = Checker::builder(server.url(), "v1.0.0").enabled(false);
    let checker = checker.start_within(Duration::ZERO).build().unwrap();
    assert!(!checker.is_enabled());
    assert_eq!(checker.check(), Err(CheckError::SwitchedOff));
    let (checks, outcomes) = spawned(&checker);
    // The callback was dropped without being called.
    assert!(outcomes.recv_timeout(SOON).is_err());
    checks.stop();
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn what_is_shown_is_what_is_sent() {
    let server = Server::script([every("1")]);
    let checker = Checker::builder(server.url(), "v1.0.0").tag("os", "old");
    let checker = checker
        .field("nodeCount", 3)
        .minute(MINUTE)
        .build()
        .unwrap();
    checker.set_tag("os", "linux");
    checker.set_field("nodeCount", 4.5);
    let shown = checker.what_is_sent();
    checker.check().unwrap();
    let (head, body) = shown.split_once("\n\n").unwrap();
    let sent = &server.requests()[0];
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(json(body), json(&sent.body));
    let target = format!("POST {}/v1/checkupgrade", server.url());
    assert_eq!(head.lines().next(), Some(target.as_str()));
    for line in head.lines().skip(1) {
        let same = |sent: &str| sent.eq_ignore_ascii_case(line);
        assert!(sent.head.lines().any(same), "{line} in {}", sent.head);
    }
    // Only the lines of `what_is_sent`, and those that HTTP needs.
    for line in sent.head.trim_end().lines().skip(1) {
        let name = line
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let known = [
            "host",
            "content-length",
            "content-type",
            "user-agent",
            "accept",
        ];
        assert!(known.contains(&name.as_str()), "{line}");
    }
}

#[test]
fn a_callback_that_panics_ends_the_checks_and_nothing_else() {
    let server = Server::script([every("0"), every("0")]);
    let checker = checker(&server.url());
    let (sender, panicked) = channel::<()>();
    let callback = move |_| {
        let _dropped = &sender;
        panic!("on purpose");
    };
    let _checks = checker.spawn(callback).unwrap();
    assert!(panicked.recv_timeout(SOON).is_err());
    checker.what_is_sent();
}
