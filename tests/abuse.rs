//! Hostile clients with a direct connection to the server, and through nginx. If these tests failed, one client could
//! keep others waiting, exhaust memory or threads, or add records that it did not send as check-ins.
//!
//! During each attack a normal client must be answered within a second. Afterwards threads and memory must be released.

mod crowds;
mod large;
mod malformed;
mod memory;
mod proxied;
mod unresponsive;

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Address, Connection};
use crate::support::process::proc_status;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{self, Server};
use crate::support::tried::tried;
use crate::support::{spool, wait_for};

const FAMILY: &str = "HTTP abuse";
const CHECK_IN: &str = "POST /v1/checkupgrade HTTP/1.1\r\nHost: localhost\r\n";
/// A check-in that must not be recorded: it is part of a body, or follows a request that is refused.
const SMUGGLED: &str = "POST /v1/checkupgrade HTTP/1.1\r\nHost: localhost\r\nContent-Length: 25\r\n\r\n{\"appVersion\":\"smuggled\"}";
const NORMAL: &str = r#"{"appVersion":"normal"}"#;
/// `--client-timeout` of these tests.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much longer a normal client may wait than at a server without an attack.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Time for threads and memory to be released. Connection threads wait 10 s for a next connection before they end.
const GIVEN_BACK: Duration = Duration::from_secs(40);
/// Threads that may be left over, because they wait for a next connection.
const MORE_THREADS: u64 = 24;
/// Memory that may be left over, in KiB: the allocator keeps some of the stacks and buffers of a thousand connections.
const MORE_MEMORY: u64 = 64 * 1024;

/// A server under attack, with its use of threads and memory before.
pub struct Abused {
    running: server::Running,
    /// A server without an attack. Its response time depends only on the machine.
    control: server::Running,
    threads: u64,
    memory: u64,
    /// Number of normal check-ins that were answered.
    normal: usize,
    /// Number of normal check-ins without an answer, which may still have been recorded.
    given_up: usize,
    scratch: Scratch,
}

impl Abused {
    #[track_caller]
    fn start(configure: impl FnOnce(&Scratch, Server) -> Server) -> Abused {
        let scratch = Scratch::hostile();
        let server = Server::new(&scratch)
            .without("--geodb")
            .arg("--client-timeout", "5s");
        let control = server.clone();
        let control = control.arg("--listen", Address::local(free_port()).to_string());
        let control = control.arg("--state-dir", scratch.join("control")).start();
        let running = configure(&scratch, server).start();
        check_in(running.addr()).unwrap();
        let (threads, memory) = (
            proc_status(running.pid(), "Threads"),
            proc_status(running.pid(), "VmRSS"),
        );
        Abused {
            running,
            control,
            threads,
            memory,
            normal: 1,
            given_up: 0,
            scratch,
        }
    }

    fn address(&self) -> Address {
        self.running.addr().clone()
    }

    /// Attacks the server while a normal client checks in, and checks in once more afterwards.
    #[track_caller]
    fn during<T>(&mut self, case: &str, abuse: impl FnOnce(&Address) -> (T, String)) -> T {
        let stop = Arc::new(AtomicBool::new(false));
        let normal = {
            let (stop, address) = (Arc::clone(&stop), self.address());
            let control = self.control.addr().clone();
            thread::spawn(move || normal_client(&address, &control, &stop))
        };
        let start = Instant::now();
        let (result, outcome) = abuse(self.running.addr());
        let took = start.elapsed();
        stop.store(true, Ordering::Relaxed);
        let (answered, slowest) = normal
            .join()
            .unwrap()
            .unwrap_or_else(|e| panic!("{case}: {e}"));
        self.normal += answered;
        self.normal_is_answered(case);
        let during = format!(
            "{outcome}; {answered} normal check-ins in {:.1} s, the slowest took {} ms",
            took.as_secs_f64(),
            slowest.as_millis()
        );
        tried(FAMILY, case, during);
        result
    }

    /// Requires that one more check-in is answered in time.
    #[track_caller]
    fn normal_is_answered(&mut self, after: &str) {
        timed(self.running.addr(), self.control.addr())
            .unwrap_or_else(|e| panic!("after {after}: {e}"));
        self.normal += 1;
    }

    /// Waits until threads and memory are released, except for the permitted rest.
    #[track_caller]
    fn gives_back(&mut self, case: &str) {
        let pid = self.running.pid();
        let peak = proc_status(pid, "VmHWM");
        wait_for(GIVEN_BACK, &format!("{case}: threads to end"), || {
            proc_status(pid, "Threads") <= self.threads + MORE_THREADS
        });
        wait_for(
            GIVEN_BACK,
            &format!("{case}: memory to be given back"),
            || proc_status(pid, "VmRSS") <= self.memory + MORE_MEMORY,
        );
        let (threads, memory) = (proc_status(pid, "Threads"), proc_status(pid, "VmRSS"));
        let outcome = format!(
            "threads {} before, {threads} after; memory {} MiB before, {} MiB at most, {} MiB after",
            self.threads,
            self.memory / 1024,
            peak / 1024,
            memory / 1024
        );
        tried(
            FAMILY,
            &format!("{case}: memory and threads afterwards"),
            outcome,
        );
    }

    /// Stops the server. It must have recorded each normal check-in once, and besides them only check-ins with the tags
    /// `also`. Returns the number of these.
    #[track_caller]
    fn finish_with(self, also: &str) -> usize {
        let ended = self.running.terminate();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        let account = ended.stderr.lines().last().unwrap_or_default();
        assert!(account.ends_with("dropped 0 + expired 0"), "{account}");
        let of = |tags: &str| format!("upgrade_request,{tags} value=1i");
        let points = spool::points(&self.scratch);
        let count = |point: &str| points.iter().filter(|found| *found == point).count();
        let (normal, others) = (count(&of("app_version=normal")), count(&of(also)));
        let expected = self.normal..=self.normal + self.given_up;
        assert!(expected.contains(&normal), "{normal}, not {expected:?}");
        assert_eq!(points.len(), normal + others, "other records in the spool");
        others
    }

    /// Stops the server, which must have recorded the normal check-ins and no others.
    #[track_caller]
    fn finish(self) {
        self.finish_with("");
    }
}

/// Sends a normal check-in over a new connection. Returns the time until its answer.
fn check_in(address: &Address) -> Result<Duration, String> {
    let start = Instant::now();
    let mut connection = Connection::open(address).map_err(|e| format!("no connection: {e}"))?;
    let answer = connection.post_checkin(NORMAL, &[("Connection", "close")]);
    let answer = answer.map_err(|e| format!("no answer for {:?}: {e}", start.elapsed()))?;
    match answer.status {
        200 => Ok(start.elapsed()),
        status => Err(format!("a normal check-in was answered with {status}")),
    }
}

/// Sends a normal check-in, which may take a second longer than one to the server without an attack.
fn timed(address: &Address, control: &Address) -> Result<Duration, String> {
    let usual = {
        let control = control.clone();
        thread::spawn(move || check_in(&control))
    };
    let took = check_in(address);
    let usual = usual
        .join()
        .map_err(|_| "the client of the control server panicked")??;
    let took = took.map_err(|e| format!("{e}, the control server took {usual:?}"))?;
    match took <= usual + AT_ONCE {
        true => Ok(took),
        false => Err(format!(
            "a normal client waited {took:?}, the control server took {usual:?}"
        )),
    }
}

/// Checks in repeatedly until it is stopped. Returns the number of check-ins and the longest time of one.
fn normal_client(
    address: &Address,
    control: &Address,
    stop: &AtomicBool,
) -> Result<(usize, Duration), String> {
    let (mut answered, mut slowest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let took = timed(address, control).map_err(|e| format!("during the attack: {e}"))?;
        slowest = slowest.max(took);
        answered += 1;
        thread::sleep(Duration::from_millis(50));
    }
    Ok((answered, slowest))
}

/// The request of a check-in with this version, over a kept connection.
fn whole_check_in(version: &str) -> String {
    let body = format!("{{\"appVersion\":\"{version}\"}}");
    format!("{CHECK_IN}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A raw connection, for bytes that the harness's client cannot send.
#[track_caller]
fn connect(address: &Address) -> TcpStream {
    let Address::Tcp(address) = address else {
        panic!("no TCP address");
    };
    let stream = TcpStream::connect_timeout(address, Duration::from_secs(10)).unwrap();
    let limit = Some(CLIENT_TIMEOUT * 3);
    stream.set_read_timeout(limit).unwrap();
    stream.set_write_timeout(limit).unwrap();
    stream
}

/// Sends bytes, ends its side of the connection, and returns the first line of the answer. It is empty if the server
/// closes the connection without an answer.
fn say(case: &str, address: &Address, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    // The server may refuse the request before it has read all bytes.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    first_line_until_end(case, &mut stream)
}

/// The first line of the answer. The server must close the connection before the read times out.
#[track_caller]
fn first_line_until_end(case: &str, stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("{case}: not cut off: {e}"),
        _ => {}
    }
    let text = String::from_utf8_lossy(&all);
    // tiny_http answers the end of a connection with an empty 400, in addition to earlier answers.
    let end = text.rfind("HTTP/1.1 400 Bad Request\r\nServer: tiny-http");
    let answers = &text[..end.filter(|end| *end > 0).unwrap_or(text.len())];
    let count = answers.matches("HTTP/1.1 ").count() - answers.matches("HTTP/1.1 100 ").count();
    assert!(count <= 1, "{case}: two answers to one request: {text}");
    text.lines().next().unwrap_or_default().to_string()
}

/// Adds a row to tests/TRIED.md.
fn note(case: &str, outcome: impl Display) {
    tried(FAMILY, case, outcome);
}
