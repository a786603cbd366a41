//! Hostile clients, asked directly and with `--client-timeout 5s`: whatever they do, a normal client is
//! answered within a second, the process gives back what they took, and nothing of theirs is recorded.

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
/// A request that must not be taken for one: it stands in a body, or behind a request that is refused.
const SMUGGLED: &str = "POST /v1/checkupgrade HTTP/1.1\r\nHost: localhost\r\nContent-Length: 25\r\n\r\n{\"appVersion\":\"smuggled\"}";
const NORMAL: &str = r#"{"appVersion":"normal"}"#;
/// `--client-timeout` of these tests.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// A normal client's patience, beside what the machine itself takes.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Connection threads wait 10 s for a next connection before they end; a busy machine is late.
const GIVEN_BACK: Duration = Duration::from_secs(40);
/// Threads over those of the start: a few that wait for a next connection.
const MORE_THREADS: u64 = 24;
/// Memory over that of the start, in KiB: what the allocator keeps of the stacks and buffers of a
/// thousand connections.
const MORE_MEMORY: u64 = 64 * 1024;

/// A server that is abused, and what it took before.
pub struct Abused {
    running: server::Running,
    /// Another server, which nobody abuses: what it takes to answer is the machine's doing.
    control: server::Running,
    threads: u64,
    memory: u64,
    /// How many normal check-ins were answered.
    normal: usize,
    /// How many more were given up, and may have been recorded later.
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

    /// Lets somebody abuse the server while a normal client goes on, and one more comes afterwards.
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

    /// One more check-in, within a second.
    #[track_caller]
    fn normal_is_answered(&mut self, after: &str) {
        timed(self.running.addr(), self.control.addr())
            .unwrap_or_else(|e| panic!("after {after}: {e}"));
        self.normal += 1;
    }

    /// Waits until threads and memory are back within their bounds.
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
        tried(FAMILY, &format!("{case}: what is given back"), outcome);
    }

    /// Stops the server: it recorded the normal check-ins, each once, and besides them only those with
    /// the tags `also`; how many of these.
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
        assert_eq!(points.len(), normal + others, "something else is recorded");
        others
    }

    /// The same where only the normal check-ins are to be recorded.
    #[track_caller]
    fn finish(self) {
        self.finish_with("");
    }
}

/// One check-in over a connection of its own, and how long it took.
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

/// One check-in, which may take a second longer than one at a server that is left alone.
fn timed(address: &Address, control: &Address) -> Result<Duration, String> {
    let usual = {
        let control = control.clone();
        thread::spawn(move || check_in(&control))
    };
    let took = check_in(address);
    let usual = usual
        .join()
        .map_err(|_| "the other server's client panicked")??;
    let took = took.map_err(|e| format!("{e}, elsewhere {usual:?}"))?;
    match took <= usual + AT_ONCE {
        true => Ok(took),
        false => Err(format!(
            "a normal client waited {took:?}, elsewhere {usual:?}"
        )),
    }
}

/// Checks in again and again until it is stopped; how often, and the longest that it took.
fn normal_client(
    address: &Address,
    control: &Address,
    stop: &AtomicBool,
) -> Result<(usize, Duration), String> {
    let (mut answered, mut slowest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let took = timed(address, control).map_err(|e| format!("meanwhile: {e}"))?;
        slowest = slowest.max(took);
        answered += 1;
        thread::sleep(Duration::from_millis(50));
    }
    Ok((answered, slowest))
}

/// A whole check-in of that version, over a connection that is kept.
fn whole_check_in(version: &str) -> String {
    let body = format!("{{\"appVersion\":\"{version}\"}}");
    format!("{CHECK_IN}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A raw connection, for what the client of the harness would not do.
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

/// Sends bytes and nothing more, and returns the first line of what comes back until the server ends the
/// connection: empty if it does so without a word.
fn say(case: &str, address: &Address, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    // The server may refuse before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    first_line_until_end(case, &mut stream)
}

/// What the server says before it ends the connection, which it has to do in time: its first line.
#[track_caller]
fn first_line_until_end(case: &str, stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("{case}: not cut off: {e}"),
        _ => {}
    }
    let text = String::from_utf8_lossy(&all);
    // The library answers the end of a connection with an empty 400, whatever came before.
    let end = text.rfind("HTTP/1.1 400 Bad Request\r\nServer: tiny-http");
    let answers = &text[..end.filter(|end| *end > 0).unwrap_or(text.len())];
    let count = answers.matches("HTTP/1.1 ").count() - answers.matches("HTTP/1.1 100 ").count();
    assert!(count <= 1, "{case}: two answers to one request: {text}");
    text.lines().next().unwrap_or_default().to_string()
}

fn note(case: &str, outcome: impl Display) {
    tried(FAMILY, case, outcome);
}
