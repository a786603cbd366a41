//! Requests that take much time or memory: huge heads, the largest check-ins, pipelines, and slow senders. If these
//! tests failed, one client could exhaust the memory of the server or delay others.

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

/// Time limit for the answer to a head of a few MiB.
const FOR_FEW_MIB: Duration = Duration::from_secs(20);
/// Time limit for the answer to a head of 64 MiB. A debug build on a busy machine needs more than a minute.
const FOR_64_MIB: Duration = Duration::from_secs(300);

#[test]
fn huge_heads_delay_only_their_sender() {
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
        // An earlier version needed 18 s of CPU time for this head.
        (
            "250,000 lines of Connection",
            format!("{CHECK_IN}{}\r\n", "Connection:\r\n".repeat(250_000)),
        ),
    ];
    for (case, head) in heads {
        let limit = if head.len() > 64 << 20 {
            FOR_64_MIB
        } else {
            FOR_FEW_MIB
        };
        abused.during(case, |address| {
            let mut stream = connect(address);
            let start = Instant::now();
            stream.set_write_timeout(None).unwrap();
            stream.set_read_timeout(Some(limit)).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            // A check-in without a body is malformed.
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

/// A whole check-in, because the server evaluates the address only of accepted ones.
#[test]
fn many_hops_delay_only_their_sender() {
    let mut abused = Abused::start(|scratch, server| server.arg("--geodb", geodb::sample(scratch)));
    let hops = "10.0.0.1,".repeat(100_000);
    let head = format!("{CHECK_IN}X-Forwarded-For: 203.0.113.7,{hops}\r\nConnection: close");
    let request = format!("{head}\r\nContent-Length: 2\r\n\r\n{{}}");
    abused.during("X-Forwarded-For of 100,000 hops", |address| {
        let mut stream = connect(address);
        let start = Instant::now();
        stream.set_read_timeout(Some(FOR_FEW_MIB)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let said = first_line_until_end("hops", &mut stream);
        assert_eq!(said, "HTTP/1.1 200 OK");
        let took = start.elapsed();
        assert!(took < FOR_FEW_MIB, "took {took:?}");
        let took = took.as_secs_f64();
        (
            (),
            format!("all are proxies, answered 200 after {took:.1} s"),
        )
    });
    abused.gives_back("endless hops");
    // All hops are trusted proxies, so the first address is the client.
    let zurich = "city=Zürich,country=Switzerland,country_isocode=CH";
    assert_eq!(abused.finish_with(zurich), 1);
}

/// Limit on additional memory, in KiB: 64 MiB for the queue to the writer thread, and 64 MiB for threads, buffers and
/// the allocator.
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

    // The clients are faster than the writer thread.
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

    // A connection does not keep the memory that a large request took.
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

/// A check-in with the maximum number of extra tags and fields. Escaping doubles the length of their values.
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
fn a_client_that_reads_no_answers_to_its_pipeline_is_cut_off() {
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
        // This takes more than one time-out, because bytes that the socket takes late count as progress.
        assert!(start.elapsed() < CLIENT_TIMEOUT * 3, "cut off late");
        let taken = sent / request.len();
        let took = start.elapsed().as_secs_f64();
        (taken, format!("{ended} after {took:.1} s, {taken} taken"))
    });
    assert!(sent < 200_000, "all answers fit into the socket buffers");
    abused.gives_back("pipeline that is not read");
    // Each request that was read is a check-in and is recorded.
    let recorded = abused.finish_with("app_version=pipelined");
    assert!((100..=sent).contains(&recorded), "{recorded} of {sent}");
}

#[test]
fn slow_senders_keep_their_slots_and_delay_nobody() {
    let mut abused = Abused::start(|_, server| server);
    abused.during("20 clients that send a byte every 3 s", |address| {
        let mut slow: Vec<TcpStream> = (0..20).map(|_| connect(address)).collect();
        // For more than twice the time-out.
        for byte in CHECK_IN.as_bytes().chunks(1).take(5) {
            for stream in &mut slow {
                stream
                    .write_all(byte)
                    .expect("a slow sender keeps its slot");
            }
            thread::sleep(Duration::from_secs(3));
        }
        let open = slow.iter().filter(|stream| is_open(stream)).count();
        assert_eq!(open, 20, "a slow sender keeps its slot");
        ((), "all 20 keep their slots for 15 s".to_string())
    });
    abused.gives_back("clients that send single bytes, after their end");
    abused.finish();
}

/// Whether the server has neither sent bytes nor closed the connection.
pub fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0; 1]);
    stream.set_nonblocking(false).unwrap();
    peeked.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
}
