//! Requests that cost more than others: huge heads, the largest of check-ins, endless pipelines, drips.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::crowds::connect_with_small_buffer;
use super::{
    Abused, CHECK_IN, CLIENT_TIMEOUT, connect, first_line_until_end, note, whole_check_in,
};
use crate::support::client::Connection;
use crate::support::process::proc_status;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::{geodb, spool};

/// How long a head of a few MiB may take, which is read at once; a debug build on a busy machine takes
/// more than a minute for 64 MiB.
const SENDERS_OWN: Duration = Duration::from_secs(20);
const FOR_64_MIB: Duration = Duration::from_secs(300);

#[test]
fn huge_heads_cost_only_their_sender() {
    let mut abused = Abused::start(|_, server| server);
    let many = |line: &str| {
        format!(
            "{CHECK_IN}{}Connection: close\r\n\r\n",
            line.repeat(100_000)
        )
    };
    let heads = [
        (
            "header of 64 MiB",
            format!(
                "{CHECK_IN}X-A: {}\r\nConnection: close\r\n\r\n",
                "a".repeat(64 << 20)
            ),
        ),
        ("100,000 headers", many("X-A: b\r\n")),
        (
            "100,000 lines of X-Forwarded-For",
            many("X-Forwarded-For: 203.0.113.7\r\n"),
        ),
        // Over 18 s of a core's time, once.
        (
            "250,000 lines of Connection",
            format!("{CHECK_IN}{}\r\n", "Connection:\r\n".repeat(250_000)),
        ),
    ];
    for (case, head) in heads {
        let limit = if head.len() > 64 << 20 {
            FOR_64_MIB
        } else {
            SENDERS_OWN
        };
        abused.during(case, |address| {
            let mut stream = connect(address);
            let start = Instant::now();
            stream.set_write_timeout(None).unwrap();
            stream.set_read_timeout(Some(limit)).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            // Without a body it is malformed, whatever its head.
            let said = first_line_until_end(case, &mut stream);
            assert!(said.starts_with("HTTP/1.1 400"), "{case}: {said}");
            let took = start.elapsed();
            assert!(took < limit, "{case}: took {took:?}");
            (
                (),
                format!("answered 400 after {:.1} s", took.as_secs_f64()),
            )
        });
    }
    abused.gives_back("huge heads");
    abused.finish();
}

/// A whole check-in, since the address of a refused one is not looked at.
#[test]
fn hops_without_end_cost_only_their_sender() {
    let mut abused = Abused::start(|scratch, server| server.arg("--geodb", geodb::sample(scratch)));
    let hops = "10.0.0.1,".repeat(100_000);
    let head = format!("{CHECK_IN}X-Forwarded-For: 203.0.113.7,{hops}\r\nConnection: close");
    let request = format!("{head}\r\nContent-Length: 2\r\n\r\n{{}}");
    abused.during("X-Forwarded-For of 100,000 hops", |address| {
        let mut stream = connect(address);
        let start = Instant::now();
        stream.set_read_timeout(Some(SENDERS_OWN)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let said = first_line_until_end("hops", &mut stream);
        assert_eq!(said, "HTTP/1.1 200 OK");
        let took = start.elapsed();
        assert!(took < SENDERS_OWN, "took {took:?}");
        let took = took.as_secs_f64();
        (
            (),
            format!("all are proxies, answered 200 after {took:.1} s"),
        )
    });
    abused.gives_back("hops without end");
    // All are believed, so the client is the first.
    let zurich = "city=Zürich,country=Switzerland,country_isocode=CH";
    assert_eq!(abused.finish_with(zurich), 1);
}

/// What the queue to the writer thread may hold, and as much again for everything else: threads, parts of
/// a group, what the allocator keeps.
const MOST_MEMORY: u64 = 2 * 64 * 1024;

#[test]
fn largest_check_ins_take_bounded_memory_and_are_accounted_for() {
    const EACH: usize = 250;
    const CLIENTS: usize = 16;
    const KEPT: usize = 500;
    let scratch = Scratch::hostile();
    let server = Server::new(&scratch).without("--geodb");
    let running = server.start();
    let before = proc_status(running.pid(), "VmRSS");
    let check_in = |connection: &mut Connection| {
        let answer = connection.post_checkin(&largest(), &[]).unwrap();
        assert_eq!(answer.status, 200);
    };

    // Faster than the writer thread can write.
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = running.connect();
                (0..EACH).for_each(|_| check_in(&mut connection));
            });
        }
    });
    let peak = proc_status(running.pid(), "VmHWM");
    assert!(peak < before + MOST_MEMORY, "{peak} KiB, {before} before");

    // What one large request took is not kept for the next one.
    let filled = proc_status(running.pid(), "VmRSS");
    let mut kept: Vec<Connection> = (0..KEPT).map(|_| running.connect()).collect();
    kept.iter_mut().for_each(check_in);
    let each = proc_status(running.pid(), "VmRSS").saturating_sub(filled) / KEPT as u64;
    assert!(each < 64, "{each} KiB for each idle connection");

    drop(kept);
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let account = ended.stderr.lines().last().unwrap_or_default();
    let accepted = CLIENTS * EACH + KEPT;
    let spooled = spool::points(&scratch).len();
    let dropped = accepted - spooled;
    let expected = format!(
        "accepted {accepted} = delivered 0 + waiting {spooled} + rejected 0 + dropped {dropped} + expired 0"
    );
    assert!(account.ends_with(&expected), "{account}, not {expected}");
    note(
        "16 clients send check-ins of the largest kind, as fast as they can",
        format!(
            "memory {} MiB before, {} MiB at most; {accepted} accepted, {spooled} spooled, {dropped} \
             dropped and counted; {each} KiB for each of {KEPT} idle connections afterwards",
            before / 1024,
            peak / 1024
        ),
    );
}

/// As many extra tags and fields as are taken, of values that are twice as long once escaped.
fn largest() -> String {
    let map = |kind: &str, value: &str| {
        let pairs: Vec<String> = (0..64)
            .map(|n| format!("\"{kind}{n:062}\":\"{}\"", value.repeat(200)))
            .collect();
        pairs.join(",")
    };
    format!(
        "{{\"appVersion\":\"largest\",\"extraTagInfo\":{{{}}},\"extraFieldInfo\":{{{}}}}}",
        map("t", ","),
        map("f", "\\\"")
    )
}

#[test]
fn pipeline_that_is_not_read_is_cut_off() {
    let mut abused = Abused::start(|_, server| server);
    let request = whole_check_in("pipelined");
    let all = request.repeat(200_000);
    let sent = abused.during("200,000 check-ins pipelined, no answer read", |address| {
        let mut stream = connect_with_small_buffer(address);
        stream.set_write_timeout(Some(CLIENT_TIMEOUT * 3)).unwrap();
        let (mut sent, start) = (0, Instant::now());
        let ended = loop {
            match stream.write(&all.as_bytes()[sent..]) {
                Ok(0) => break "everything taken",
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => panic!("not cut off"),
                Err(_) => break "cut off",
            }
        };
        // More than one time-out, as what the socket took late was progress.
        assert!(start.elapsed() < CLIENT_TIMEOUT * 3, "cut off late");
        let taken = sent / request.len();
        let took = start.elapsed().as_secs_f64();
        (taken, format!("{ended} after {took:.1} s, {taken} taken"))
    });
    assert!(sent < 200_000, "all answers fit into the sockets' buffers");
    abused.gives_back("pipeline that is not read");
    // Each that was read was a check-in.
    let recorded = abused.finish_with("app_version=pipelined");
    assert!((100..=sent).contains(&recorded), "{recorded} of {sent}");
}

#[test]
fn dripping_clients_keep_their_slots_and_nobody_notices() {
    let mut abused = Abused::start(|_, server| server);
    abused.during("20 clients that send a byte every 3 s", |address| {
        let mut drips: Vec<TcpStream> = (0..20).map(|_| connect(address)).collect();
        // More than twice the time-out.
        for byte in CHECK_IN.as_bytes().chunks(1).take(5) {
            for stream in &mut drips {
                stream
                    .write_all(byte)
                    .expect("a dripping client keeps its slot");
            }
            thread::sleep(Duration::from_secs(3));
        }
        let open = drips.iter().filter(|stream| is_open(stream)).count();
        assert_eq!(open, 20, "a dripping client keeps its slot");
        ((), "all 20 keep their slots for 15 s".to_string())
    });
    abused.gives_back("dripping clients, once they have gone");
    abused.finish();
}

pub fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0; 1]);
    stream.set_nonblocking(false).unwrap();
    peeked.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
}
