//! The self-check: a server that cannot answer any more logs why and ends, so that systemd restarts it. If it failed,
//! a server that answers nobody would run on.

mod resources;
mod stuck;

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use super::{CLIENT_TIMEOUT, check_in, connect, note};
use crate::support::client::Address;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{Running, Server};

/// The last error in the log.
const UNRESPONSIVE: &str = "the server does not answer its own requests any more";
/// Time until the server ends if slots are free: 10 s, and 2 s for a busy machine.
const BELOW_THE_CAP: Duration = Duration::from_secs(10 + 2);
/// Time until the server ends if every slot is taken.
pub const AT_THE_CAP: Duration = CLIENT_TIMEOUT.saturating_add(BELOW_THE_CAP);
/// The beginning of HTTP/2 without TLS. It blocks a thread of tiny_http until the process ends.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn server(scratch: &Scratch) -> Server {
    let server = Server::new(scratch).without("--geodb");
    server.arg("--client-timeout", "5s")
}

/// Requires that the server ends by itself within `limit` and logs why. Returns the time that it took.
#[track_caller]
fn ends_unresponsive(running: Running, since: Instant, limit: Duration) -> Duration {
    let ended = running.wait(limit + Duration::from_secs(20));
    let took = since.elapsed();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(UNRESPONSIVE), "{}", ended.stderr);
    assert!(!ended.stderr.contains("bug: "), "{}", ended.stderr);
    assert!(took < limit, "ended after {took:?}, the limit is {limit:?}");
    took
}

/// The advice names the socket unit: systemd creates the socket, so a restart of the service alone would fail again.
#[test]
fn deleted_socket_file_ends_the_process_with_advice() {
    let scratch = Scratch::hostile();
    let socket = scratch.join("x.sock");
    let server = server(&scratch).arg("--listen", format!("unix:{}", socket.display()));
    let running = server.start();
    check_in(running.addr()).unwrap();
    fs::remove_file(&socket).unwrap();
    let ended = running.wait(BELOW_THE_CAP);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let (before, _) = ended.stderr.split_once("stopped: ").unwrap();
    for words in [UNRESPONSIVE, "systemctl restart upgrade-responder.socket"] {
        assert!(before.contains(words), "no {words:?}: {}", ended.stderr);
    }
    note(
        "the socket file is deleted",
        "the process ends with status 1, and logs immediately the reason and what to do",
    );
}

/// The metrics listener has 8 slots and a time-out of 10 s.
#[test]
fn unresponsive_metrics_listener_ends_the_process_too() {
    let scratch = Scratch::hostile();
    let metrics_at = Address::local(free_port());
    let server = server(&scratch).arg("--metrics-listen", metrics_at.to_string());
    let running = server.start();
    let since = Instant::now();
    for _ in 0..8 {
        connect(&metrics_at).write_all(HTTP_2).unwrap();
    }
    let took = ends_unresponsive(running, since, BELOW_THE_CAP + Duration::from_secs(10));
    note(
        "HTTP/2.0 in the request line, every slot of the metrics lost",
        format!(
            "the process ends with status 1 and logs the reason after {:.1} s",
            took.as_secs_f64()
        ),
    );
}
