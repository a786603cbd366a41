//! Which of several settings counts: the last flag, or without a flag the environment variable. If these tests failed,
//! a server would run with another setting than its operator chose.

use super::checked;
use crate::support::client::{Address, Connection};
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{self, APPLICATION, Server};

#[test]
fn a_switch_can_be_turned_off_by_a_later_flag() {
    let scratch = Scratch::new();
    let url = ["--influxdb-url", "https://localhost:8086"];
    let warned = |environment: &[(&str, &str)], switches: &[&str]| {
        checked(&scratch, environment, &[&url, switches].concat()).contains("is not verified")
    };
    let variable = [("INFLUXDB_INSECURE_TLS", "true")];
    assert!(warned(&variable, &[]));
    assert!(!warned(&variable, &["--influxdb-insecure-tls=false"]));
    assert!(!warned(
        &[],
        &["--influxdb-insecure-tls", "--influxdb-insecure-tls=false"]
    ));
    assert!(warned(
        &[],
        &["--influxdb-insecure-tls=false", "--influxdb-insecure-tls"]
    ));
}

#[test]
fn flag_port_takes_precedence_over_variable_listen() {
    let scratch = Scratch::new();
    let listen = [("LISTEN", "127.0.0.1:1111")];
    assert!(checked(&scratch, &listen, &["--port", "2222"]).contains("0.0.0.0:2222"));
    assert!(checked(&scratch, &listen, &[]).contains("127.0.0.1:1111"));
    let both = ["--port", "2222", "--listen", "127.0.0.1:3333"];
    assert!(checked(&scratch, &[], &both).contains("127.0.0.1:3333"));
}

#[test]
fn password_flags_take_precedence_over_password_variables() {
    let scratch = Scratch::new();
    let config = scratch.write("response-config.json", server::RESPONSE_CONFIG);
    // The file is missing, so an error names it if and only if the file is read.
    let reads_file = |environment: &[(&str, &str)], more: &[&str]| {
        let mut command = vec!["check-config", "--application-name", APPLICATION];
        command.extend(["--upgrade-response-config", config.to_str().unwrap()]);
        command.extend(["--influxdb-url", "http://me@localhost:8086"]);
        command.extend(more);
        let ended = server::run_with(&scratch, environment, &command);
        ended.stderr.contains("--influxdb-pass-file /missing: ")
    };
    let (text, file) = (
        ("INFLUXDB_PASS", "s3cret"),
        ("INFLUXDB_PASS_FILE", "/missing"),
    );
    assert!(reads_file(&[text], &["--influxdb-pass-file", "/missing"]));
    assert!(!reads_file(&[text, file], &[]));
    assert!(!reads_file(&[file], &["--influxdb-pass", "s3cret"]));
    let both = [
        "--influxdb-pass-file",
        "/missing",
        "--influxdb-pass",
        "s3cret",
    ];
    assert!(!reads_file(&[], &both));
    assert!(reads_file(&[file], &[]));
}

#[test]
fn environment_alone_is_enough_and_an_empty_variable_counts_as_unset() {
    let scratch = Scratch::new();
    // Writes the response config.
    Server::new(&scratch);
    let server = Server::new(&scratch);
    let names = [
        "--upgrade-response-config",
        "--application-name",
        "--geodb",
        "--listen",
        "--state-dir",
    ];
    let server = names.into_iter().fold(server, Server::without);
    let server = server
        .env(
            "UPGRADE_RESPONSE_CONFIG",
            scratch.join("response-config.json"),
        )
        .env("APPLICATION_NAME", "from-environment")
        .env("STATE_DIR", scratch.join("state"))
        .env("PORT", free_port().to_string())
        .env("QUERY_PERIOD", "")
        .env("GEODB", "")
        .env("DEBUG", "false");
    let running = server.start();
    let answer = running.connect().post_checkin("{}", &[]).unwrap();
    assert_eq!(answer.json()["requestIntervalInMinutes"], 60);
    let log = running.terminate().stderr;
    assert!(
        log.contains("database \"from-environment_upgrade_responder\""),
        "{log}"
    );
    assert_eq!(log.matches("no --geodb").count(), 1, "{log}");
}

#[test]
fn flags_work_in_all_spellings_and_the_last_one_wins() {
    let scratch = Scratch::new();
    let port = free_port();
    let server = Server::new(&scratch).without("--listen");
    let server = server.switch("-d").switch("--query-period=2h");
    let server = server
        .env("QUERY_PERIOD", "3h")
        .env("PORT", "1")
        .arg("-port", port.to_string())
        .arg("-query-period", "4h")
        .switch("-query-period=5h")
        .switch("--scarf-endpoint=https://scarf.example.com/{version}")
        .arg("-scarf-timeout", "5");
    let running = server.start();
    let mut connection = Connection::open(&Address::local(port)).unwrap();
    let answer = connection.post_checkin("{}", &[]).unwrap();
    assert_eq!(answer.json()["requestIntervalInMinutes"], 300);
    let log = running.terminate().stderr;
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("--scarf-endpoint"), "{log}");
    // Flags may stand before the command, as with the original.
    let before = [
        "--debug",
        "start",
        "--application-name",
        "x",
        "--upgrade-response-config",
        "/x",
    ];
    assert_eq!(server::run(&scratch, &before).code, Some(78));
    let before = [
        "-d",
        "start",
        "-application-name=x",
        "-upgrade-response-config=/x",
    ];
    assert_eq!(server::run(&scratch, &before).code, Some(78));
}
