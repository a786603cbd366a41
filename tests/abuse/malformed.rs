//! Malformed and incomplete requests. If these tests failed, a client could smuggle a check-in past a proxy, or keep a
//! connection open indefinitely.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use super::{
    Abused, CHECK_IN, CLIENT_TIMEOUT, SMUGGLED, connect, first_line_until_end, note, say,
    whole_check_in,
};

/// The name of the case, the bytes that are sent, and the status of the answer.
type Case = (&'static str, Vec<u8>, u16);

/// A check-in with these header lines and a body, followed by a second request.
fn with(headers: &str) -> Vec<u8> {
    format!("{CHECK_IN}{headers}\r\n\r\n{{}}{SMUGGLED}").into_bytes()
}

fn chunked(body: &str) -> Vec<u8> {
    format!("{CHECK_IN}Transfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}").into_bytes()
}

fn raw(text: &str) -> Vec<u8> {
    format!("{text}{SMUGGLED}").into_bytes()
}

#[rustfmt::skip]
fn lengths() -> Vec<Case> {
    vec![
        ("length of 2^64 - 1", with("Content-Length: 18446744073709551615"), 413),
        ("length of 2^63", with("Content-Length: 9223372036854775808"), 413),
        ("length of 2^64", with("Content-Length: 18446744073709551616"), 400),
        ("length of 100 digits", with(&format!("Content-Length: {}", "9".repeat(100))), 400),
        ("negative length", with("Content-Length: -2"), 400),
        ("length with a sign", with("Content-Length: +2"), 400),
        ("length in hex", with("Content-Length: 0x2"), 400),
        ("length that is empty", with("Content-Length:"), 400),
        ("length as a list", with("Content-Length: 2, 2"), 400),
        ("two equal lengths", with("Content-Length: 2\r\nContent-Length: 2"), 400),
        ("two lengths that conflict", with("Content-Length: 2\r\ncontent-length: 150"), 400),
        ("length and chunks", with("Content-Length: 2\r\nTransfer-Encoding: chunked"), 400),
        ("chunks and length", with("Transfer-Encoding: chunked\r\nContent-Length: 150"), 400),
        ("two transfer encodings", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), 400),
        ("chunked twice", with("Transfer-Encoding: chunked, chunked"), 400),
        ("unknown transfer encoding", with("Transfer-Encoding: xchunked"), 400),
        ("chunked is not the last transfer encoding", with("Transfer-Encoding: chunked, gzip"), 400),
        ("blank before the colon of a length", with("Content-Length : 2"), 400),
        ("length larger than the body", format!("{CHECK_IN}Content-Length: 900\r\n\r\n{{}}").into(), 400),
        ("large length larger than the body", format!("{CHECK_IN}Content-Length: 9000\r\n\r\n{{}}").into(), 400),
        ("chunk size that is no number", chunked("xyz\r\n{}\r\n0\r\n\r\n"), 400),
        ("encoding in capitals", with("Transfer-Encoding: Chunked"), 400),
        ("trailers behind the chunks", chunked("2\r\n{}\r\n0\r\nX: y\r\n\r\n"), 400),
        ("negative chunk size", chunked("-2\r\n{}\r\n0\r\n\r\n"), 400),
        ("chunk size of 72 bits", chunked("ffffffffffffffffff\r\n{}"), 400),
        ("chunk size of 2^64 - 1", chunked("ffffffffffffffff\r\n{}"), 400),
        ("chunk without its end", chunked("2\r\n{}0\r\n\r\n"), 400),
        ("chunk larger than what comes", format!("{CHECK_IN}Transfer-Encoding: chunked\r\n\r\n20\r\n{{\"appVersion\"").into(), 400),
        ("chunks that do not end", format!("{CHECK_IN}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n").into(), 400),
    ]
}

#[rustfmt::skip]
fn heads() -> Vec<Case> {
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x0d\x0a\x00\xff\xfe\xc0\x2b".to_vec();
    vec![
        ("HTTP/0.9 without a version", raw("GET /v1/healthcheck\r\n\r\n"), 400),
        ("HTTP/0.9 with a version and a body", raw("POST /v1/checkupgrade HTTP/0.9\r\n\r\n"), 400),
        ("unknown HTTP version", raw("POST /v1/checkupgrade HTTP/1.2\r\n\r\n"), 400),
        ("TLS on a plain port", tls, 400),
        ("random bytes", (0..=255).cycle().take(4096).collect(), 400),
        ("bytes over 127 in the target", b"GET /\xff\xfe HTTP/1.1\r\n\r\n".to_vec(), 400),
        ("bytes over 127 in a header", [CHECK_IN.as_bytes(), b"X-A: \xc3\xa9\r\n\r\n", SMUGGLED.as_bytes()].concat(), 400),
        ("bytes over 127 in a header's name", [CHECK_IN.as_bytes(), b"\xc3\xa9: a\r\n\r\n", SMUGGLED.as_bytes()].concat(), 400),
        ("NUL in the target", raw("GET /\0 HTTP/1.1\r\nConnection: close\r\n\r\n"), 404),
        ("NUL in a header", with("X-A: a\0b"), 400),
        ("NUL in a header's name", with("X\0A: a"), 400),
        ("NULs instead of a request", vec![0; 100_000], 400),
        ("line without a colon", with("no colon"), 400),
        ("header without a name and a space", with(": x y\r\n :"), 400),
        ("lines that end with LF alone", CHECK_IN.replace("\r\n", "\n").into_bytes(), 400),
        ("lines that end with CR alone", CHECK_IN.replace("\r\n", "\r").into_bytes(), 400),
        ("empty lines before the request", raw("\r\n\r\n\r\n"), 400),
        ("target of 1 MiB", raw(&format!("GET /{} HTTP/1.1\r\nConnection: close\r\n\r\n", "a".repeat(1 << 20))), 404),
        ("method of 100,000 letters", raw(&format!("{} / HTTP/1.1\r\nConnection: close\r\n\r\n", "A".repeat(100_000))), 404),
        ("Connection: upgrade", with("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2"), 400),
        ("Connection: Upgrade to h2c", with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"), 400),
        ("CONNECT", raw("CONNECT 169.254.169.254:80 HTTP/1.1\r\nConnection: close\r\n\r\n"), 404),
        ("unknown Expect", with("Expect: 200-ok\r\nContent-Length: 2"), 417),
        ("Expect without a body", format!("{CHECK_IN}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n").into(), 100),
        ("Expect without a length", format!("{CHECK_IN}Expect: 100-continue\r\nConnection: close\r\n\r\n").into(), 100),
    ]
}

#[test]
fn malformed_requests_are_refused_and_nothing_is_smuggled() {
    let mut abused = Abused::start(|_, server| server);
    for (case, bytes, status) in lengths().into_iter().chain(heads()) {
        let start = Instant::now();
        let line = say(case, &abused.address(), &bytes);
        let took = start.elapsed();
        let found = line.split(' ').nth(1).map_or(0, |s| s.parse().unwrap_or(1));
        assert_eq!(found, status, "{case}: {line:?}");
        assert!(took < CLIENT_TIMEOUT, "{case}: took {took:?}");
        abused.normal_is_answered(case);
        note(case, format!("answered {status}, connection ended"));
    }
    abused.gives_back("wrong requests");
    abused.finish();
}

#[test]
fn incomplete_requests_and_idle_connections_are_closed_at_the_time_out() {
    let mut abused = Abused::start(|_, server| server);
    let beginnings = [
        ("silence", String::new()),
        ("silence after a check-in", whole_check_in("normal")),
        ("half a request line", "POST /v1/che".to_string()),
        ("headers that do not end", CHECK_IN.to_string()),
        (
            "small body that stops",
            format!("{CHECK_IN}Content-Length: 20\r\n\r\n{{"),
        ),
        (
            "large body that stops",
            format!("{CHECK_IN}Content-Length: 20000\r\n\r\n{{"),
        ),
        (
            "chunk that stops",
            format!("{CHECK_IN}Transfer-Encoding: chunked\r\n\r\n20\r\n{{"),
        ),
        (
            "refused body that stops",
            format!("{CHECK_IN}Content-Length: 90000\r\n\r\n{{"),
        ),
        (
            "Expect: 100-continue without a body",
            format!("{CHECK_IN}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
        ),
    ];
    let cut_off = abused.during("requests that stop halfway, all at once", |address| {
        let clients = beginnings.map(|(case, beginning)| {
            let mut stream = connect(address);
            let start = Instant::now();
            stream.write_all(beginning.as_bytes()).unwrap();
            thread::spawn(move || {
                let said = first_line_until_end(case, &mut stream);
                (case, said, start.elapsed())
            })
        });
        let ended = clients.map(|client| client.join().unwrap());
        let slowest = ended.iter().map(|(_, _, took)| *took).max().unwrap();
        (
            ended,
            format!("cut off within {:.1} s", slowest.as_secs_f64()),
        )
    });
    // The one before the silence.
    abused.normal += 1;
    for (case, said, took) in cut_off {
        let early = CLIENT_TIMEOUT - Duration::from_millis(100);
        assert!(took > early, "{case}: cut off early, after {took:?}");
        note(
            case,
            format!("cut off after {:.1} s, {said:?}", took.as_secs_f64()),
        );
    }
    abused.finish();
}
