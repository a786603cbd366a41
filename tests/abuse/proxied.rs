//! Attacks through nginx with the shipped site. If these tests failed, the shipped site would pass on attacks that it
//! is meant to stop, or lose check-ins of normal clients.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::crowds::connect_with_small_buffer;
use super::{
    Abused, CHECK_IN, SMUGGLED, connect, first_line_until_end, note, say, timed, whole_check_in,
};
use crate::support::client::{Address, Connection};
use crate::support::metrics;
use crate::support::nginx::Nginx;
use crate::support::peer::{Peer, Reply};
use crate::support::process::proc_status;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::Server;
use crate::support::wait_for;

/// Time for nginx to close a connection. Its time-outs for headers, reads and writes are 10 s.
const CUT_OFF: Duration = Duration::from_secs(20);

#[rustfmt::skip]
fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let with = |headers: &str| format!("{CHECK_IN}{headers}\r\n\r\n{{}}{SMUGGLED}").into_bytes();
    vec![
        ("HTTP/2.0 in the request line", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec()),
        ("TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("huge length", with("Content-Length: 18446744073709551615")),
        ("negative length", with("Content-Length: -2")),
        ("two lengths", with("Content-Length: 2\r\nContent-Length: 150")),
        ("length and chunks", with("Content-Length: 2\r\nTransfer-Encoding: chunked")),
        ("bad chunks", with("Transfer-Encoding: chunked")),
        ("unknown transfer encoding", with("Transfer-Encoding: xchunked")),
        ("body that ends too early", format!("{CHECK_IN}Content-Length: 900\r\n\r\n{{}}").into()),
        ("Expect without a body", format!("{CHECK_IN}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n").into()),
        ("header of 64 MiB", with(&format!("X-A: {}", "a".repeat(64 << 20)))),
        ("100,000 headers", with(&"X-A: b\r\n".repeat(100_000))),
        ("NUL in a header", with("X-A: a\0b")),
        ("folded header line", with("Content-Length: 2\r\nX-A: b\r\n Content-Length: 150")),
    ]
}

/// Requests that nginx accepts and the server alone would refuse, with the first line of the answer.
#[rustfmt::skip]
const TAKEN_BY_NGINX: &[(&str, &[u8], &str)] = &[
    ("path that is not UTF-8", b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 404 Not Found"),
    ("path behind a known one", b"GET /v1/healthcheck/\xff HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 404 Not Found"),
    ("query that is not UTF-8", b"GET /v1/healthcheck?\xff\xfe HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 200 OK"),
    ("Host with letters beyond ASCII", b"GET /v1/healthcheck HTTP/1.1\r\nHost: \xc3\xa9.example\r\n", "HTTP/1.1 200 OK"),
    ("header that is not UTF-8", b"GET /v1/healthcheck HTTP/1.1\r\nHost: x\r\nX-A: \xff\r\n", "HTTP/1.1 200 OK"),
];

#[test]
fn nginx_keeps_malformed_requests_and_crowds_from_the_server() {
    let metrics_at = Address::local(free_port());
    let mut abused = Abused::start(|_, server| {
        let server = server.arg("--max-connections", "64");
        server.arg("--metrics-listen", metrics_at.to_string())
    });
    let nginx = Nginx::shipped(&abused.scratch, &abused.address());
    for (case, bytes) in requests() {
        let before = noticed(&metrics_at);
        for _ in 0..5 {
            say(case, nginx.addr(), &bytes);
        }
        normal_through(&nginx, &mut abused, case);
        assert_eq!(noticed(&metrics_at), before, "{case} reached the server");
        note(
            &format!("through nginx: {case}"),
            "the server notices nothing",
        );
    }
    for (case, head, answer) in TAKEN_BY_NGINX {
        let mut stream = connect(nginx.addr());
        let rest = b"Connection: close\r\n\r\n";
        stream.write_all(&[*head, rest].concat()).unwrap();
        assert_eq!(first_line_until_end(case, &mut stream), *answer, "{case}");
        assert_eq!(noticed(&metrics_at), 0, "{case} reached the server");
        note(
            &format!("through nginx: {case}"),
            format!("{answer}; the server notices nothing"),
        );
    }
    assert_eq!(noticed(&metrics_at), 0);
    // nginx passes on this request without its header.
    let upgrade = "Connection: close, upgrade\r\nUpgrade: h2c\r\n";
    let request = whole_check_in("nginx").replacen("Host:", &format!("{upgrade}Host:"), 1);
    let mut stream = connect(nginx.addr());
    stream.write_all(request.as_bytes()).unwrap();
    let said = first_line_until_end("Connection: upgrade", &mut stream);
    assert_eq!(said, "HTTP/1.1 200 OK");
    note(
        "through nginx: Connection: upgrade",
        "a check-in like others",
    );
    crowds(&nginx, &mut abused);
    assert_eq!(noticed(&metrics_at), 0);
    let pipelined = abused.finish_with("app_version=nginx");
    assert!(pipelined > 100, "{pipelined}");
}

/// More clients at once than the server allows connections.
fn crowds(nginx: &Nginx, abused: &mut Abused) {
    for _ in 0..1000 {
        let mut stream = connect(nginx.addr());
        let socket = SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        stream.write_all(CHECK_IN.as_bytes()).unwrap();
    }
    normal_through(nginx, abused, "1000 resets");
    note(
        "through nginx: 1000 connections that are reset",
        "the server notices nothing",
    );

    let large = format!("{CHECK_IN}Content-Length: 20000\r\n\r\n{{");
    let beginnings = ["", CHECK_IN, &large];
    let mut crowd: Vec<TcpStream> = (0..200).map(|_| connect(nginx.addr())).collect();
    for (n, stream) in crowd.iter_mut().enumerate() {
        stream.write_all(beginnings[n % 3].as_bytes()).unwrap();
    }
    normal_through(nginx, abused, "silent clients");
    // Connections of nginx for the two normal clients, and of the self-check.
    let threads = proc_status(abused.running.pid(), "Threads");
    assert!(threads <= abused.threads + 4, "{threads} threads");
    let unread: Vec<TcpStream> = (0..50)
        .map(|_| connect_with_small_buffer(nginx.addr()))
        .collect();
    for mut stream in &unread {
        stream.set_nonblocking(true).unwrap();
        let _ = stream.write_all(whole_check_in("nginx").repeat(500).as_bytes());
    }
    // nginx closes a connection whose header is incomplete, even if a byte arrives every second.
    let start = Instant::now();
    let mut dripping = connect(nginx.addr());
    let mut answered = 0;
    let cut_off = loop {
        if dripping.write_all(b"A").is_err() || has_ended(&dripping) {
            break start.elapsed();
        }
        assert!(
            start.elapsed() < CUT_OFF,
            "an incomplete header is not cut off"
        );
        for _ in 0..10 {
            normal_through(nginx, abused, "slow clients");
            answered += 1;
            thread::sleep(Duration::from_millis(100));
        }
    };
    note(
        "through nginx: 200 silent and half-sent requests, 50 pipelines that are not read, a header in single bytes",
        format!(
            "cut off after {:.1} s; {answered} normal check-ins are answered in time",
            cut_off.as_secs_f64()
        ),
    );
}

/// Requires that a normal client is answered in time, through nginx and directly.
#[track_caller]
fn normal_through(nginx: &Nginx, abused: &mut Abused, case: &str) {
    timed(nginx.addr(), abused.control.addr()).unwrap_or_else(|e| panic!("{case}: {e}"));
    abused.normal += 1;
    abused.normal_is_answered(case);
}

/// Number of requests that the server has refused.
fn noticed(metrics_at: &Address) -> u64 {
    let refused = ["400", "404", "405", "408", "413", "503"];
    let refused = refused.map(|status| format!("requests_total{{status=\"{status}\"}}"));
    let names = refused
        .into_iter()
        .chain(["requests_malformed_total".to_string()]);
    names.map(|name| metrics::value(metrics_at, &name)).sum()
}

/// Whether nginx has sent bytes or closed the connection.
fn has_ended(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0; 1]);
    stream.set_nonblocking(false).unwrap();
    !peeked.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
}

/// tiny_http sends a 400 without a request when a kept connection times out. nginx must discard it with the connection,
/// and not use it as the answer to its next request.
#[test]
fn an_answer_without_a_request_reaches_no_client() {
    let scratch = Scratch::hostile();
    let server = Server::new(&scratch).without("--geodb");
    let metrics_at = Address::local(free_port());
    let server = server.arg("--metrics-listen", metrics_at.to_string());
    let running = server.arg("--client-timeout", "1s").start();
    let nginx = Nginx::in_front_of(&scratch, running.addr());
    for _ in 0..5 {
        let mut connection = Connection::open(nginx.addr()).unwrap();
        let answer = connection.post_checkin("{}", &[]).unwrap();
        assert_eq!(answer.status, 200);
        wait_for(CUT_OFF, "nginx's connection to time out", || {
            metrics::value(&metrics_at, "connections") == 0
        });
        wait_for(CUT_OFF, "nginx to end its side", || {
            !is_half_closed(running.addr())
        });
    }
    assert_eq!(running.terminate().code, Some(0));
    note(
        "through nginx: kept connections that time out, with the library's 400 without a request",
        "the next requests are answered with 200",
    );
}

/// Whether a connection to this address is closed by the server and still open at its peer.
fn is_half_closed(address: &Address) -> bool {
    const CLOSE_WAIT: &str = "08";
    let Address::Tcp(address) = address else {
        panic!("no TCP address");
    };
    let port = format!(":{:04X}", address.port());
    let connections = fs::read_to_string("/proc/net/tcp").unwrap();
    connections.lines().any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns[2].ends_with(&port) && columns[3] == CLOSE_WAIT
    })
}

/// nginx sends the request once more, with the same headers and body.
#[test]
fn a_request_without_an_answer_is_sent_again() {
    let scratch = Scratch::hostile();
    let successors = || Reply::status(200, "the successor's");
    let (ends, refuses) = (Reply::Hang(Duration::ZERO), Reply::status(503, ""));
    let mut replies = [ends, successors(), refuses, successors()].into_iter();
    let server = Peer::start(move |_| replies.next().unwrap());
    let nginx = Nginx::shipped(&scratch, &server.address());
    let mut connection = Connection::open(nginx.addr()).unwrap();
    for _ in 0..2 {
        let answer = connection.post_checkin("{}", &[("X-A", "b")]).unwrap();
        assert_eq!(
            (answer.status, answer.text()),
            (200, "the successor's".into())
        );
    }
    let received = server.received();
    assert_eq!(received.len(), 4);
    for request in received {
        assert_eq!(
            (&*request.method, &*request.target),
            ("POST", "/v1/checkupgrade")
        );
        assert_eq!(request.text(), "{}");
        assert_eq!(request.headers.get("Host"), Some("upgrade-responder"));
        assert_eq!(request.headers.get("X-Forwarded-For"), Some("127.0.0.1"));
        assert_eq!(request.headers.get("X-A"), None);
    }
}
