//! The same through nginx with the site that is shipped: what it takes on itself, the server never notices.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::{Abused, CHECK_IN, SMUGGLED, check_in, connect, note, say, status, timed};
use crate::support::nginx::Nginx;

#[test]
fn through_nginx_the_server_notices_none_of_it() {
    let mut abused = Abused::start(|_, server| server.arg("--max-connections", "16"));
    let nginx = Nginx::shipped(&abused.scratch, &abused.address());
    let with = |headers: &str| format!("{CHECK_IN}{headers}\r\n\r\n{{}}{SMUGGLED}").into_bytes();
    let requests = [
        (
            "HTTP/2.0 in the request line",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        ),
        (
            "two lengths",
            with("Content-Length: 2\r\nContent-Length: 150"),
        ),
        (
            "length and chunks",
            with("Content-Length: 2\r\nTransfer-Encoding: chunked"),
        ),
        ("negative length", with("Content-Length: -2")),
        ("bad chunks", with("Transfer-Encoding: chunked")),
        (
            "header of 1 MiB",
            with(&format!("X-A: {}", "a".repeat(1 << 20))),
        ),
        ("100,000 headers", with(&"X-A: b\r\n".repeat(100_000))),
        ("NUL in a header", with("X-A: a\0b")),
        (
            "TLS on a plain port",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
        ),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec()),
    ];
    for (case, bytes) in requests {
        let threads = status(abused.running.pid(), "Threads");
        for _ in 0..20 {
            say(case, nginx.addr(), &bytes);
        }
        let more = status(abused.running.pid(), "Threads").saturating_sub(threads);
        // One of nginx's own, at most, and the self-check's.
        assert!(more <= 3, "{case}: {more} threads more");
        check_in(nginx.addr()).unwrap_or_else(|e| panic!("{case}: {e}"));
        abused.normal += 1;
        note(
            &format!("through nginx: 20 times {case}"),
            "the server notices nothing",
        );
    }
    // Silent, half-sent and dripped: more than there are connections to the server.
    let mut crowd: Vec<TcpStream> = (0..200).map(|_| connect(nginx.addr())).collect();
    for (n, stream) in crowd.iter_mut().enumerate() {
        let beginnings = [
            "",
            CHECK_IN,
            "POST /v1/checkupgrade HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n{",
        ];
        stream.write_all(beginnings[n % 3].as_bytes()).unwrap();
    }
    for _ in 0..20 {
        timed(nginx.addr(), abused.control.addr()).unwrap();
        abused.normal_is_answered("slow clients at nginx");
        abused.normal += 1;
        thread::sleep(Duration::from_millis(50));
    }
    let threads = status(abused.running.pid(), "Threads");
    assert!(threads <= abused.threads + 4, "{threads} threads");
    note(
        "through nginx: 200 silent and half-sent requests",
        "the server notices nothing",
    );
    drop(crowd);
    abused.finish();
}
