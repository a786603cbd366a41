//! A thousand connections at once, and more than the cap on connections allows. If these tests failed, idle or slow
//! clients would keep threads, memory and connections from others.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::unresponsive::AT_THE_CAP;
use super::{Abused, CHECK_IN, CLIENT_TIMEOUT, check_in, connect, note, whole_check_in};
use crate::support::client::Address;
use crate::support::metrics;
use crate::support::scratch::free_port;
use crate::support::server::RESPONSE_CONFIG;
use crate::support::wait_for;

/// Below the default of `--max-connections`, 1024.
const CROWD: usize = 1000;
/// Time for all connections to be closed: two time-outs, since the rest of a refused body is read in a second one, and
/// 10 s for a busy machine.
const CUT_OFF: Duration = Duration::from_secs(20);
/// Kernel memory that clients may take by not reading, in bytes. Each end of a connection may take the buffer size that
/// the server sets.
const KERNEL_MEMORY: u64 = CROWD as u64 * 2 * 256 * 1024;
/// Bytes of a page, the unit in /proc/net/sockstat.
const PAGE: u64 = 4096;

#[test]
fn a_thousand_silent_connections_are_closed_and_delay_nobody() {
    let mut abused = Abused::start(|_, server| server);
    let whole = whole_check_in("normal");
    let crowds = [
        ("1000 idle connections", String::new()),
        ("1000 connections idle after a check-in", whole),
        ("1000 half-sent heads", format!("{CHECK_IN}X-A: b")),
        (
            "1000 half-sent small bodies",
            format!("{CHECK_IN}Content-Length: 20\r\n\r\n{{"),
        ),
        (
            "1000 half-sent large bodies",
            format!("{CHECK_IN}Content-Length: 20000\r\n\r\n{{"),
        ),
    ];
    let pid = abused.running.pid();
    for (case, beginning) in crowds {
        abused.during(case, |address| {
            let mut crowd = crowd_of(CROWD, pid, || {
                let mut stream = connect(address);
                stream.write_all(beginning.as_bytes()).unwrap();
                if beginning.contains("normal") {
                    let answer = stream.read(&mut [0; 4096]).unwrap();
                    assert!(answer > 0, "{case}: no answer");
                }
                stream
            });
            let start = Instant::now();
            for stream in &mut crowd {
                stream.set_read_timeout(Some(CUT_OFF)).unwrap();
                let end = stream.read_to_end(&mut Vec::new());
                assert!(
                    end.is_ok() || start.elapsed() < CUT_OFF,
                    "{case}: not cut off"
                );
            }
            let took = start.elapsed();
            assert!(took < CUT_OFF, "{case}: cut off after {took:?}");
            (
                (),
                format!("all cut off within {:.1} s", took.as_secs_f64()),
            )
        });
        if case.contains("after a check-in") {
            abused.normal += CROWD;
        }
    }
    abused.gives_back("silent crowds");
    abused.finish();
}

#[test]
fn clients_that_do_not_read_their_answers_are_cut_off() {
    let mut abused = Abused::start(|scratch, server| {
        // A few answers of this size fill the socket buffers.
        let notes = format!("\"notes\":\"{}\",\"name\"", "x".repeat(200_000));
        let config = RESPONSE_CONFIG.replacen("\"name\"", &notes, 1);
        scratch.write("response-config.json", config);
        server
    });
    let check_ins = whole_check_in("greedy").repeat(50);
    let pid = abused.running.pid();
    let before = open_files(pid);
    abused.during(
        "1000 connections that ask for 10 MB each and read nothing",
        |address| {
            let kernel = kernel_memory();
            let _crowd = crowd_of(CROWD, pid, || {
                let mut stream = connect_with_small_buffer(address);
                stream.write_all(check_ins.as_bytes()).unwrap();
                stream
            });
            let start = Instant::now();
            let mut held = 0;
            // The open files of the server show this. A client that does not read cannot see the end of its connection.
            wait_for(CUT_OFF, "clients that do not read to be cut off", || {
                held = held.max(kernel_memory().saturating_sub(kernel));
                open_files(pid) < before + 10
            });
            let took = start.elapsed().as_secs_f64();
            assert!(held < KERNEL_MEMORY, "the kernel held {held} bytes");
            let held = held >> 20;
            (
                (),
                format!("all cut off within {took:.1} s, the kernel held {held} MiB of answers"),
            )
        },
    );
    abused.gives_back("crowd that does not read");
    let recorded = abused.finish_with("app_version=greedy");
    assert!(recorded >= CROWD, "only {recorded} check-ins were read");
}

#[test]
fn connections_that_are_reset_leave_nothing_behind() {
    let metrics_at = Address::local(free_port());
    let mut abused =
        Abused::start(|_, server| server.arg("--metrics-listen", metrics_at.to_string()));
    let whole = whole_check_in("reset");
    let beginnings = ["", "POST /v1/che", CHECK_IN, whole.as_str()];
    abused.during("4000 connections that are reset at once", |address| {
        let taken = || metrics::value(&metrics_at, "connections_total");
        let before = taken();
        for n in 0..4000 {
            let mut stream = connect(address);
            SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            stream
                .write_all(beginnings[n % beginnings.len()].as_bytes())
                .unwrap();
            // A few hundred connections at most wait to be accepted, see `crowd_of`.
            if n % 200 == 0 {
                let expected = before + n as u64;
                wait_for(CUT_OFF, "resets to be taken", || taken() >= expected);
            }
        }
        ((), "none left".to_string())
    });
    abused.gives_back("resets");
    abused.finish_with("app_version=reset");
}

#[test]
fn idle_connections_at_the_cap_delay_others_until_they_are_closed() {
    let mut abused = Abused::start(|_, server| server.arg("--max-connections", "64"));
    let address = abused.address();
    let start = Instant::now();
    let crowd: Vec<TcpStream> = (0..100).map(|_| connect(&address)).collect();
    // 36 idle connections wait before the normal client, so it waits for two time-outs.
    let took = loop {
        match check_in(&address) {
            Ok(_) => break start.elapsed(),
            Err(_) => {
                abused.given_up += 1;
                assert!(start.elapsed() < AT_THE_CAP, "no answer at the cap");
            }
        }
    };
    abused.normal += 1;
    abused.normal_is_answered("a crowd at the cap");
    drop(crowd);
    note(
        "100 idle connections where 64 are allowed",
        format!(
            "a normal client is answered again after {:.1} s",
            took.as_secs_f64()
        ),
    );
    abused.gives_back("crowd at the cap");
    abused.finish();
}

/// Opens `size` connections, waiting until the server has accepted those before. In a burst of a thousand a normal
/// client would have to wait until all are accepted, and for how long depends on the load of the machine.
fn crowd_of(size: usize, pid: u32, join: impl Fn() -> TcpStream) -> Vec<TcpStream> {
    // The test process also needs open files.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If this fails, opening a connection fails with the reason.
    let _ = setrlimit(Resource::Nofile, limit);
    let (before, start) = (open_files(pid), Instant::now());
    let mut crowd = Vec::new();
    while crowd.len() < size {
        crowd.extend((0..50).map(|_| join()));
        // Two files per connection. Those of the normal client and the self-check may be open or not.
        let expected = before + 2 * crowd.len() - 10;
        wait_for(CUT_OFF, "the connections to be accepted", || {
            open_files(pid) >= expected || start.elapsed() > CLIENT_TIMEOUT / 2
        });
    }
    crowd
}

/// A connection with a small receive buffer.
pub fn connect_with_small_buffer(address: &Address) -> TcpStream {
    let Address::Tcp(address) = address else {
        panic!("no TCP address");
    };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&SockAddr::from(*address)).unwrap();
    socket.into()
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Kernel memory of all TCP connections of the machine, in bytes.
fn kernel_memory() -> u64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap();
    let pages: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    pages * PAGE
}
