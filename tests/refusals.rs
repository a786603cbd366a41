//! Each answer that InfluxDB gives to a write, and what the server does with the records. A real InfluxDB answers where
//! it can be made to; otherwise a simulated server. If these tests fail, an operator loses records, or counts them
//! twice, when InfluxDB refuses a write. Here: refusals that last until the database or the user exists.

mod field_types;
mod lines;
mod retries;

use std::fs;
use std::time::Duration;

use crate::support::account::{
    Totals, assert_exactly_once, lines_with, rejected, spool, spooled, stored_ids,
    wait_until_stored,
};
use crate::support::client::{Address, Connection};
use crate::support::influx::Influx;
use crate::support::load::Load;
use crate::support::peer::{Received, Reply};
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Running, Server};
use crate::support::wait_for;

const SOON: Duration = Duration::from_secs(60);
const LINE: &str = "upgrade_request,app_version=v1.0.0";

/// The time in nanoseconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_nanosecond() as i64
}

/// Writes a segment into the spool before the server starts.
fn lay(scratch: &Scratch, lines: &str) {
    fs::create_dir_all(spool(scratch)).unwrap();
    let name = format!("{:020}-{}.lp", 1, lines.lines().count());
    fs::write(spool(scratch).join(name), lines).unwrap();
}

fn create_database(influx: &Influx, options: &str) {
    influx.query("", &format!("CREATE DATABASE {DATABASE} {options}"));
}

/// Waits until the spool is empty, stops the server, and checks that its counters add up.
#[track_caller]
fn settled(scratch: &Scratch, running: Running) -> (Totals, String) {
    wait_for(SOON, "an empty spool", || spooled(scratch).is_empty());
    let log = running.terminate().stderr;
    let totals = Totals::of(&log);
    totals.assert_add_up(scratch);
    (totals, log)
}

/// The lines of the rejected files without the reasons.
fn rejected_lines(scratch: &Scratch) -> Vec<String> {
    let mut lines = rejected(scratch);
    lines.retain(|line| !line.starts_with('#'));
    lines
}

/// Forwards requests to a real InfluxDB; `change` gets each request and may change the answer.
fn passing_on(
    influx: &Influx,
    mut change: impl FnMut(&Received, Reply) -> Reply + Send + 'static,
) -> impl FnMut(&Received) -> Reply + Send + 'static {
    let address: Address = influx.addr();
    move |request| {
        let mut connection = Connection::open(&address).unwrap();
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let (method, target) = (&request.method, &request.target);
        let answer = connection.request(method, target, &headers, &request.body);
        let answer = answer.unwrap();
        change(request, Reply::status(answer.status, &answer.text()))
    }
}

#[test]
fn a_database_that_is_dropped_is_created_again() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    Load::new(running.addr()).each(10).run();
    wait_until_stored(&influx, 10, SOON);
    wait_for(SOON, "an empty spool", || spooled(&scratch).is_empty());
    influx.query("", &format!("DROP DATABASE {DATABASE}"));
    let later = Load::new(running.addr()).each(10).run();
    wait_until_stored(&influx, 10, SOON);
    settled(&scratch, running);
    assert_exactly_once(&later.ids(), &stored_ids(&influx));
}

#[test]
fn records_wait_until_influxdb_accepts_the_password() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch).with_admin("admin", "secret");
    influx.restart();
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--influxdb-user", "responder")
        .arg("--influxdb-pass", "open sesame")
        .start();
    let outcome = Load::new(running.addr()).each(10).run();
    wait_for(SOON, "the refusal", || {
        running.log().contains("access denied")
    });
    influx.query(
        "",
        "CREATE USER responder WITH PASSWORD 'open sesame' WITH ALL PRIVILEGES",
    );
    wait_until_stored(&influx, 10, SOON);
    let (_, log) = settled(&scratch, running);
    assert_exactly_once(&outcome.ids(), &stored_ids(&influx));
    assert_eq!(lines_with(&log, "access denied"), 1, "{log}");
    assert_eq!(lines_with(&log, "takes records again"), 1, "{log}");
    assert!(
        !log.contains("open sesame"),
        "the password is in the log: {log}"
    );
}
