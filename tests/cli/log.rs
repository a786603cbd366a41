//! The log lines at start and the default state directory. If these tests failed, passwords would be in the log, or
//! operators could not see which user, database and versions the server uses.

use std::fs;
use std::time::Duration;

use super::{assert_one_line, checked};
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{self, APPLICATION, DATABASE, Server};
use crate::support::wait_for;

#[test]
fn passwords_are_not_repeated_and_one_without_a_user_is_warned_of() {
    let scratch = Scratch::new();
    let misspelt = server::run(&scratch, &["start", "--influxdb-pas=s3cret"]);
    assert_one_line(&misspelt.stderr, &["\"--influxdb-pas\""]);
    assert!(!misspelt.stderr.contains("s3cret"), "{}", misspelt.stderr);
    let url = [
        "--influxdb-url",
        "http://localhost:8086",
        "--influxdb-pass",
        "s3cret",
    ];
    let report = checked(&scratch, &[], &url);
    assert!(
        report.contains("password without --influxdb-user"),
        "{report}"
    );
    assert!(!report.contains("s3cret"), "{report}");
    let url = [
        "--influxdb-url",
        "http://me@localhost:8086",
        "--influxdb-pass=--debug",
    ];
    let ended = server::run(&scratch, &[&["start"][..], &url].concat());
    assert_one_line(&ended.stderr, &["--influxdb-pass", "the name of a flag"]);
}

#[test]
fn log_at_start_names_the_influxdb_user() {
    let scratch = Scratch::new();
    let port = free_port();
    for (userinfo, user, logged) in [
        ("", None, ", no user,"),
        ("adm:hunter2@", None, ", user from the URL,"),
        ("adm:hunter2@", Some("responder"), ", user \"responder\","),
    ] {
        let url = format!("http://{userinfo}127.0.0.1:{port}");
        let server = Server::new(&scratch).arg("--influxdb-url", url);
        let server = user
            .into_iter()
            .fold(server, |server, user| server.arg("--influxdb-user", user));
        let log = server.start().terminate().stderr;
        let start = format!("InfluxDB http://127.0.0.1:{port}{logged}");
        assert!(log.contains(&start), "{log}");
        assert!(!log.contains("adm") && !log.contains("hunter2"), "{log}");
    }
}

#[test]
fn ready_line_has_address_application_database_and_versions() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    let log = running.log();
    let ready = log.lines().find(|line| line.contains("ready on")).unwrap();
    let address = running.addr().to_string();
    for piece in [
        &address,
        APPLICATION,
        DATABASE,
        "2 versions",
        "latest \"v1.1.0\"",
    ] {
        assert!(ready.contains(piece), "{piece:?} is not in: {ready}");
    }
}

#[test]
fn default_state_directory_is_systemds_or_below_the_working_directory() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).without("--state-dir");
    let state = scratch.join("state");
    let in_state = server.clone().env("STATE_DIRECTORY", &state).start();
    assert_eq!(in_state.terminate().code, Some(0));
    assert!(state.join(APPLICATION).join("spool").is_dir());
    let running = server.start();
    running.connect().post_checkin("{}", &[]).unwrap();
    let folder = scratch.join("upgrade-responder-data/myapp/spool");
    wait_for(Duration::from_secs(10), "a segment", || {
        let entries = fs::read_dir(&folder).unwrap();
        entries.count() > 1
    });
}
