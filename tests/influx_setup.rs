//! The database, passwords and URL of InfluxDB. If these tests failed, records would not reach InfluxDB although its
//! settings are correct, or a wrong password would cost records.

use std::fs;
use std::time::Duration;

use crate::support::account::{line, spool};
use crate::support::influx::Influx;
use crate::support::nginx::Nginx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::wait_for;

const LIMIT: Duration = Duration::from_secs(60);

fn server(scratch: &Scratch, influx: &Influx) -> Server {
    Server::new(scratch).arg("--influxdb-url", influx.url())
}

/// Sends a check-in and waits until InfluxDB has `count` of them.
#[track_caller]
fn check_in_and_wait(running: &Running, influx: &Influx, database: &str, count: u64) {
    let answer = running.connect().post_checkin("{}", &[]).unwrap();
    assert_eq!(answer.status, 200);
    wait_for(LIMIT, "the check-in in InfluxDB", || {
        influx.count(database, "upgrade_request") == count
    });
}

#[track_caller]
fn assert_no_error(influx: &Influx, statement: &str) {
    let answer = influx.query("", statement);
    assert!(
        answer["results"][0]["error"].is_null(),
        "{statement}: {answer}"
    );
}

#[test]
fn names_that_need_quotes_are_quoted() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    for application in ["my-app", "we \"quote\" it", "1'st; DROP"] {
        let database = format!("{application}_upgrade_responder");
        let server = server(&scratch, &influx).arg("--application-name", application);
        for count in 1..=2 {
            let running = server.start();
            check_in_and_wait(&running, &influx, &database, count);
            let log = running.terminate().stderr;
            assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
        }
    }
}

#[test]
fn a_user_with_only_the_right_to_write_can_send_totals_and_gets_one_warning() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch).with_admin("admin", "secret");
    influx.restart();
    for statement in [
        &format!("CREATE DATABASE {DATABASE}"),
        "CREATE USER writer WITH PASSWORD 'pa:ss wörd'",
        &format!("GRANT WRITE ON {DATABASE} TO writer"),
    ] {
        assert_no_error(&influx, statement);
    }
    // Three finished periods, which the server sends as totals.
    let now = jiff::Timestamp::now().as_nanosecond() as i64;
    let hours = (1..=3).map(|hour| line("late", now - hour * 3_600_000_000_000));
    fs::create_dir_all(spool(&scratch)).unwrap();
    let late = spool(&scratch).join("00000000000000000001-3.lp");
    fs::write(late, hours.collect::<String>()).unwrap();
    let server = server(&scratch, &influx).arg("--influxdb-user", "writer");
    let server = server.arg("--influxdb-pass", "pa:ss wörd");
    let running = server.switch("--debug").start();
    check_in_and_wait(&running, &influx, DATABASE, 4);
    wait_for(LIMIT, "three totals", || {
        influx.rows(DATABASE, "upgrade_request_down_sampling").len() == 3
    });
    let log = running.terminate().stderr;
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    let cannot = "cannot see whether continuous queries fill the measurements of totals";
    assert!(warnings[0].contains(cannot), "{log}");
    assert!(!log.contains("pa:ss"), "{log}");
}

#[test]
fn a_wrong_password_is_logged_once_and_records_wait_for_the_right_one() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch).with_admin("admin", "secret");
    influx.restart();
    let server = server(&scratch, &influx).env("INFLUXDB_USER", "admin");
    let running = server.clone().env("INFLUXDB_PASS", "wrong-one").start();
    let answer = running.connect().post_checkin("{}", &[]).unwrap();
    assert_eq!(answer.status, 200);
    wait_for(LIMIT, "the error", || running.log().contains("ERROR"));
    // The stop makes another attempt.
    let log = running.terminate().stderr;
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert!(log.contains("status 401"), "{log}");
    assert!(log.contains("user, password or token, and rights"), "{log}");
    assert!(log.contains("delivered 0 + waiting 1"), "{log}");
    assert!(!log.contains("wrong-one"), "{log}");

    // The right password from a file with a newline at its end, then from a systemd credential, and then in the URL.
    let file = scratch.write("password", "secret\n");
    let running = server.clone().arg("--influxdb-pass-file", &file).start();
    check_in_and_wait(&running, &influx, DATABASE, 2);
    running.terminate();
    scratch.write("influxdb-pass", "secret");
    let running = server.clone().env("CREDENTIALS_DIRECTORY", scratch.path());
    let running = running.start();
    check_in_and_wait(&running, &influx, DATABASE, 3);
    running.terminate();
    let url = influx.url().replace("://", "://admin:s%65cret@");
    let running = Server::new(&scratch).env("INFLUXDB_URL", url).start();
    check_in_and_wait(&running, &influx, DATABASE, 4);
    let log = running.terminate().stderr;
    assert!(!log.contains("cret"), "{log}");
}

#[test]
fn a_password_that_is_fixed_in_its_file_needs_no_restart() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch).with_admin("admin", "secret");
    influx.restart();
    let server = server(&scratch, &influx).env("INFLUXDB_USER", "admin");
    let wait_for_log = |running: &Running, what: &str| {
        wait_for(LIMIT, what, || running.log().contains(what));
    };

    let file = scratch.write("password", "wrong-one\n");
    let running = server.clone().arg("--influxdb-pass-file", &file).start();
    wait_for_log(&running, "/password is read again before each retry");
    scratch.write("password", "secret\n");
    check_in_and_wait(&running, &influx, DATABASE, 1);
    wait_for_log(&running, "InfluxDB takes records again");
    let log = running.terminate().stderr;
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert!(!log.contains("secret"), "{log}");

    // During a change of the password, InfluxDB may have the new one before the file, and the file may be missing.
    let running = server.clone().arg("--influxdb-pass-file", &file).start();
    check_in_and_wait(&running, &influx, DATABASE, 2);
    assert_no_error(&influx, "SET PASSWORD FOR admin = 'other'");
    fs::remove_file(&file).unwrap();
    running.connect().post_checkin("{}", &[]).unwrap();
    wait_for_log(&running, "/password cannot be read again: No such file");
    let running_log = running.terminate().stderr;
    assert!(running_log.contains("status 401"), "{running_log}");

    // A systemd credential does not change while the server runs.
    scratch.write("influxdb-pass", "wrong-one");
    let running = server.env("CREDENTIALS_DIRECTORY", scratch.path()).start();
    wait_for_log(&running, "a changed password needs a restart");
}

#[test]
fn a_path_prefix_in_the_url_is_used() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let nginx = Nginx::below_prefix(&scratch, "/metrics/influx/", &influx.addr());
    for (url, count) in [("/metrics/influx", 1), ("/metrics/influx/", 2)] {
        let url = format!("http://{}{url}", nginx.addr());
        let running = server(&scratch, &influx).arg("--influxdb-url", url).start();
        check_in_and_wait(&running, &influx, DATABASE, count);
        running.terminate();
    }
}
