//! What clients invent cannot fill the index of a real InfluxDB, nor the server's memory.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use crate::support::account::state;
use crate::support::client::Address;
use crate::support::influx::Influx;
use crate::support::metrics;
use crate::support::process::proc_status;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{DATABASE, Running, Server};
use crate::support::spool;
use crate::support::tried::tried;
use crate::support::wait_for;

const FAMILY: &str = "Cardinality";
const DELIVERED: Duration = Duration::from_secs(60);

fn send(running: &Running, bodies: impl IntoIterator<Item = String>) -> u64 {
    let mut connection = running.connect();
    let mut sent = 0;
    for body in bodies {
        let answer = connection.post_checkin(&body, &[]).unwrap();
        assert_eq!(answer.status, 200, "{body}");
        sent += 1;
    }
    sent
}

fn with_tags(tags: &str) -> String {
    format!(r#"{{"appVersion":"v1.0.0","extraTagInfo":{{{tags}}}}}"#)
}

#[track_caller]
fn wait_for_points(influx: &Influx, points: u64) {
    wait_for(DELIVERED, "all points to be stored", || {
        influx.count(DATABASE, "upgrade_request") == points
    });
}

/// The values that InfluxDB has of a tag.
#[track_caller]
fn values(influx: &Influx, tag: &str) -> BTreeSet<String> {
    let query = format!("SHOW TAG VALUES FROM upgrade_request WITH KEY = \"{tag}\"");
    let rows = influx.select(DATABASE, &query);
    rows.iter()
        .map(|row| row["value"].as_str().unwrap().to_string())
        .collect()
}

#[track_caller]
fn count_of(influx: &Influx, query: &str) -> usize {
    influx.select(DATABASE, query).len()
}

fn warnings(log: &str, with: &str) -> usize {
    log.lines()
        .filter(|line| line.contains("WARN") && line.contains(with))
        .count()
}

#[test]
fn values_beyond_the_budget_of_their_tag_become_other() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let metrics_at = Address::local(free_port());
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--metrics-listen", metrics_at.to_string())
        .arg("--max-tag-values", "10");
    let running = server.start();
    let kernels = (0..30).map(|n| with_tags(&format!(r#""kernel":"6.{n}","arch":"amd64""#)));
    let versions = (0..30).map(|n| format!(r#"{{"appVersion":"v9.{n}"}}"#));
    // Versions of the response config need no budget.
    let listed = ["v1.0.0", "v1.1.0"].map(|v| format!(r#"{{"appVersion":"{v}"}}"#));
    let mut sent = send(&running, kernels.chain(versions).chain(listed));
    wait_for_points(&influx, sent);
    assert_eq!(
        metrics::value(&metrics_at, "records_limited_total"),
        20 + 20
    );
    let log = running.terminate().stderr;
    for tag in ["kernel", "app_version"] {
        assert_eq!(warnings(&log, &format!("tag {tag:?}")), 1, "{log}");
    }
    assert_eq!(warnings(&log, "arch"), 0, "{log}");
    let known: BTreeSet<_> = (0..10)
        .map(|n| format!("6.{n}"))
        .chain(["other".into()])
        .collect();
    assert_eq!(values(&influx, "kernel"), known);
    assert_eq!(values(&influx, "app_version").len(), 10 + 1 + 2);

    // After a start there is a whole budget for new values; those that are known need none of it.
    let running = server.start();
    let again = ["6.3", "6.9"].map(str::to_string);
    let kernels = again.into_iter().chain((0..11).map(|n| format!("7.{n}")));
    sent += send(
        &running,
        kernels.map(|kernel| with_tags(&format!(r#""kernel":"{kernel}""#))),
    );
    wait_for_points(&influx, sent);
    running.terminate();
    let new = (0..10).map(|n| format!("7.{n}"));
    let known: BTreeSet<_> = known.into_iter().chain(new).collect();
    assert_eq!(values(&influx, "kernel"), known);
    let of = |kernel| {
        let query = format!("SELECT count(value) FROM upgrade_request WHERE kernel = '{kernel}'");
        influx.select(DATABASE, &query)[0]["count"]
            .as_u64()
            .unwrap()
    };
    // 20 of the first run, and the eleventh new one of the second.
    assert_eq!((of("6.3"), of("6.9"), of("other")), (2, 2, 21));
    tried(
        FAMILY,
        "30 values of a tag and 30 versions, --max-tag-values 10",
        "10 of each stored, the others as `other`, counted, one warning for each tag; known values go on after a restart",
    );
}

#[test]
fn schema_says_which_values_there_are() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let schema = scratch.write(
        "schema.json",
        r#"{"extraTagInfoSchema": {"arch": {"dataType": "string", "values": ["amd64", "arm64"]},
                                   "kernel": {"dataType": "string", "pattern": "[0-9]+\\.[0-9]+"},
                                   "free": {"dataType": "string"}}}"#,
    );
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--request-schema", schema)
        .arg("--max-tag-values", "1")
        .start();
    let bodies = (0..40).map(|n| {
        let arch = ["amd64", "arm64", "z80", "amd64\\n"][n % 4];
        let kernel = if n % 2 == 0 {
            format!("6.{n}")
        } else {
            format!("6.{n} evil")
        };
        with_tags(&format!(
            r#""arch":"{arch}","kernel":"{kernel}","free":"{n}""#
        ))
    });
    wait_for_points(&influx, send(&running, bodies));
    running.terminate();
    let set = |values: &[&str]| {
        values
            .iter()
            .map(|v| v.to_string())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(values(&influx, "arch"), set(&["amd64", "arm64"]));
    assert_eq!(
        values(&influx, "kernel"),
        (0..40).step_by(2).map(|n| format!("6.{n}")).collect()
    );
    assert_eq!(values(&influx, "free"), set(&["0", "other"]));
    tried(
        FAMILY,
        "schema with `values` and `pattern`, --max-tag-values 1",
        "what is listed or matches is always stored, anything else of those keys never",
    );
}

#[test]
fn series_end_at_their_limit() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let metrics_at = Address::local(free_port());
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--metrics-listen", metrics_at.to_string())
        .arg("--max-series", "20");
    let running = server.start();
    // 12 values each, within every tag's budget, but 1728 sets.
    let sets = (0..1728).map(|n| {
        let (a, b, c) = (n % 12, n / 12 % 12, n / 144);
        with_tags(&format!(r#""a":"{a}","b":"{b}","c":"{c}""#))
    });
    let sent = send(&running, sets);
    wait_for_points(&influx, sent);
    // The 20, and those in which `a`, which has the most values, is `other`: two values of `b` were known and
    // one of `c`, each of them can be `other`, and the first of both came with known sets only.
    assert_eq!(count_of(&influx, "SHOW SERIES FROM upgrade_request"), 25);
    assert_eq!(metrics::value(&metrics_at, "records_limited_total"), 1708);
    let log = running.terminate().stderr;
    // One at half of them, and one at the end.
    assert_eq!(warnings(&log, "--max-series"), 2, "{log}");
    tried(
        FAMILY,
        "1728 combinations of three tags, --max-series 20",
        "25 series in InfluxDB, 1708 records counted, a warning at half and one at the end",
    );
}

#[test]
fn series_end_also_as_versions_times_choices_of_keys() {
    const VERSIONS: usize = 1000;
    const CHOICES: usize = 20;
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    // One place for all, so that the series are the tag sets.
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--max-series", VERSIONS.to_string())
        .start();
    let bare = (0..VERSIONS).map(|v| format!(r#"{{"appVersion":"v9.{v}"}}"#));
    let products = (0..VERSIONS * CHOICES).map(|n| {
        let (version, key) = (n / CHOICES, n % CHOICES);
        format!(r#"{{"appVersion":"v9.{version}","extraTagInfo":{{"key{key}":"v"}}}}"#)
    });
    let sent = send(&running, bare.chain(products));
    wait_for_points(&influx, sent);
    let log = running.terminate().stderr;
    assert_eq!(warnings(&log, "--max-series"), 2, "{log}");
    assert_eq!(
        count_of(&influx, "SHOW SERIES FROM upgrade_request"),
        VERSIONS + 1000
    );
    assert_eq!(values(&influx, "app_version").len(), VERSIONS);
    tried(
        FAMILY,
        "1000 invented versions with each of 20 choices of tags, --max-series 1000",
        "2000 series in InfluxDB, each version still told from the others, a warning at half and one at the end",
    );
}

#[test]
fn extra_keys_end_at_200_without_a_schema() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let bodies = (0..20).map(|n| {
        let keys = |kind: &str, value: &str| {
            let pairs: Vec<String> = (0..32)
                .map(|k| format!(r#""{kind}{n}x{k}":{value}"#))
                .collect();
            pairs.join(",")
        };
        let (tags, fields) = (keys("t", r#""v""#), keys("f", "1"));
        format!(r#"{{"extraTagInfo":{{{tags}}},"extraFieldInfo":{{{fields}}}}}"#)
    });
    wait_for_points(&influx, send(&running, bodies));
    let log = running.terminate().stderr;
    let tags = count_of(&influx, "SHOW TAG KEYS FROM upgrade_request");
    let fields = count_of(&influx, "SHOW FIELD KEYS FROM upgrade_request");
    // And `value`.
    assert_eq!(tags + fields, 200 + 1, "{tags} tags, {fields} fields");
    assert_eq!(warnings(&log, "extra keys"), 1, "{log}");
    tried(
        FAMILY,
        "1280 extra keys without a schema",
        "200 stored, one warning",
    );
}

/// A check-in whose field is text, then 500 in which it is a number.
fn one_with_text_then_500_with_numbers() -> impl Iterator<Item = String> {
    let values = std::iter::once(r#""three""#.to_owned()).chain((0..500).map(|n| n.to_string()));
    values.map(|value| format!(r#"{{"extraFieldInfo":{{"nodeCount":{value}}}}}"#))
}

#[test]
fn field_of_another_type_takes_no_others_records() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let metrics_at = Address::local(free_port());
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--metrics-listen", metrics_at.to_string());
    let running = server.start();
    let mut sent = send(&running, one_with_text_then_500_with_numbers());
    wait_for_points(&influx, sent);
    assert_eq!(metrics::value(&metrics_at, "records_limited_total"), 500);
    let log = running.terminate().stderr;
    let said = r#"extra key "node_count" came as a string field before and now as a float field"#;
    assert_eq!(warnings(&log, said), 1, "{log}");

    // What it is goes on after a start.
    let running = server.start();
    sent += send(
        &running,
        one_with_text_then_500_with_numbers().skip(1).take(1),
    );
    wait_for_points(&influx, sent);
    running.terminate();
    assert_eq!(
        influx.column(DATABASE, "upgrade_request", "node_count"),
        ["three"]
    );
    tried(
        FAMILY,
        "a field that is text in the first of 501 check-ins, and a number in the others, without a schema",
        "InfluxDB stores all 501, the others without that field; counted, one warning",
    );
}

#[test]
fn schema_says_the_type_of_a_field_whatever_came_first() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let schema = scratch.write(
        "schema.json",
        r#"{"extraFieldInfoSchema": {"nodeCount": {"dataType": "float"}}}"#,
    );
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--request-schema", schema)
        .start();
    let sent = send(&running, one_with_text_then_500_with_numbers());
    wait_for_points(&influx, sent);
    running.terminate();
    let numbers = influx.select(DATABASE, "SELECT count(node_count) FROM upgrade_request");
    assert_eq!(numbers[0]["count"], 500);
    tried(
        FAMILY,
        "the same with a schema in which the field is a float",
        "InfluxDB stores all 501, the first without that field",
    );
}

#[test]
fn tag_that_comes_as_a_field_breaks_no_query() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let honest = || (0..20).map(|_| with_tags(r#""kubernetesVersion":"v1.31""#));
    let stranger = r#"{"extraFieldInfo":{"kubernetesVersion":"v1.31"}}"#.to_owned();
    let sent = send(&running, honest().chain([stranger]).chain(honest()));
    wait_for_points(&influx, sent);
    let log = running.terminate().stderr;
    assert_eq!(warnings(&log, "kubernetes_version"), 1, "{log}");
    let query = "SELECT * FROM upgrade_request WHERE kubernetes_version='v1.31'";
    assert_eq!(count_of(&influx, query), 40);
    tried(
        FAMILY,
        "a tag that one check-in has as a field, without a schema",
        "that field is left out; queries by the tag find all that have it",
    );
}

#[test]
fn million_distinct_values_take_little_memory() {
    const THREADS: usize = 4;
    const TAGS: usize = 64;
    const EACH: usize = 1_000_000 / TAGS / THREADS;
    let scratch = Scratch::new();
    let running = Server::new(&scratch).without("--geodb").start();
    send(&running, ["{}".to_string()]);
    let before = proc_status(running.pid(), "VmRSS");
    let clients = (0..THREADS).map(|thread| {
        let mut connection = running.connect();
        thread::spawn(move || {
            for n in 0..EACH {
                let pairs: Vec<String> = (0..TAGS)
                    .map(|tag| format!(r#""tag{tag}":"{thread}-{n}-{tag}""#))
                    .collect();
                let body = format!(
                    r#"{{"appVersion":"{thread}-{n}","extraTagInfo":{{{}}}}}"#,
                    pairs.join(",")
                );
                assert_eq!(connection.post_checkin(&body, &[]).unwrap().status, 200);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.join().unwrap();
    }
    let peak = proc_status(running.pid(), "VmHWM");
    running.terminate();
    let known = fs::metadata(state(&scratch).join("known")).unwrap().len();
    // 65 tags of 1000 values, and 100,000 series at most.
    assert!(
        peak < before + 96 * 1024,
        "{before} KiB before, {peak} KiB at most"
    );
    assert!(known < 8 << 20, "{known} bytes of known values");
    tried(
        FAMILY,
        "1,000,000 distinct values of 64 tags",
        format!(
            "memory {} MiB before, {} MiB at most; {} KiB of known values on disk",
            before / 1024,
            peak / 1024,
            known / 1024
        ),
    );
}

#[test]
fn long_values_of_commas_take_little_memory() {
    const TAGS: usize = 50;
    const PART: usize = 400;
    let scratch = Scratch::new();
    let server = Server::new(&scratch).without("--geodb");
    let running = server.start();
    send(&running, ["{}".to_string()]);
    let before = proc_status(running.pid(), "VmRSS");
    // 1000 values of 200 bytes for each of 200 keys; each comma is two bytes in line protocol.
    let commas = ",".repeat(190);
    let body = |n: usize| {
        let (value, group) = (n / 4, n % 4);
        let pairs: Vec<String> = (0..TAGS)
            .map(|tag| format!(r#""tag{group}x{tag}":"{value}-{tag}{commas}""#))
            .collect();
        with_tags(&pairs.join(","))
    };
    // In parts, so that what waits for the writer takes little memory.
    for start in (0..4000).step_by(PART) {
        send(&running, (start..start + PART).map(body));
        wait_for(DELIVERED, "the records to be in the spool", || {
            spool::lines(&scratch).len() == 1 + start + PART
        });
    }
    let peak = proc_status(running.pid(), "VmHWM");
    let log = running.terminate().stderr;
    assert_eq!(
        warnings(&log, "the memory that --max-series allows"),
        1,
        "{log}"
    );
    let known = fs::metadata(state(&scratch).join("known")).unwrap().len();
    let running = server.start();
    let again = proc_status(running.pid(), "VmHWM");
    running.terminate();
    tried(
        FAMILY,
        "1000 values of 200 commas for each of 200 tags",
        format!(
            "memory {} MiB before, {} MiB at most, {} MiB after a restart; {} KiB of known values on disk",
            before / 1024,
            peak / 1024,
            again / 1024,
            known / 1024
        ),
    );
    // 32 MB of values, and what the records themselves pass through.
    assert!(
        peak < before + 64 * 1024,
        "{before} KiB before, {peak} KiB at most"
    );
    assert!(again < before + 48 * 1024, "{again} KiB after a restart");
    assert!(
        known < 32_000_000 + (4 << 20),
        "{known} bytes of known values"
    );
}

#[test]
fn file_of_known_values_that_cannot_be_used_is_said_once() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    // A directory cannot be read nor written, by root either.
    fs::create_dir_all(state(&scratch).join("known")).unwrap();
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let sent = send(
        &running,
        (0..20).map(|n| with_tags(&format!(r#""a":"{n}""#))),
    );
    wait_for_points(&influx, sent);
    let log = running.terminate().stderr;
    assert_eq!(warnings(&log, "known: cannot"), 1, "{log}");
    tried(
        FAMILY,
        "the file `known` cannot be read nor written",
        "check-ins are recorded within the limits; one warning says what is forgotten at the next start",
    );
}
