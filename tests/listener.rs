//! The listening socket: who is cut off and when, who waits and is served, and where it listens.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Address, Connection};
use crate::support::load::Load;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{RESPONSE_CONFIG, Server};
use crate::support::spool;
use crate::support::wait_for;

const CHECK_IN: &str = "POST /v1/checkupgrade HTTP/1.1\r\nHost: localhost\r\n";
/// A busy machine may be late by this much.
const LATE: Duration = Duration::from_secs(8);

fn impatient(scratch: &Scratch) -> Server {
    Server::new(scratch)
        .without("--geodb")
        .arg("--client-timeout", "1s")
}

#[test]
fn silent_clients_are_cut_off() {
    let scratch = Scratch::new();
    let running = impatient(&scratch).start();
    let whole_and_then_silent = format!("{CHECK_IN}Content-Length: 2\r\n\r\n{{}}");
    let beginnings = [
        "".to_string(),
        "POST /v1/check".to_string(),
        CHECK_IN.to_string(),
        format!("{CHECK_IN}Content-Length: 20\r\n\r\n{{"),
        format!("{CHECK_IN}Content-Length: 20000\r\n\r\n{{"),
        format!("{CHECK_IN}Transfer-Encoding: chunked\r\n\r\n2\r\n{{"),
        format!("{CHECK_IN}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
        whole_and_then_silent,
    ];
    let clients = beginnings.map(|beginning| {
        let mut connection = running.connect();
        connection.set_limit(LATE).unwrap();
        connection.send(beginning.as_bytes()).unwrap();
        let start = Instant::now();
        // All at once, so that the test takes as long as the slowest.
        thread::spawn(move || (beginning, connection.read_until_close(), start.elapsed()))
    });
    for client in clients {
        let (beginning, closed, after) = client.join().unwrap();
        assert!(closed.is_ok(), "{beginning:?} is not cut off");
        assert!(
            after > Duration::from_millis(900),
            "{beginning:?}: {after:?}"
        );
    }
    running.terminate();
    assert_eq!(spool::points(&scratch).len(), 1);
}

#[test]
fn large_body_that_drips_is_cut_off_though_it_is_never_silent() {
    let scratch = Scratch::new();
    let running = impatient(&scratch).start();
    for header in ["Content-Length: 20000", "Transfer-Encoding: chunked"] {
        let mut connection = running.connect();
        let head = format!("{CHECK_IN}{header}\r\n\r\n1000\r\n");
        connection.send(head.as_bytes()).unwrap();
        connection.set_limit(Duration::from_millis(100)).unwrap();
        let start = Instant::now();
        let answer = loop {
            // Fails once the server has closed its end and that was noticed; the answer is there.
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
fn client_that_does_not_read_is_cut_off() {
    let scratch = Scratch::new();
    // A few answers of this size fill the sockets' buffers, also on a busy machine.
    let notes = "x".repeat(500_000);
    let config =
        RESPONSE_CONFIG.replacen("\"name\"", &format!("\"notes\":\"{notes}\",\"name\""), 1);
    scratch.write("response-config.json", config);
    let server = impatient(&scratch).arg("--max-connections", "1");
    let running = server.start();
    let request = format!("{CHECK_IN}Content-Length: 2\r\n\r\n{{}}");
    let mut greedy = running.connect();
    greedy.send(request.repeat(1_000).as_bytes()).unwrap();
    let mut next = running.connect();
    next.set_limit(Duration::from_secs(20)).unwrap();
    assert_eq!(next.post_checkin("{}", &[]).unwrap().status, 200);
    running.terminate();
    let answered = spool::points(&scratch).len();
    assert!(answered < 1_000, "{answered} answers fit into the buffers");
}

#[test]
fn connections_over_the_cap_wait_and_are_served_when_a_slot_is_free() {
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
    // Those in a slot are served on.
    for connection in &mut served {
        assert_eq!(connection.post_checkin("{}", &[]).unwrap().status, 200);
    }
    // Each that goes lets the next one in; none was refused.
    for mut connection in waiting {
        served.remove(0);
        connection.set_limit(LATE).unwrap();
        assert_eq!(connection.read_response().unwrap().status, 200);
        served.push(connection);
    }
}

#[test]
fn crowd_over_the_cap_is_served_without_a_refusal() {
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
fn idle_connection_frees_its_slot_in_time() {
    let scratch = Scratch::new();
    let running = impatient(&scratch).arg("--max-connections", "1").start();
    let mut idle = running.connect();
    assert_eq!(idle.post_checkin("{}", &[]).unwrap().status, 200);
    let mut next = running.connect();
    next.set_limit(LATE).unwrap();
    assert_eq!(next.post_checkin("{}", &[]).unwrap().status, 200);
}

#[test]
fn stale_unix_socket_is_replaced_and_a_live_one_is_not() {
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

    // Who reaches the socket is a local proxy, and is believed.
    let forwarded = [("X-Forwarded-For", "203.0.113.7")];
    let answer = running.connect().post_checkin("{}", &forwarded);
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!(running.terminate().code, Some(0));
    assert!(
        !socket.exists(),
        "a server that stops takes its socket along"
    );
    assert!(spool::points(&scratch)[0].contains("city=Zürich"));
}

#[test]
fn all_ipv6_addresses_take_ipv4_clients_too() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("this machine has no IPv6: nothing to test");
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
    // ::1 and ::ffff:127.0.0.1 are both loopback, so both are believed.
    assert_eq!(points.iter().filter(|p| p.contains("Zürich")).count(), 2);
}

#[test]
fn server_starts_again_at_once_on_the_port_it_was_killed_on() {
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
fn large_answer_over_keep_alive_does_not_wait_for_a_delayed_ack() {
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
    // Sent in two writes without TCP_NODELAY, each would take over 40 ms. A busy machine and a debug
    // build allow no sharper limit; a quiet one with a release build answers in 0.1 ms.
    let median = Load::new(running.addr()).each(300).run().p50();
    assert!(median < Duration::from_millis(10), "{median:?}");
}

#[test]
fn stop_waits_for_a_request_in_flight_and_not_for_idle_connections() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).without("--geodb").start();
    let mut idle = running.connect();
    assert_eq!(idle.post_checkin("{}", &[]).unwrap().status, 200);
    let mut in_flight = running.connect();
    let body = format!("{{\"appVersion\":\"in-flight\"{}", " ".repeat(2_000));
    let head = format!("{CHECK_IN}Content-Length: {}\r\n\r\n", body.len() + 1);
    in_flight.send(format!("{head}{body}").as_bytes()).unwrap();
    // The server is at it once it waits for the rest: give a slow machine the time to get there.
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

/// Bytes that the server's connections have received and the server has not read, as the kernel says.
fn unread_bytes(address: &Address) -> u64 {
    let Address::Tcp(address) = address else {
        panic!("no TCP address");
    };
    let local = format!(":{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let of_server = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    // Columns: number, local address, remote address, state (01: established), tx:rx queues.
    of_server
        .filter(|c| c.len() > 4 && c[1].ends_with(&local) && c[3] == "01")
        .map(|c| u64::from_str_radix(c[4].split_once(':').unwrap().1, 16).unwrap())
        .sum()
}
