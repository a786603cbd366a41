//! The test harness without the server. If these tests failed, failures of other tests could be faults of the harness
//! instead of the server.

use std::io::ErrorKind;
use std::panic;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::client::{Address, Connection};
use crate::support::http::percent_encode;
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::nginx::Nginx;
use crate::support::peer::{Peer, Reply};
use crate::support::process::Process;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::DATABASE;
use crate::support::wait_for;

fn peer_address(peer: &Peer) -> Address {
    let address = peer.url();
    Address::Tcp(address.strip_prefix("http://").unwrap().parse().unwrap())
}

#[test]
fn a_scratch_folder_is_deleted_after_a_passed_test_and_kept_after_a_failed_one() {
    let passed = Scratch::new();
    let path = passed.path().to_path_buf();
    passed.write("file", "content");
    drop(passed);
    assert!(!path.exists());

    let failed = panic::catch_unwind(|| {
        let scratch = Scratch::new();
        panic::panic_any(scratch.path().to_path_buf());
    });
    let kept = *failed
        .unwrap_err()
        .downcast::<std::path::PathBuf>()
        .unwrap();
    assert!(kept.exists());
    std::fs::remove_dir_all(kept).unwrap();
}

#[test]
fn a_wait_that_takes_too_long_fails_with_its_condition() {
    let waited = panic::catch_unwind(|| {
        wait_for(Duration::from_millis(20), "the impossible", || false);
    });
    let message = waited.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.ends_with("in vain for: the impossible"),
        "{message}"
    );
}

#[test]
fn a_process_ends_with_the_test_and_reports_its_output() {
    let scratch = Scratch::new();
    let mut command = Command::new("sh");
    command.args(["-c", "echo out; echo err >&2; exec sleep 1000"]);
    let mut process = Process::start(scratch.path(), command);
    process.wait_until_ready(Duration::from_secs(10), |process| {
        process.stdout() == "out\n" && process.stderr() == "err\n"
    });
    let report = process.report();
    assert!(report.contains("status: running"), "{report}");
    let proc_folder = format!("/proc/{}", process.pid());
    assert!(Path::new(&proc_folder).exists());
    drop(process);
    assert!(!Path::new(&proc_folder).exists());
}

#[test]
fn influx_stores_counts_and_names_columns() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    assert_eq!(
        influx.count(DATABASE, "m"),
        0,
        "the database does not exist"
    );
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    assert_eq!(
        influx.count(DATABASE, "m"),
        0,
        "the measurement does not exist"
    );

    let lines = "m,city=Z\u{fc}rich value=1i,x_request_id=\"a\" 1\nm value=1i 2\n";
    assert_eq!(influx.write(DATABASE, lines).0, 204);
    let (status, body) = influx.write(DATABASE, "no line protocol");
    assert_eq!(status, 400);
    assert!(body.contains("unable to parse"), "{body}");

    assert_eq!(influx.count(DATABASE, "m"), 2);
    let rows = influx.rows(DATABASE, "m");
    assert_eq!(rows[0]["city"], "Z\u{fc}rich");
    assert_eq!(rows[1]["time"], 2);
    assert!(rows[1]["city"].is_null());
    assert_eq!(influx.column(DATABASE, "m", "x_request_id"), ["a"]);
    assert_eq!(influx.column(DATABASE, "m", "value"), ["1", "1"]);
    let by_city = influx.select(DATABASE, "SELECT count(value) FROM m GROUP BY city");
    assert_eq!(by_city[1]["city"], "Z\u{fc}rich");
    assert_eq!(by_city[1]["count"], 1);
}

#[test]
fn influx_keeps_port_and_data_after_a_crash_and_answers_after_a_pause() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch);
    let refused = |influx: &Influx| Connection::open(&influx.addr()).err().map(|e| e.kind());
    assert_eq!(refused(&influx), Some(ErrorKind::ConnectionRefused));
    let url = influx.url();
    influx.restart();
    assert_eq!(influx.url(), url);
    influx.query("", "CREATE DATABASE db");
    influx.write("db", "m value=1i 1");

    influx.kill();
    assert_eq!(refused(&influx), Some(ErrorKind::ConnectionRefused));
    influx.restart();
    assert_eq!(influx.count("db", "m"), 1);

    influx.pause();
    let mut connection = Connection::open(&influx.addr()).unwrap();
    connection.set_limit(Duration::from_millis(100)).unwrap();
    let silence = connection.request("GET", "/ping", &[], b"").unwrap_err();
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    influx.resume();
    connection.set_limit(Duration::from_secs(10)).unwrap();
    assert_eq!(connection.read_response().unwrap().status, 204);
}

#[test]
fn influx_requires_the_password_and_refuses_large_bodies_if_configured() {
    let scratch = Scratch::new();
    let influx = Influx::stopped(&scratch)
        .with_admin("admin", "se&cret")
        .with_max_body_size(1000)
        .with_query_interval("10s");
    let mut influx = influx;
    influx.restart();
    influx.restart();
    let mut without_password = Connection::open(&influx.addr()).unwrap();
    let answer = without_password.request("POST", "/write?db=db", &[], b"m value=1i");
    assert_eq!(answer.unwrap().status, 401);

    influx.query("", "CREATE DATABASE db");
    assert_eq!(influx.write("db", "m value=1i 1").0, 204);
    assert_eq!(influx.write("db", &"m value=1i\n".repeat(100)).0, 413);
    assert_eq!(influx.count("db", "m"), 1);
}

#[test]
fn peer_plays_its_script_for_writes_and_then_succeeds() {
    let peer = Peer::script([
        Reply::status(503, "busy").with_header("Retry-After", "7"),
        Reply::Trickle(Duration::from_millis(1)),
        Reply::Reset,
    ]);
    let address = peer_address(&peer);
    let mut connection = Connection::open(&address).unwrap();
    let mut write = |body: &str| connection.request("POST", "/write?db=x", &[], body.as_bytes());

    let busy = write("one").unwrap();
    assert_eq!((busy.status, busy.text().as_str()), (503, "busy"));
    assert_eq!(busy.headers.get("retry-after"), Some("7"));
    assert_eq!(write("two").unwrap().status, 204);
    assert!(write("three").is_err());

    let mut connection = Connection::open(&address).unwrap();
    let four = connection.request("POST", "/write?db=x", &[], b"four");
    assert_eq!(four.unwrap().status, 204);
    let query = connection.request("POST", "/query?q=SHOW", &[], b"");
    assert_eq!(query.unwrap().json()["results"][0]["statement_id"], 0);
    assert_eq!(peer.writes(), ["one", "two", "three", "four"]);
    let first = &peer.received()[0];
    assert_eq!(
        (first.method.as_str(), first.target.as_str()),
        ("POST", "/write?db=x")
    );
}

#[test]
fn peer_that_hangs_closes_its_connections_when_dropped() {
    let peer = Peer::start(|_| Reply::Hang(Duration::from_secs(1000)));
    let mut connection = Connection::open(&peer_address(&peer)).unwrap();
    connection.send(b"POST /write HTTP/1.1\r\n\r\n").unwrap();
    wait_for(Duration::from_secs(10), "the request", || {
        !peer.writes().is_empty()
    });
    drop(peer);
    assert_eq!(connection.read_until_close().unwrap(), b"");
}

#[test]
fn client_reads_chunks_and_skips_interim_answers() {
    let scripted = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    let mut connection = Connection::open(&address).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    std::io::Write::write_all(&mut stream, scripted.as_bytes()).unwrap();
    assert_eq!(connection.read_response().unwrap().text(), "abcde");
    drop(stream);
    assert!(connection.read_response().is_err());
    assert_eq!(percent_encode("a b=\u{fc}&"), "a%20b%3D%C3%BC%26");
}

#[test]
fn load_counts_only_complete_answers_of_200() {
    let mut number = 0;
    let peer = Peer::start(move |_| {
        number += 1;
        match number % 4 {
            1 => Reply::status(200, "{}"),
            2 => Reply::status(500, ""),
            3 => Reply::Reset,
            _ => Reply::status(200, "{}"),
        }
    });
    let load = Load::new(&peer_address(&peer)).each(40).tolerant();
    let outcome = load.run();
    assert_eq!((outcome.ids().len(), outcome.errors), (20, 20));
    assert!(outcome.p50() <= outcome.p99() && outcome.p99() <= outcome.max());
    let sent = peer.received();
    let ids = sent.iter().filter_map(|r| r.headers.get("x-request-id"));
    let acknowledged = outcome.ids();
    assert_eq!(ids.filter(|id| acknowledged.contains(*id)).count(), 20);
}

#[test]
fn load_continues_until_it_is_stopped() {
    let peer = Peer::start(|_| Reply::status(200, "{}"));
    let load = Load::new(&peer_address(&peer)).threads(4).endless();
    let running = load.body("{}").pause(Duration::from_millis(1)).start();
    wait_for(Duration::from_secs(10), "100 answers", || {
        running.acknowledged() >= 100
    });
    let outcome = running.stop();
    assert_eq!(outcome.ids().len(), peer.received().len());
    let mut threads: Vec<_> = outcome
        .ids()
        .iter()
        .map(|id| id.split('-').nth(1).unwrap().to_string())
        .collect();
    threads.sort();
    threads.dedup();
    assert_eq!(threads, ["0", "1", "2", "3"]);
}

#[test]
fn nginx_forwards_its_client_and_adds_missing_request_ids() {
    let scratch = Scratch::new();
    let peer = Peer::start(|_| Reply::Success);
    let nginx = Nginx::in_front_of(&scratch, &peer_address(&peer));
    let mut connection = Connection::open(nginx.addr()).unwrap();
    connection
        .post_checkin("{}", &[("X-Request-Id", "mine")])
        .unwrap();
    let forwarded = [("X-Forwarded-For", "203.0.113.7")];
    connection.post_checkin("{}", &forwarded).unwrap();
    let received = peer.received();
    assert_eq!(
        received[0].headers.get("x-forwarded-for"),
        Some("127.0.0.1")
    );
    assert_eq!(received[0].headers.get("x-request-id"), Some("mine"));
    assert_eq!(
        received[1].headers.get("x-forwarded-for"),
        Some("203.0.113.7, 127.0.0.1")
    );
    assert_eq!(
        received[1].headers.get("x-request-id").map(str::len),
        Some(32)
    );
}

#[test]
fn ports_are_unique() {
    let mut ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
    ports.sort();
    ports.dedup();
    assert_eq!(ports.len(), 50);
}
