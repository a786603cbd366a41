//! What takes the server's means away: threads, open files, connection slots. Where that makes it deaf
//! and it cannot help it, it says so and ends, for systemd to start it again.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{CLIENT_TIMEOUT, check_in, connect, note, status};
use crate::support::scratch::Scratch;
use crate::support::server::{Running, Server};
use crate::support::{skip, spool, wait_for};

/// What the log says at the end.
const DEAF: &str = "the server does not answer its own requests any more";
/// Deaf with slots to spare: 10 s, and what a busy machine adds.
const BELOW_THE_CAP: Duration = Duration::from_secs(10 + 2);
/// Deaf with every slot taken.
pub const AT_THE_CAP: Duration = CLIENT_TIMEOUT.saturating_add(BELOW_THE_CAP);
/// A request that blocks its thread for good, in the library; HTTP/2 clients without TLS begin so.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn server(scratch: &Scratch) -> Server {
    let server = Server::new(scratch).without("--geodb");
    server.arg("--client-timeout", "5s")
}

/// The server ends by itself within `limit`, saying why; how long it took.
#[track_caller]
fn ends_deaf(running: Running, since: Instant, limit: Duration) -> Duration {
    let ended = running.wait(limit + Duration::from_secs(20));
    let took = since.elapsed();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(DEAF), "{}", ended.stderr);
    assert!(took < limit, "deaf for {took:?}");
    took
}

#[test]
fn every_slot_lost_to_http_2_ends_the_process_and_one_left_does_not() {
    let scratch = Scratch::hostile();
    let server = server(&scratch).arg("--max-connections", "8");
    let running = server.start();
    let mut lost: Vec<TcpStream> = Vec::new();
    for _ in 0..7 {
        let mut stream = connect(running.addr());
        stream.write_all(HTTP_2).unwrap();
        lost.push(stream);
    }
    // Longer than it takes to be found deaf.
    let (start, mut answered) = (Instant::now(), 0);
    while start.elapsed() < BELOW_THE_CAP {
        let took = check_in(running.addr()).unwrap();
        assert!(
            took < Duration::from_secs(1),
            "waited {took:?} for the slot that is left"
        );
        answered += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    note(
        "HTTP/2.0 in the request line, 7 of 8 slots lost",
        format!(
            "{answered} normal check-ins answered in {} s",
            BELOW_THE_CAP.as_secs()
        ),
    );

    let since = Instant::now();
    let mut last = connect(running.addr());
    last.write_all(HTTP_2).unwrap();
    let took = ends_deaf(running, since, AT_THE_CAP);
    note(
        "HTTP/2.0 in the request line, every slot lost",
        format!(
            "the process ends with status 1 and says why after {:.1} s",
            took.as_secs_f64()
        ),
    );

    // What was recorded is still there, and the next start goes on.
    drop((lost, last));
    let running = server.start();
    check_in(running.addr()).unwrap();
    assert_eq!(running.terminate().code, Some(0));
    let points = spool::points(&scratch);
    let normal = "upgrade_request,app_version=normal value=1i";
    assert_eq!(points, vec![normal; answered + 1]);
}

#[test]
fn few_open_files_lower_the_cap() {
    let scratch = Scratch::hostile();
    let server = server(&scratch).under(&["prlimit", "--nofile=128:128"]);
    let running = server.start();
    assert!(
        running
            .log()
            .contains("only 32 connections at once instead of 1024"),
        "{}",
        running.log()
    );
    let crowd: Vec<TcpStream> = (0..60).map(|_| connect(running.addr())).collect();
    let start = Instant::now();
    while let Err(e) = check_in(running.addr()) {
        assert!(start.elapsed() < CLIENT_TIMEOUT * 5, "{e}");
    }
    let took = start.elapsed();
    drop(crowd);
    let after = check_in(running.addr()).unwrap();
    assert!(after < Duration::from_secs(1), "{after:?}");
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    note(
        "ulimit -n 128 and 60 idle connections",
        format!(
            "32 are taken at once; a normal client is answered again after {:.1} s",
            took.as_secs_f64()
        ),
    );
}

#[test]
fn without_open_files_it_goes_on_when_there_are_some_again_and_ends_when_not() {
    let scratch = Scratch::hostile();
    let server = server(&scratch);
    let running = server.start();
    let pid = running.pid();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    limit_open_files(pid, open);
    let waiting: Vec<TcpStream> = (0..20).map(|_| connect(running.addr())).collect();
    wait_for(CLIENT_TIMEOUT, "the log to say so", || {
        running.log().contains("cannot accept connections")
    });
    limit_open_files(pid, 1000);
    let took = check_in(running.addr()).unwrap();
    note(
        "no file left for 20 connections, then some again",
        format!(
            "all accepted, a normal client is answered after {} ms",
            took.as_millis()
        ),
    );
    drop(waiting);

    limit_open_files(pid, 3);
    let took = ends_deaf(running, Instant::now(), BELOW_THE_CAP);
    note(
        "no file left for good",
        format!(
            "the process ends with status 1 and says why after {:.1} s",
            took.as_secs_f64()
        ),
    );
    assert_eq!(server.start().terminate().code, Some(0));
}

fn limit_open_files(pid: u32, most: usize) {
    let limit = format!("--nofile={most}:4096");
    let status = Command::new("prlimit")
        .arg("--pid")
        .arg(pid.to_string())
        .arg(limit)
        .status();
    assert!(status.unwrap().success(), "prlimit");
}

#[test]
fn without_threads_it_ends_below_the_cap() {
    const CASE: &str = "no thread left for a connection, below the cap";
    let why = "limiting the threads of another user takes root";
    if !skip::is_root(why) {
        return note(CASE, format!("skipped: {why}"));
    }
    // A user of its own: the limit counts all threads of a user.
    let user = 60_000 + std::process::id() % 5_000;
    let scratch = Scratch::hostile();
    let under = [
        "setpriv",
        &format!("--reuid={user}"),
        &format!("--regid={user}"),
        "--clear-groups",
        "prlimit",
        "--nproc=20",
    ];
    let server = server(&scratch).under(&under);
    chown(scratch.path(), Some(user), Some(user)).unwrap();
    let running = server.start();
    let threads = status(running.pid(), "Threads");
    let mut crowd: Vec<TcpStream> = (0..30).map(|_| connect(running.addr())).collect();
    wait_for(CLIENT_TIMEOUT, "the log to say so", || {
        running.log().contains("no thread for a connection")
    });
    // Those that have a thread keep it.
    let since = Instant::now();
    let log = loop {
        for stream in &mut crowd {
            let _ = stream.write_all(b"A");
        }
        if running.log().contains(DEAF) {
            break running.log();
        }
        assert!(since.elapsed() < BELOW_THE_CAP, "{}", running.log());
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(!log.contains("panicked"), "{log}");
    let took = ends_deaf(running, since, BELOW_THE_CAP + Duration::from_secs(10));
    note(
        CASE,
        format!(
            "{threads} threads and room for {}: the process ends with status 1 and says why after {:.1} s",
            20 - threads,
            took.as_secs_f64()
        ),
    );
}
