//! Requests with very many short header lines. tiny_http reads all of them before the server sees the request, and they
//! take many times their size in memory. If these tests failed, such clients could make the system kill the server,
//! or acknowledged check-ins would be lost when the server ends at its memory limit.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Abused, CHECK_IN, GIVEN_BACK, connect, first_line_until_end, note};
use crate::support::account::{Totals, id_of, spooled};
use crate::support::load::Load;
use crate::support::process::proc_status;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::wait_for;

const LINE: &str = "X: a\r\n";
/// Time limit for a million lines, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time from the limit to the end of the process: two waits of 0.2 s at most, and the rest for a busy machine.
const ENDS: Duration = Duration::from_secs(3);

#[test]
fn a_million_short_header_lines_delay_only_their_sender() {
    const CASE: &str = "2 clients send 5 MB of short header lines each";
    let mut abused = Abused::start(|_, server| server);
    let lines = LINE.repeat(5_000_000 / LINE.len());
    let head = format!("{CHECK_IN}{lines}Connection: close\r\n\r\n");
    let ask = |mut stream: TcpStream| {
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let said = first_line_until_end(CASE, &mut stream);
        assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    };
    abused.during(CASE, |address| {
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| ask(connect(address)));
            }
        });
        let took = start.elapsed().as_secs_f64();
        ((), format!("answered 400 after {took:.1} s"))
    });
    let pid = abused.running.pid();
    let peak = proc_status(pid, "VmHWM");
    let mut kept = peak;
    wait_for(GIVEN_BACK, "a tenth of the memory to be given back", || {
        kept = proc_status(pid, "VmRSS");
        kept < peak - peak / 10
    });
    note(
        &format!("{CASE}: memory and threads afterwards"),
        format!(
            "memory {} MiB before, {} MiB at most, {} MiB after: the allocator keeps some",
            abused.memory / 1024,
            peak / 1024,
            kept / 1024
        ),
    );
    abused.finish();
}

#[test]
fn endless_headers_end_the_process_at_its_memory_limit_and_lose_nothing() {
    const CLIENTS: usize = 4;
    let scratch = Scratch::hostile();
    let server = Server::new(&scratch).without("--geodb");
    let running = server.arg("--client-timeout", "5s").start();
    let address = running.addr().clone();
    let load = Load::new(&address).threads(2).endless().tolerant();
    let load = load.pause(Duration::from_millis(1)).start();
    let (start, over) = (Instant::now(), AtomicBool::new(false));
    let (sent, noticed, stopped, ended) = thread::scope(|scope| {
        let begin = |_| scope.spawn(|| flood(connect(&address), &over));
        let floods: Vec<_> = (0..CLIENTS).map(begin).collect();
        let report = || running.log().contains("ERROR");
        wait_for(PATIENCE, "the limit to be noticed", report);
        let noticed = start.elapsed();
        let ended = running.wait(ENDS);
        let stopped = start.elapsed() - noticed;
        over.store(true, Ordering::Relaxed);
        let sent: usize = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
        (sent, noticed, stopped, ended)
    });
    let answered = load.stop().ids();
    let log = ended.stderr;
    assert_eq!(ended.code, Some(1), "{log}");
    let error = log.lines().find(|line| line.contains("ERROR")).unwrap();
    for words in [
        "MiB of memory in use, the limit is",
        "endless headers",
        "a proxy",
    ] {
        assert!(error.contains(words), "no {words:?}: {error}");
    }
    // On a slow machine there may be an earlier warning that these clients are stuck.
    let mut warnings = log.lines().filter(|line| line.contains("WARN"));
    assert!(warnings.any(|line| line.contains("of memory")), "{log}");

    let stored: Vec<String> = spooled(&scratch).iter().map(|line| id_of(line)).collect();
    let ids: BTreeSet<String> = stored.iter().cloned().collect();
    assert!(!answered.is_empty());
    assert!(
        answered.is_subset(&ids),
        "an acknowledged check-in is lost: {log}"
    );
    assert_eq!(ids.len(), stored.len(), "a check-in is stored twice: {log}");
    Totals::of(&log).assert_add_up(&scratch);
    note(
        &format!("{CLIENTS} clients send endless short header lines"),
        format!(
            "after {:.1} s and {} MB the limit is passed, and the process ends with status 1 and logs the reason, \
             {:.1} s later; {} check-ins acknowledged beside, all in the spool",
            noticed.as_secs_f64(),
            sent / 1_000_000,
            stopped.as_secs_f64(),
            answered.len()
        ),
    );
}

/// Sends header lines until the connection ends. Returns the number of bytes.
fn flood(mut stream: TcpStream, over: &AtomicBool) -> usize {
    let lines = LINE.repeat(10_000);
    let mut sent = 0;
    let _ = stream.write_all(CHECK_IN.as_bytes());
    while !over.load(Ordering::Relaxed) && stream.write_all(lines.as_bytes()).is_ok() {
        sent += lines.len();
    }
    sent
}
