//! The path from a check-in to a point in InfluxDB, over stops, starts and outages. If these tests failed, installations
//! would not be counted, or counted twice.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use crate::support::account;
use crate::support::influx::Influx;
use crate::support::load::{Load, Outcome};
use crate::support::nginx::Nginx;
use crate::support::peer::{Peer, Reply};
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Server};
use crate::support::spool;
use crate::support::wait_for;

const LIMIT: Duration = Duration::from_secs(90);
const POINTS: &str = "upgrade_request";

fn server(scratch: &Scratch, influx: &Influx) -> Server {
    Server::new(scratch).arg("--influxdb-url", influx.url())
}

/// Waits until InfluxDB has each answered check-in exactly once.
#[track_caller]
fn assert_all_arrive(influx: &Influx, outcome: &Outcome) {
    let answered = outcome.ids();
    wait_for(LIMIT, "all check-ins in InfluxDB", || {
        influx.count(DATABASE, POINTS) >= answered.len() as u64
    });
    let stored = influx.column(DATABASE, POINTS, "x_request_id");
    let distinct: BTreeSet<String> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), distinct.len(), "some were stored twice");
    let missing: Vec<_> = answered.difference(&distinct).collect();
    assert!(
        missing.is_empty(),
        "{} of {} missing",
        missing.len(),
        answered.len()
    );
}

#[test]
fn a_point_has_the_columns_of_the_original() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let running = server(&scratch, &influx).start();
    let body = r#"{"appVersion":"v1.0.0","extraTagInfo":{"kubernetesVersion":"v1.31.2"},
                   "extraFieldInfo":{"nodeCount":3,"selinux":true,"cni":"canal"}}"#;
    let headers = [("X-Forwarded-For", "203.0.113.7"), ("X-Request-Id", "id-1")];
    running.connect().post_checkin(body, &headers).unwrap();
    wait_for(LIMIT, "the point", || influx.count(DATABASE, POINTS) == 1);
    let mut row = influx.rows(DATABASE, POINTS).remove(0);
    row.as_object_mut().unwrap().remove("time");
    let expected = serde_json::json!({
        "app_version": "v1.0.0", "city": "Zürich", "country": "Switzerland", "country_isocode": "CH",
        "kubernetes_version": "v1.31.2", "value": 1,
        "node_count": 3, "selinux": true, "cni": "canal", "x_request_id": "id-1",
    });
    assert_eq!(row, expected);
    let keys = influx.select(DATABASE, "SHOW FIELD KEYS FROM upgrade_request");
    let types: Vec<String> = keys
        .iter()
        .map(|key| format!("{} {}", key["fieldKey"], key["fieldType"]).replace('"', ""))
        .collect();
    let expected = [
        "cni string",
        "node_count float",
        "selinux boolean",
        "value integer",
        "x_request_id string",
    ];
    assert_eq!(types, expected);
}

#[test]
fn check_ins_made_before_influxdb_is_started_arrive() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch);
    let running = server(&scratch, &influx).start();
    let load = Load::new(running.addr()).threads(4).endless();
    let load = load.pause(Duration::from_millis(2)).start();
    // This takes about two seconds.
    wait_for(LIMIT, "an outage", || load.acknowledged() >= 2_000);
    influx.restart();
    wait_for(LIMIT, "the first points", || {
        influx.count(DATABASE, POINTS) > 0
    });
    let outcome = load.stop();
    assert_all_arrive(&influx, &outcome);
    let log = running.terminate().stderr;
    // One line for the beginning of the outage and one for its end.
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
    assert!(log.contains("takes records again"), "{log}");
}

#[test]
fn an_influxdb_that_never_answers_delays_no_check_in() {
    let scratch = Scratch::new();
    let peer = Peer::start(|_| Reply::Hang(Duration::from_secs(1000)));
    let server = Server::new(&scratch).arg("--influxdb-url", peer.url());
    let running = server.start();
    let outcome = Load::new(running.addr()).threads(4).each(250).run();
    assert_eq!(outcome.ids().len(), 1_000);
    wait_for(LIMIT, "an attempt", || !peer.received().is_empty());
    assert!(
        outcome.max() < Duration::from_secs(3),
        "{:?}",
        outcome.max()
    );
    let start = Instant::now();
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // The last attempt may take 5 s. systemd waits for 90 s.
    assert!(start.elapsed() < Duration::from_secs(15));
    assert_eq!(spool::lines(&scratch).len(), 1_000);
}

#[test]
fn twenty_thousand_check_ins_at_full_speed_are_twenty_thousand_points() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let running = server(&scratch, &influx).start();
    let load = Load::new(running.addr()).threads(32).each(625);
    let outcome = load.run();
    assert_eq!(outcome.ids().len(), 20_000);
    assert_all_arrive(&influx, &outcome);
    let log = running.terminate().stderr;
    let totals = "found 0 + accepted 20000 = delivered 20000 + waiting 0 + rejected 0 + dropped 0";
    assert!(log.contains(totals), "{log}");
    assert_eq!(influx.count(DATABASE, POINTS), 20_000);
}

#[test]
fn check_ins_through_nginx_are_counted_with_the_clients_location() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let running = server(&scratch, &influx).start();
    let nginx = Nginx::in_front_of(&scratch, running.addr());
    let outcome = Load::new(nginx.addr()).threads(8).each(100).run();
    assert_all_arrive(&influx, &outcome);
    let mut connection = crate::support::client::Connection::open(nginx.addr()).unwrap();
    // nginx appends the address of its client, 127.0.0.1, which is trusted.
    let forwarded = [("X-Forwarded-For", "192.0.2.7, 198.51.100.40")];
    connection.post_checkin("{}", &forwarded).unwrap();
    let too_large = connection.post_checkin(&" ".repeat(70_000), &[]).unwrap();
    assert_eq!(too_large.status, 413);
    wait_for(LIMIT, "the last point", || {
        influx.count(DATABASE, POINTS) == 801
    });
    let cities = influx.column(DATABASE, POINTS, "city");
    assert_eq!(cities, ["Washington, D.C."]);
}

#[test]
fn records_stored_without_influxdb_are_delivered_once_it_is_configured() {
    let scratch = Scratch::new();
    let without = Server::new(&scratch);
    let mut outcome = Load::new(&without.address()).run_on(&without);
    let kept = spool::lines(&scratch);
    assert_eq!(kept.len(), 50);
    // The segment is sealed with the number of lines in its name, so that the next start does not count them.
    let folder = account::spool(&scratch);
    assert!(folder.join("00000000000000000001-50.lp").exists());
    // A second run keeps these records and adds new ones after them.
    let second = Load::new(&without.address()).run_on(&without);
    outcome.acknowledged.extend(second.acknowledged);
    assert_eq!(spool::lines(&scratch)[..50], kept);

    let influx = Influx::start(&scratch);
    let running = server(&scratch, &influx).start();
    assert!(running.log().contains("100 records found in the spool"));
    assert_all_arrive(&influx, &outcome);
    wait_for(LIMIT, "an empty spool", || {
        spool::lines(&scratch).is_empty()
    });
    // A point has the time of the check-in, not of the delivery.
    let time = kept[0].rsplit_once(' ').unwrap().1;
    assert_eq!(influx.column(DATABASE, POINTS, "time")[0], time);
    let log = running.terminate().stderr;
    assert!(
        log.contains("found 100 + accepted 0 = delivered 100 + waiting 0"),
        "{log}"
    );
}

impl Load {
    /// 50 check-ins to a server that is started for them and stopped.
    fn run_on(self, server: &Server) -> Outcome {
        let running = server.start();
        let outcome = self.each(50).run();
        assert_eq!(running.terminate().code, Some(0));
        outcome
    }
}

#[test]
fn a_second_process_cannot_use_the_same_spool() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    // `new` selects another port.
    let second = Server::new(&scratch);
    let refused = second.expect_exit(78).stderr;
    let folder = account::spool(&scratch);
    let expected = format!(
        "--state-dir: {} is in use by another upgrade-responder",
        folder.display()
    );
    assert!(refused.contains(&expected), "{refused}");
    // Another application may use the same state directory, in which it has its own folder.
    second.arg("--application-name", "other").start();
    assert_eq!(
        running.connect().post_checkin("{}", &[]).unwrap().status,
        200
    );
    running.kill();
    Server::new(&scratch).start();
}

#[test]
fn a_torn_last_line_is_rejected_at_the_start_and_the_complete_ones_are_delivered() {
    let scratch = Scratch::new();
    let server_without = Server::new(&scratch);
    let running = server_without.start();
    running
        .connect()
        .post_checkin(r#"{"appVersion":"whole"}"#, &[])
        .unwrap();
    wait_for(LIMIT, "the line", || spool::lines(&scratch).len() == 1);
    running.kill();
    let folder = account::spool(&scratch);
    let segment = folder.join("00000000000000000001.lp");
    let mut bytes = fs::read(&segment).unwrap();
    // The part of a timestamp looks like a complete one.
    bytes.extend_from_slice(b"upgrade_request,app_version=torn value=1i 17");
    fs::write(&segment, bytes).unwrap();

    let influx = Influx::start(&scratch);
    let running = server(&scratch, &influx).start();
    wait_for(LIMIT, "the whole record", || {
        influx.count(DATABASE, POINTS) == 1
    });
    assert_eq!(influx.column(DATABASE, POINTS, "app_version"), ["whole"]);
    let log = running.terminate().stderr;
    let warning = log
        .lines()
        .find(|line| line.contains("WARN"))
        .unwrap_or_default();
    assert!(
        warning.contains("00000000000000000001.lp: 44 bytes from byte 63 on are not records"),
        "{log}"
    );
    assert!(
        log.contains("found 2 + accepted 0 = delivered 1 + waiting 0 + rejected 1"),
        "{log}"
    );
}
