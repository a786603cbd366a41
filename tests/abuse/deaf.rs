//! What takes the server's means away: threads, open files, connection slots. Where that makes it deaf
//! and it cannot help it, it says so and ends, for systemd to start it again.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::process::Command;
use std::time::{Duration, Instant};

use super::large::is_open;
use super::{CLIENT_TIMEOUT, check_in, connect, note};
use crate::support::client::Address;
use crate::support::process::proc_status;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{Running, Server};
use crate::support::{metrics, skip, spool, wait_for};

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
    assert!(!ended.stderr.contains("bug: "), "{}", ended.stderr);
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

/// Idle clients that take the last slot in turns must not look like life.
#[test]
fn slots_lost_to_http_2_end_the_process_while_idle_clients_come_and_go() {
    let scratch = Scratch::hostile();
    let running = server(&scratch).arg("--max-connections", "8").start();
    for _ in 0..7 {
        connect(running.addr()).write_all(HTTP_2).unwrap();
    }
    let Address::Tcp(address) = running.addr().clone() else {
        panic!("no TCP address");
    };
    let (since, mut idle, mut came) = (Instant::now(), Vec::new(), 0);
    // Nobody listens any more when it ends.
    while let Ok(stream) = TcpStream::connect(address) {
        idle.push(stream);
        came += 1;
        wait_for(AT_THE_CAP, "an idle client to be cut off", || {
            idle.retain(is_open);
            idle.len() < 3
        });
    }
    assert!(came > 3, "the idle clients were not cut off");
    let log = running.log();
    let warning = "7 of 8 connections for check-ins are stuck";
    assert!(log.contains(warning), "{log}");
    let took = ends_deaf(running, since, AT_THE_CAP);
    note(
        "7 of 8 slots lost to HTTP/2.0, 3 idle clients take the last one in turns",
        format!(
            "the process ends with status 1 and says why after {:.1} s",
            took.as_secs_f64()
        ),
    );
}

/// With one that systemd made, this would happen again after each start.
#[test]
fn socket_file_that_is_gone_ends_the_process_with_advice() {
    let scratch = Scratch::hostile();
    let socket = scratch.join("x.sock");
    let server = server(&scratch).arg("--listen", format!("unix:{}", socket.display()));
    let running = server.start();
    check_in(running.addr()).unwrap();
    fs::remove_file(&socket).unwrap();
    let ended = running.wait(BELOW_THE_CAP);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let (before, _) = ended.stderr.split_once("stopped: ").unwrap();
    for words in [DEAF, "systemctl restart upgrade-responder.socket"] {
        assert!(before.contains(words), "no {words:?}: {}", ended.stderr);
    }
    note(
        "the socket file is removed",
        "the process ends with status 1, and says at once why and what to do",
    );
}

/// The metrics have 8 slots and a time-out of 10 s.
#[test]
fn deaf_metrics_end_the_process_too() {
    let scratch = Scratch::hostile();
    let metrics_at = Address::local(free_port());
    let server = server(&scratch).arg("--metrics-listen", metrics_at.to_string());
    let running = server.start();
    let since = Instant::now();
    for _ in 0..8 {
        connect(&metrics_at).write_all(HTTP_2).unwrap();
    }
    let took = ends_deaf(running, since, BELOW_THE_CAP + Duration::from_secs(10));
    note(
        "HTTP/2.0 in the request line, every slot of the metrics lost",
        format!(
            "the process ends with status 1 and says why after {:.1} s",
            took.as_secs_f64()
        ),
    );
}

#[test]
fn lost_slots_are_counted_and_told_of_below_the_cap() {
    const PROBES: u64 = 300;
    let scratch = Scratch::hostile();
    let metrics_at = Address::local(free_port());
    let server = server(&scratch).arg("--metrics-listen", metrics_at.to_string());
    let running = server.start();
    for _ in 0..PROBES {
        connect(running.addr()).write_all(HTTP_2).unwrap();
    }
    let stuck = || metrics::value(&metrics_at, "connections_stuck");
    wait_for(AT_THE_CAP, "lost slots to be counted", || stuck() == PROBES);
    assert!(
        running
            .log()
            .contains("1024 connections for check-ins are stuck"),
        "{}",
        running.log()
    );
    check_in(running.addr()).unwrap();
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    note(
        "HTTP/2.0 in the request line, 300 of 1024 slots lost",
        "a WARN says so and /metrics counts them; a normal check-in is answered",
    );
}

/// nginx keeps idle connections for longer than the time-out here.
#[test]
fn idle_connections_of_a_proxy_are_not_taken_for_lost_ones() {
    let scratch = Scratch::hostile();
    let metrics_at = Address::local(free_port());
    let socket = format!("unix:{}", scratch.join("x.sock").display());
    let server = server(&scratch).arg("--listen", socket);
    let server = server.arg("--metrics-listen", metrics_at.to_string());
    let running = server.arg("--max-connections", "4").start();
    let mut kept: Vec<_> = (0..4).map(|_| running.connect()).collect();
    let mut all_check_in = || {
        for connection in &mut kept {
            let answer = connection.post_checkin("{}", &[]).unwrap();
            assert_eq!(answer.status, 200);
        }
    };
    all_check_in();
    let start = Instant::now();
    while start.elapsed() < AT_THE_CAP {
        assert_eq!(metrics::value(&metrics_at, "connections_stuck"), 0);
        std::thread::sleep(Duration::from_millis(500));
    }
    all_check_in();
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    note(
        "every slot taken by idle connections of a proxy on a unix socket",
        format!("still served after {} s", AT_THE_CAP.as_secs()),
    );
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
    let threads = proc_status(running.pid(), "Threads");
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
