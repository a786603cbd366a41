//! `--max-tag-values` and the values that a schema allows. If they failed, a client could add unlimited values of one
//! tag, or the values that the operator listed would be stored as `other`.

use std::collections::BTreeSet;

use super::{FAMILY, send, values, wait_for_points, warnings, with_tags};
use crate::support::client::Address;
use crate::support::influx::Influx;
use crate::support::metrics;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{DATABASE, Server};
use crate::support::tried::tried;

#[test]
fn values_over_the_limit_of_their_tag_become_other() {
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
    // Versions in the response config do not count towards the limit.
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

    // A restart allows 10 new values again. Known values do not count towards them.
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
    let stored = |kernel| {
        let query = format!("SELECT count(value) FROM upgrade_request WHERE kernel = '{kernel}'");
        influx.select(DATABASE, &query)[0]["count"]
            .as_u64()
            .unwrap()
    };
    // 20 values of the first run are `other`, and the eleventh new one of the second.
    assert_eq!((stored("6.3"), stored("6.9"), stored("other")), (2, 2, 21));
    tried(
        FAMILY,
        "30 values of a tag and 30 versions, --max-tag-values 10",
        "10 of each stored, the others as `other`, counted, one warning for each tag; known values go on after a restart",
    );
}

#[test]
fn values_that_the_schema_allows_are_always_stored_and_others_never() {
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
