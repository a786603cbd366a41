//! The harness's control of the server. If these tests failed, other tests could fail although the server works, or pass
//! without a server.

use std::panic;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::client::Connection;
use crate::support::load::Load;
use crate::support::nginx::Nginx;
use crate::support::scratch::Scratch;
use crate::support::server::{self, Server};
use crate::support::wait_for;

#[test]
fn server_address_follows_flags_before_environment() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).arg("--listen", "127.0.0.1:7");
    assert_eq!(server.address().to_string(), "127.0.0.1:7");
    let server = server.without("--listen").env("PORT", "8");
    assert_eq!(server.address().to_string(), "127.0.0.1:8");
    let server = server.arg("--port", "9");
    assert_eq!(server.address().to_string(), "127.0.0.1:9");
    let server = server.env("LISTEN", "unix:/run/s");
    assert_eq!(server.address().to_string(), "unix:/run/s");
}

#[test]
fn server_starts_answers_over_tcp_and_unix_socket_and_stops() {
    let scratch = Scratch::new();
    let tcp = Server::new(&scratch);
    let socket = format!("unix:{}", scratch.join("socket").display());
    let unix = Server::new(&scratch).arg("--listen", &socket);
    let unix = unix.arg("--state-dir", scratch.join("state-of-unix"));
    for server in [tcp, unix] {
        let running = server.start();
        let nginx = Nginx::in_front_of(&scratch, running.addr());
        for address in [running.addr(), nginx.addr()] {
            let mut connection = Connection::open(address).unwrap();
            let answer = connection.post_checkin(r#"{"appVersion":"v1.0.0"}"#, &[]);
            assert_eq!(answer.unwrap().status, 200);
        }
        let ended = running.terminate();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

#[test]
fn server_that_does_not_start_fails_with_its_exit_code_and_log() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).arg("--query-period", "never");
    assert!(server.expect_exit(2).stderr.contains("--query-period"));
    assert!(panic::catch_unwind(|| server.start()).is_err());
    let unknown = Server::new(&scratch).switch("--no-such-flag");
    assert!(unknown.expect_exit(2).stderr.contains("--no-such-flag"));
    let help = server::run(&scratch, &["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("--geodb"), "{}", help.stdout);
}

#[test]
fn load_continues_while_a_server_is_paused_killed_and_started_again() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    let mut running = server.start();
    let first = running.pid();
    let load = Load::new(running.addr()).threads(2).endless().tolerant();
    let load = load.pause(Duration::from_millis(1)).start();
    let answered = |more: usize| {
        let goal = load.acknowledged() + more;
        wait_for(Duration::from_secs(20), "answers", || {
            load.acknowledged() >= goal
        });
    };
    answered(20);

    running.signal(Signal::STOP);
    let mut connection = running.connect();
    connection.set_limit(Duration::from_millis(100)).unwrap();
    assert!(connection.post_checkin("{}", &[]).is_err());
    running.signal(Signal::CONT);
    answered(20);

    running.kill();
    let mut running = server.start();
    assert_ne!(running.pid(), first);
    answered(20);
    let outcome = load.stop();
    assert!(outcome.errors > 0);
    assert!(running.log().contains("ready"));
    running.signal(Signal::INT);
    assert_eq!(running.wait(Duration::from_secs(20)).code, Some(0));
}
