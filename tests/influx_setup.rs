//! The database and its continuous queries: made as the original makes them, left alone where they
//! are, and never a reason not to answer or not to store. Passwords and paths to InfluxDB too.

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

/// Name and text of a database's continuous queries, as InfluxDB prints them.
#[track_caller]
fn continuous_queries(influx: &Influx, database: &str) -> Vec<(String, String)> {
    let answer = influx.query("", "SHOW CONTINUOUS QUERIES");
    let series = answer["results"][0]["series"].as_array().unwrap();
    let of_database = series.iter().find(|s| s["name"] == database);
    let rows = of_database.and_then(|s| s["values"].as_array().cloned());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_string();
    let rows = rows.unwrap_or_default();
    rows.iter()
        .map(|row| (text(&row[0]), text(&row[1])))
        .collect()
}

/// What InfluxDB 1.6.7 makes of the original's three statements.
fn expected_queries(database: &str, period: &str) -> Vec<(String, String)> {
    let query = |name: &str, target: &str, tag: &str| {
        let text = format!(
            "CREATE CONTINUOUS QUERY {name} ON {database} BEGIN SELECT count(value) AS total INTO \
             {database}.autogen.{target} FROM {database}.autogen.upgrade_request \
             GROUP BY time({period}){tag} END"
        );
        (name.to_string(), text)
    };
    vec![
        query(
            "cq_upgrade_request_down_sampling",
            "upgrade_request_down_sampling",
            "",
        ),
        query(
            "cq_by_app_version_down_sampling",
            "by_app_version_down_sampling",
            ", app_version",
        ),
        query(
            "cq_by_country_code_down_sampling",
            "by_country_code_down_sampling",
            ", country_isocode",
        ),
    ]
}

/// The statements as the original sends them: without quotes, and with the period as it was typed.
fn statements_of_the_original(period: &str) -> Vec<String> {
    let statement = |name: &str, target: &str, tag: &str| {
        format!(
            "CREATE CONTINUOUS QUERY {name} ON {DATABASE} BEGIN SELECT count(value) as total INTO \
             {target} FROM upgrade_request GROUP BY time({period}){tag} END"
        )
    };
    vec![
        statement(
            "cq_upgrade_request_down_sampling",
            "upgrade_request_down_sampling",
            "",
        ),
        statement(
            "cq_by_app_version_down_sampling",
            "by_app_version_down_sampling",
            ",app_version",
        ),
        statement(
            "cq_by_country_code_down_sampling",
            "by_country_code_down_sampling",
            ",country_isocode",
        ),
    ]
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
fn database_and_queries_are_the_originals_whichever_server_comes_first() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = server(&scratch, &influx).arg("--query-period", "1.5h");
    let running = server.start();
    check_in_and_wait(&running, &influx, DATABASE, 1);
    let expected = expected_queries(DATABASE, "90m");
    assert_eq!(continuous_queries(&influx, DATABASE), expected);
    running.terminate();

    // Then the original starts, on what we made ...
    for statement in statements_of_the_original("1h30m") {
        assert_no_error(&influx, &statement);
    }
    // ... or it was the first, and we start on what it made.
    for (name, _) in &expected {
        assert_no_error(
            &influx,
            &format!("DROP CONTINUOUS QUERY {name} ON {DATABASE}"),
        );
    }
    for statement in statements_of_the_original("1h30m") {
        assert_no_error(&influx, &statement);
    }
    let running = server.start();
    check_in_and_wait(&running, &influx, DATABASE, 2);
    assert_eq!(continuous_queries(&influx, DATABASE), expected);
    let log = running.terminate().stderr;
    assert!(
        log.contains(&format!("is ready, database {DATABASE:?}")),
        "{log}"
    );
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[test]
fn query_with_another_period_is_kept_and_said() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    let by_version = &statements_of_the_original("30m")[1];
    assert_no_error(&influx, by_version);
    let running = server(&scratch, &influx).start();
    check_in_and_wait(&running, &influx, DATABASE, 1);
    let log = running.terminate().stderr;
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    for piece in [
        "cq_by_app_version_down_sampling",
        "1800s",
        "--query-period",
        "3600s",
        "To change it: upgrade-responder set-query-period",
    ] {
        assert!(warnings[0].contains(piece), "{piece:?}: {log}");
    }
    let mut expected = expected_queries(DATABASE, "1h");
    expected[1] = expected_queries(DATABASE, "30m").remove(1);
    let mut found = continuous_queries(&influx, DATABASE);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
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
        assert_eq!(
            continuous_queries(&influx, &database).len(),
            3,
            "{application}"
        );
    }
}

#[test]
fn user_who_may_only_write_is_told_once_that_totals_need_more() {
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
    // Periods that are over and would be recomputed.
    let now = jiff::Timestamp::now().as_nanosecond() as i64;
    let hours = (1..=3).map(|hour| line("late", now - hour * 3_600_000_000_000));
    fs::create_dir_all(spool(&scratch)).unwrap();
    let late = spool(&scratch).join("00000000000000000001-3.lp");
    fs::write(late, hours.collect::<String>()).unwrap();
    let server = server(&scratch, &influx).arg("--influxdb-user", "writer");
    let server = server.arg("--influxdb-pass", "pa:ss wörd");
    let running = server.switch("--debug").start();
    check_in_and_wait(&running, &influx, DATABASE, 4);
    wait_for(LIMIT, "nine periods to be tried", || {
        let log = running.log();
        let tried = log
            .lines()
            .filter(|line| line.contains("_down_sampling from "));
        tried.count() == 9
    });
    let log = running.terminate().stderr;
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    let grant =
        format!("need READ too; as an administrator: GRANT ALL ON \"{DATABASE}\" TO \"writer\"");
    assert!(warnings[0].contains(&grant), "{log}");
    assert!(!log.contains("pa:ss"), "{log}");
}

#[test]
fn wrong_password_is_said_once_and_records_wait_for_the_right_one() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch).with_admin("admin", "secret");
    influx.restart();
    let server = server(&scratch, &influx).env("INFLUXDB_USER", "admin");
    let running = server.clone().env("INFLUXDB_PASS", "wrong-one").start();
    let answer = running.connect().post_checkin("{}", &[]).unwrap();
    assert_eq!(answer.status, 200);
    wait_for(LIMIT, "the error", || running.log().contains("ERROR"));
    // The stop tries once more.
    let log = running.terminate().stderr;
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert!(log.contains("status 401"), "{log}");
    assert!(log.contains("user, password or token, and rights"), "{log}");
    assert!(log.contains("delivered 0 + waiting 1"), "{log}");
    assert!(!log.contains("wrong-one"), "{log}");

    // The right one from a file, as an editor leaves it, then as a credential of systemd, and then
    // within the URL.
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
fn password_that_is_mended_in_its_file_needs_no_restart() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch).with_admin("admin", "secret");
    influx.restart();
    let server = server(&scratch, &influx).env("INFLUXDB_USER", "admin");
    let said = |running: &Running, what: &str| {
        wait_for(LIMIT, what, || running.log().contains(what));
    };

    let file = scratch.write("password", "wrong-one\n");
    let running = server.clone().arg("--influxdb-pass-file", &file).start();
    said(&running, "/password is read again each time");
    scratch.write("password", "secret\n");
    check_in_and_wait(&running, &influx, DATABASE, 1);
    said(&running, "InfluxDB takes records again");
    let log = running.terminate().stderr;
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert!(!log.contains("secret"), "{log}");

    // While it is changed InfluxDB may have the new one before the file does, and the file be away.
    let running = server.clone().arg("--influxdb-pass-file", &file).start();
    check_in_and_wait(&running, &influx, DATABASE, 2);
    assert_no_error(&influx, "SET PASSWORD FOR admin = 'other'");
    std::fs::remove_file(&file).unwrap();
    running.connect().post_checkin("{}", &[]).unwrap();
    said(&running, "/password cannot be read again: No such file");
    let running_log = running.terminate().stderr;
    assert!(running_log.contains("status 401"), "{running_log}");

    // systemd's copy stays what it was.
    scratch.write("influxdb-pass", "wrong-one");
    let running = server.env("CREDENTIALS_DIRECTORY", scratch.path()).start();
    said(&running, "a changed password takes a restart");
}

#[test]
fn path_prefix_of_the_url_is_kept() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let nginx = Nginx::below_prefix(&scratch, "/metrics/influx/", &influx.addr());
    for (url, count) in [("/metrics/influx", 1), ("/metrics/influx/", 2)] {
        let url = format!("http://{}{url}", nginx.addr());
        let running = server(&scratch, &influx).arg("--influxdb-url", url).start();
        check_in_and_wait(&running, &influx, DATABASE, count);
        assert_eq!(continuous_queries(&influx, DATABASE).len(), 3);
        running.terminate();
    }
}
