//! The number of extra keys without a schema, and the type that a key keeps. If these checks failed, one client could
//! create unlimited columns, or InfluxDB would refuse the records of others because of a field type conflict.

use super::{FAMILY, count_of, send, wait_for_points, warnings, with_tags};
use crate::support::client::Address;
use crate::support::influx::Influx;
use crate::support::metrics;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{DATABASE, Server};
use crate::support::tried::tried;

#[test]
fn without_a_schema_200_extra_keys_are_stored() {
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
    // The one more is `value`, the field of each record.
    assert_eq!(tags + fields, 200 + 1, "{tags} tags, {fields} fields");
    assert_eq!(warnings(&log, "extra keys"), 1, "{log}");
    tried(
        FAMILY,
        "1280 extra keys without a schema",
        "200 stored, one warning",
    );
}

/// A check-in in which the field is text, then 500 in which the field is a number.
fn one_with_text_then_500_with_numbers() -> impl Iterator<Item = String> {
    let values = std::iter::once(r#""three""#.to_owned()).chain((0..500).map(|n| n.to_string()));
    values.map(|value| format!(r#"{{"extraFieldInfo":{{"nodeCount":{value}}}}}"#))
}

#[test]
fn field_of_another_type_costs_no_records() {
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
    let warning =
        r#"extra key "node_count" came as a string field before and now as a float field"#;
    assert_eq!(warnings(&log, warning), 1, "{log}");

    // The type is remembered across a restart.
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
fn type_in_the_schema_wins_over_the_first_value() {
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
fn tag_that_one_client_sends_as_a_field_breaks_no_query() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let running = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .start();
    let as_tag = || (0..20).map(|_| with_tags(r#""kubernetesVersion":"v1.31""#));
    let as_field = r#"{"extraFieldInfo":{"kubernetesVersion":"v1.31"}}"#.to_owned();
    let sent = send(&running, as_tag().chain([as_field]).chain(as_tag()));
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
