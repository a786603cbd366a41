//! Files that cannot be loaded: invalid, missing, not regular, or impossible to open for a while. If these tests fail,
//! a mistake in a file stops the answers, or the operator does not learn what is wrong with it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use super::{NOTICED, Swapped, Way, answer, config, wait_for_lines};
use crate::support::client::{Address, Connection};
use crate::support::geodb;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{RESPONSE_CONFIG, Server};
use crate::support::wait_for;

/// The content that replaces a file (`None`: the file is deleted), and texts in the error.
type Broken<'a> = (Option<Vec<u8>>, &'a [&'a str]);

const SCHEMA: &str = r#"{"extraTagInfoSchema": {"hostArch": {"dataType": "string"}}}"#;

#[test]
fn an_invalid_response_config_is_logged_once_and_the_old_one_is_served() {
    let dated = |date: &str| RESPONSE_CONFIG.replace(r#""2024-06-20T00:00:00Z""#, date);
    let cases: [Broken<'_>; 5] = [
        (
            Some(dated("null").into()),
            &[
                "versions[1] \"v1.1.0\", releaseDate",
                "found null",
                "RFC 3339",
            ],
        ),
        (
            Some(RESPONSE_CONFIG.replace("latest", "newest").into()),
            &["versions: found no version tagged \"latest\""],
        ),
        (
            Some(RESPONSE_CONFIG.replace("\"tags\"", "tags").into()),
            &["line 2, column", "near"],
        ),
        (
            Some(b"{\"versions\": \xff}".to_vec()),
            &["byte 13", "UTF-8"],
        ),
        (None, &["No such file", "expected a JSON file"]),
    ];
    assert_each_is_logged_once("response-config.json", &cases);
}

#[test]
fn an_invalid_schema_is_logged_once_and_the_old_one_is_used() {
    let cases: [Broken<'_>; 3] = [
        (
            Some(SCHEMA.replace("string", "text").into()),
            &[
                "\"hostArch\", dataType",
                "found \"text\"",
                "expected \"string\"",
            ],
        ),
        (
            Some(SCHEMA.replace("hostArch", "arch").into()),
            &["extraTagInfoSchema", "\"host_arch\"", "--down-sample-tags"],
        ),
        (None, &["No such file", "expected a JSON file"]),
    ];
    assert_each_is_logged_once("schema.json", &cases);
}

#[test]
fn an_invalid_geo_database_is_logged_once_and_the_old_one_is_used() {
    let scratch = Scratch::new();
    let sample = fs::read(geodb::sample(&scratch)).unwrap();
    let mut other_type = sample.clone();
    let at = sample
        .windows(11)
        .position(|w| w == b"Sample-City")
        .unwrap();
    other_type[at..at + 11].copy_from_slice(b"Sample-Asns");
    let half = sample[..sample.len() / 2].to_vec();
    let hollow = geodb::hollow(&sample);
    let cases: [Broken<'_>; 5] = [
        (Some(Vec::new()), &["empty", "expected a MaxMind DB"]),
        (Some(half), &["not a whole MaxMind DB", "fetch it again"]),
        (
            Some(hollow),
            &["damaged inside (record of network ", "fetch it again"],
        ),
        (
            Some(other_type),
            &["\"Sample-Asns\"", "cities or countries"],
        ),
        (None, &["No such file", "expected a MaxMind DB"]),
    ];
    assert_each_is_logged_once("sample.mmdb", &cases);
}

fn assert_each_is_logged_once(file: &str, cases: &[Broken<'_>]) {
    let scratch = Scratch::new();
    let server = Server::new(&scratch)
        .arg("--request-schema", scratch.write("schema.json", SCHEMA))
        .arg("--down-sample-tags", "host_arch");
    let mut running = server.arg("--reload-interval", "1s").start();
    let mut connection = running.connect();
    let before = answer(&mut connection);
    let path = scratch.join(file);
    let kept = scratch.join("kept");
    let broken = |number: usize| scratch.join(&format!("broken-{number}"));
    for (number, (content, _)) in cases.iter().enumerate() {
        if let Some(content) = content {
            fs::write(broken(number), content).unwrap();
        }
    }
    for (number, (content, expected)) in cases.iter().enumerate() {
        fs::rename(&path, &kept).unwrap();
        if content.is_some() {
            // The linked file is old enough to count as complete, so it is loaded immediately.
            symlink(broken(number), &path).unwrap();
        }
        // The server must notice the first change without a SIGHUP.
        if number > 0 {
            running.signal(Signal::HUP);
        }
        wait_for_lines(&running, "the previous one stays in use", number + 1);
        let log = running.log();
        let line = log.lines().rfind(|line| line.contains("stays in use"));
        let line = line.unwrap();
        for text in expected.iter().chain(&[file, "ERROR"]) {
            assert!(line.contains(text), "{text:?} is not in: {line}");
        }
        running.signal(Signal::HUP);
        wait_for_lines(&running, "not changed since they were refused", number + 1);
        assert_eq!(answer(&mut connection), before);
        // The same file again, with its old times.
        fs::rename(&kept, &path).unwrap();
        if number > 0 {
            running.signal(Signal::HUP);
        }
        wait_for_lines(&running, "configuration is valid again", number + 1);
        assert_eq!(answer(&mut connection), before);
    }
    // Three more reload intervals pass, and the error must not be logged again.
    fs::rename(&path, &kept).unwrap();
    wait_for_lines(&running, "the previous one stays in use", cases.len() + 1);
    thread::sleep(Duration::from_secs(3));
    let log = running.terminate().stderr;
    assert_eq!(log.matches("ERROR").count(), cases.len() + 1, "{log}");
}

#[test]
fn health_and_metrics_show_that_older_files_are_served() {
    let scratch = Scratch::new();
    let path = scratch.write("response-config.json", config(2));
    let metrics = Address::local(free_port());
    let server = Server::new(&scratch).arg("--metrics-listen", metrics.to_string());
    let mut running = server.start();
    let get = |target: &str| {
        let mut connection = Connection::open(&metrics).unwrap();
        connection.request("GET", target, &[], b"").unwrap()
    };
    let mut shown = |health: u16, outdated: &str| {
        running.signal(Signal::HUP);
        let line = format!("upgrade_responder_config_outdated {outdated}\n");
        wait_for(NOTICED, &format!("health {health}, {line}"), || {
            get("/healthz").status == health && get("/metrics").text().contains(&line)
        });
    };
    shown(200, "0");
    fs::remove_file(&path).unwrap();
    shown(503, "1");
    fs::write(&path, config(2)).unwrap();
    shown(200, "0");
}

#[test]
fn a_named_pipe_in_place_of_a_file_blocks_nothing() {
    let scratch = Scratch::new();
    let path = scratch.write("response-config.json", config(2));
    let mut running = Server::new(&scratch).start();
    fs::remove_file(&path).unwrap();
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    running.signal(Signal::HUP);
    wait_for_lines(&running, "found no regular file", 1);
    assert_eq!(running.terminate().code, Some(0));
}

#[test]
fn a_file_that_could_not_be_opened_for_a_while_is_loaded_later() {
    let scratch = Scratch::new();
    let path = scratch.write("response-config.json", config(2));
    let mut running = Server::new(&scratch).arg("--reload-interval", "1s").start();
    let mut connection = running.connect();
    let before = answer(&mut connection);
    let pid = Pid::from_raw(i32::try_from(running.pid()).unwrap());
    let limit = |current: u64| {
        let limit = Rlimit {
            current: Some(current),
            maximum: Some(4096),
        };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    };
    limit(3);
    Swapped::new(&path).change(Way::Rename, config(3).as_bytes());
    running.signal(Signal::HUP);
    wait_for_lines(
        &running,
        "not loaded (files changed), the previous one stays in use",
        1,
    );
    assert!(running.log().contains("Too many open files"));
    assert_eq!(answer(&mut connection), before);
    limit(4096);
    wait_for_lines(&running, "configuration is valid again", 1);
    assert_ne!(answer(&mut connection), before);
    let log = running.terminate().stderr;
    assert_eq!(
        log.matches("configuration not loaded (").count(),
        1,
        "{log}"
    );
}
