//! The listening socket and its connections. If these tests failed, slow clients would block others, the server could not
//! listen on a configured address, or a restart would fail. `abuse` tests more time-outs.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Address, Connection};
use crate::support::load::Load;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::Server;
use crate::support::spool;
use crate::support::wait_for;

const CHECK_IN: &str = "POST /v1/checkupgrade HTTP/1.1\r\nHost: localhost\r\n";
/// Time limit on a busy machine for events that normally take a second.
const LATE: Duration = Duration::from_secs(8);

/// A server with a short time-out.
fn impatient(scratch: &Scratch) -> Server {
    Server::new(scratch)
        .without("--geodb")
        .arg("--client-timeout", "1s")
}

#[test]
fn a_large_body_that_arrives_too_slowly_is_cut_off() {
    let scratch = Scratch::new();
    let running = impatient(&scratch).start();
    for header in ["Content-Length: 20000", "Transfer-Encoding: chunked"] {
        let mut connection = running.connect();
        let head = format!("{CHECK_IN}{header}\r\n\r\n1000\r\n");
        connection.send(head.as_bytes()).unwrap();
        connection.set_limit(Duration::from_millis(100)).unwrap();
        let start = Instant::now();
        let answer = loop {
            // This may fail because the server has closed the connection. The answer can still be read.
            let _ = connection.send(b" ");
            match connection.read_response() {
                Ok(answer) => break answer,
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock, "{header}"),
            }
            assert!(start.elapsed() < LATE, "{header}: not cut off");
        };
        assert_eq!(answer.status, 408);
        assert_eq!(answer.text(), "{\"error\":\"the body came too slowly\"}\n");
    }
}

#[test]
fn connections_over_the_cap_wait_for_a_free_slot() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).arg("--max-connections", "2").start();
    let mut served: Vec<Connection> = (0..2).map(|_| running.connect()).collect();
    for connection in &mut served {
        assert_eq!(connection.post_checkin("{}", &[]).unwrap().status, 200);
    }
    let check_in = format!("{CHECK_IN}Content-Length: 2\r\n\r\n{{}}");
    let mut waiting: Vec<Connection> = (0..3).map(|_| running.connect()).collect();
    for connection in &mut waiting {
        connection.send(check_in.as_bytes()).unwrap();
        connection.set_limit(Duration::from_millis(100)).unwrap();
        let silence = connection.read_response().unwrap_err();
        assert_eq!(silence.kind(), io::ErrorKind::WouldBlock);
    }
    // The connections with a slot are still served.
    for connection in &mut served {
        assert_eq!(connection.post_checkin("{}", &[]).unwrap().status, 200);
    }
    // Each connection that is closed frees a slot for the next one. None is refused.
    for mut connection in waiting {
        served.remove(0);
        connection.set_limit(LATE).unwrap();
        assert_eq!(connection.read_response().unwrap().status, 200);
        served.push(connection);
    }
}

#[test]
fn many_clients_over_the_cap_are_all_served() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).arg("--max-connections", "4").start();
    let connections: Vec<_> = (0..64).map(|_| Load::new(running.addr()).start()).collect();
    let answered: usize = connections
        .into_iter()
        .map(|c| c.finish().ids().len())
        .sum();
    assert_eq!(answered, 64);
    running.terminate();
    assert_eq!(spool::points(&scratch).len(), 64);
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
    let scratch = Scratch::new();
    let socket = scratch.join("socket");
    let listen = format!("unix:{}", socket.display());
    let server = Server::new(&scratch).arg("--listen", &listen);
    server.start().kill();
    assert!(socket.exists(), "a killed server leaves its socket");

    let running = server.start();
    let other = Server::new(&scratch).arg("--listen", &listen);
    let other = other.arg("--state-dir", scratch.join("other"));
    let refused = other.expect_exit(78).stderr;
    assert!(
        refused.contains("another process listens there"),
        "{refused}"
    );

    // Peers on a unix socket are trusted proxies.
    let forwarded = [("X-Forwarded-For", "203.0.113.7")];
    let answer = running.connect().post_checkin("{}", &forwarded);
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!(running.terminate().code, Some(0));
    assert!(!socket.exists(), "a server that stops deletes its socket");
    assert!(spool::points(&scratch)[0].contains("city=Zürich"));
}

#[test]
fn listening_on_all_ipv6_addresses_includes_ipv4() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let scratch = Scratch::new();
    let port = free_port();
    let server = Server::new(&scratch).arg("--listen", format!("[::]:{port}"));
    let running = server.start();
    let v6 = Address::Tcp(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    let forwarded = [("X-Forwarded-For", "203.0.113.7")];
    for address in [v6, Address::local(port)] {
        let mut connection = Connection::open(&address).unwrap();
        let answer = connection.post_checkin("{}", &forwarded);
        assert_eq!(answer.unwrap().status, 200, "{address}");
    }
    running.terminate();
    let points = spool::points(&scratch);
    // ::1 and ::ffff:127.0.0.1 are both loopback, so both are trusted.
    assert_eq!(points.iter().filter(|p| p.contains("Zürich")).count(), 2);
}

#[test]
fn a_killed_server_can_be_restarted_at_once_on_its_port() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    for _ in 0..3 {
        let running = server.start();
        let mut open = running.connect();
        assert_eq!(open.post_checkin("{}", &[]).unwrap().status, 200);
        running.kill();
    }
}

#[test]
fn a_large_answer_does_not_wait_for_a_delayed_ack() {
    let scratch = Scratch::alone();
    let version = |n: usize| {
        let tag = if n == 59 { "latest" } else { "stable" };
        format!(
            r#"{{"name":"v1.{n}.0","releaseDate":"2024-01-10T00:00:00Z","minUpgradableVersion":"","tags":["{tag}"]}}"#
        )
    };
    let versions: Vec<String> = (0..60).map(version).collect();
    let config = format!("{{\"versions\":[{}]}}", versions.join(","));
    scratch.write("response-config.json", &config);
    let running = Server::new(&scratch).start();
    let answer = running.connect().post_checkin("{}", &[]).unwrap();
    assert!(answer.body.len() > 5_000);
    // In two writes without TCP_NODELAY, each answer would take over 40 ms. The limit is for a debug build on a busy
    // machine. A release build on an idle one takes 0.1 ms.
    let median = Load::new(running.addr()).each(300).run().p50();
    assert!(median < Duration::from_millis(10), "{median:?}");
}

#[test]
fn a_stop_waits_for_a_request_in_progress_and_not_for_idle_connections() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).without("--geodb").start();
    let mut idle = running.connect();
    assert_eq!(idle.post_checkin("{}", &[]).unwrap().status, 200);
    let mut in_flight = running.connect();
    let body = format!("{{\"appVersion\":\"in-flight\"{}", " ".repeat(2_000));
    let head = format!("{CHECK_IN}Content-Length: {}\r\n\r\n", body.len() + 1);
    in_flight.send(format!("{head}{body}").as_bytes()).unwrap();
    // The stop must come while the server waits for the rest of the body.
    wait_for(LATE, "the body to be read", || {
        unread_bytes(running.addr()) == 0
    });
    let address = running.addr().clone();
    let stopping = thread::spawn(move || running.terminate());
    wait_for(LATE, "the listener to close", || {
        Connection::open(&address).is_err()
    });
    in_flight.send(b"}").unwrap();
    assert_eq!(in_flight.read_response().unwrap().status, 200);
    let ended = stopping.join().unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(spool::points(&scratch).len(), 2);
    assert!(spool::points(&scratch)[1].contains("in-flight"));
}

/// Bytes that the server has received and not read yet, as counted by the kernel.
fn unread_bytes(address: &Address) -> u64 {
    let Address::Tcp(address) = address else {
        panic!("no TCP address");
    };
    let local = format!(":{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let of_server = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    // The columns are number, local address, remote address, state (01: established), and tx:rx queues.
    of_server
        .filter(|c| c.len() > 4 && c[1].ends_with(&local) && c[3] == "01")
        .map(|c| u64::from_str_radix(c[4].split_once(':').unwrap().1, 16).unwrap())
        .sum()
}
