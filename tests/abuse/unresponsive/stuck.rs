//! Connection slots that clients take and do not give back. If these tests failed, a server without a usable slot would
//! not be restarted, or one whose slots are merely idle would be.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{AT_THE_CAP, BELOW_THE_CAP, HTTP_2, ends_unresponsive, server};
use crate::abuse::large::is_open;
use crate::abuse::{check_in, connect, note};
use crate::support::client::Address;
use crate::support::scratch::{Scratch, free_port};
use crate::support::{metrics, spool, wait_for};

#[test]
fn stuck_connections_end_the_process_when_no_slot_is_left() {
    let scratch = Scratch::hostile();
    let server = server(&scratch).arg("--max-connections", "8");
    let running = server.start();
    let mut stuck: Vec<TcpStream> = Vec::new();
    for _ in 0..7 {
        let mut stream = connect(running.addr());
        stream.write_all(HTTP_2).unwrap();
        stuck.push(stream);
    }
    // Longer than the self-check takes to find a server unresponsive.
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
    let took = ends_unresponsive(running, since, AT_THE_CAP);
    note(
        "HTTP/2.0 in the request line, every slot lost",
        format!(
            "the process ends with status 1 and logs the reason after {:.1} s",
            took.as_secs_f64()
        ),
    );

    // The records are still in the spool, and the next start keeps them.
    drop((stuck, last));
    let running = server.start();
    check_in(running.addr()).unwrap();
    assert_eq!(running.terminate().code, Some(0));
    let points = spool::points(&scratch);
    let normal = "upgrade_request,app_version=normal value=1i";
    assert_eq!(points, vec![normal; answered + 1]);
}

/// A slot that idle clients take in turns must not make the server look responsive.
#[test]
fn stuck_connections_end_the_process_while_idle_clients_take_the_last_slot_in_turns() {
    let scratch = Scratch::hostile();
    let running = server(&scratch).arg("--max-connections", "8").start();
    for _ in 0..7 {
        connect(running.addr()).write_all(HTTP_2).unwrap();
    }
    let Address::Tcp(address) = running.addr().clone() else {
        panic!("no TCP address");
    };
    let (since, mut idle, mut came) = (Instant::now(), Vec::new(), 0);
    // Connecting fails once the process has ended.
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
    let took = ends_unresponsive(running, since, AT_THE_CAP);
    note(
        "7 of 8 slots lost to HTTP/2.0, 3 idle clients take the last one in turns",
        format!(
            "the process ends with status 1 and logs the reason after {:.1} s",
            took.as_secs_f64()
        ),
    );
}

#[test]
fn stuck_connections_below_the_cap_are_counted_and_logged() {
    const PROBES: u64 = 300;
    let scratch = Scratch::hostile();
    let metrics_at = Address::local(free_port());
    let server = server(&scratch).arg("--metrics-listen", metrics_at.to_string());
    let running = server.start();
    for _ in 0..PROBES {
        connect(running.addr()).write_all(HTTP_2).unwrap();
    }
    let stuck = || metrics::value(&metrics_at, "connections_stuck");
    wait_for(AT_THE_CAP, "stuck connections to be counted", || {
        stuck() == PROBES
    });
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

/// nginx keeps its idle connections for longer than `--client-timeout` in this test.
#[test]
fn idle_connections_of_a_proxy_do_not_count_as_stuck() {
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
