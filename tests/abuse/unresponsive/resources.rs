//! Open files and threads that run out. If these tests failed, a server with too few of them would refuse clients or
//! hang, instead of recovering or being restarted.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{BELOW_THE_CAP, UNRESPONSIVE, ends_unresponsive, server};
use crate::abuse::{CLIENT_TIMEOUT, check_in, connect, note};
use crate::support::process::proc_status;
use crate::support::scratch::Scratch;
use crate::support::{skip, wait_for};

#[test]
fn few_open_files_lower_the_cap_on_connections() {
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
fn a_lack_of_open_files_is_survived_if_it_passes_and_ends_the_process_if_not() {
    let scratch = Scratch::hostile();
    let server = server(&scratch);
    let running = server.start();
    let pid = running.pid();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    limit_open_files(pid, open);
    let waiting: Vec<TcpStream> = (0..20).map(|_| connect(running.addr())).collect();
    wait_for(CLIENT_TIMEOUT, "the warning in the log", || {
        running.log().contains("cannot accept connections")
    });
    limit_open_files(pid, 1000);
    let took = check_in(running.addr()).unwrap();
    note(
        "no file descriptor left for 20 connections, then some again",
        format!(
            "all accepted, a normal client is answered after {} ms",
            took.as_millis()
        ),
    );
    drop(waiting);

    limit_open_files(pid, 3);
    let took = ends_unresponsive(running, Instant::now(), BELOW_THE_CAP);
    note(
        "no file descriptor left",
        format!(
            "the process ends with status 1 and logs the reason after {:.1} s",
            took.as_secs_f64()
        ),
    );
    assert_eq!(server.start().terminate().code, Some(0));
}

/// Sets the soft limit on open files of a running process.
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
fn a_lack_of_threads_ends_the_process_below_the_cap() {
    const CASE: &str = "no thread left for a connection, below the cap";
    let why = "limiting the threads of another user takes root";
    if !skip::is_root(why) {
        return note(CASE, format!("skipped: {why}"));
    }
    // The limit counts all threads of a user, so the server runs as another user.
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
    wait_for(CLIENT_TIMEOUT, "the warning in the log", || {
        running.log().contains("no thread for a connection")
    });
    // Bytes that keep coming make the connections with a thread keep it.
    let since = Instant::now();
    let log = loop {
        for stream in &mut crowd {
            let _ = stream.write_all(b"A");
        }
        if running.log().contains(UNRESPONSIVE) {
            break running.log();
        }
        assert!(since.elapsed() < BELOW_THE_CAP, "{}", running.log());
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(!log.contains("panicked"), "{log}");
    let took = ends_unresponsive(running, since, BELOW_THE_CAP + Duration::from_secs(10));
    note(
        CASE,
        format!(
            "{threads} threads and room for {}: the process ends with status 1 and logs the reason after {:.1} s",
            20 - threads,
            took.as_secs_f64()
        ),
    );
}
