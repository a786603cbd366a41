//! `--max-series`. If it failed, combinations of allowed values would create unlimited series in InfluxDB.

use super::{FAMILY, count_of, send, values, wait_for_points, warnings, with_tags};
use crate::support::client::Address;
use crate::support::influx::Influx;
use crate::support::metrics;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::Server;
use crate::support::tried::tried;

#[test]
fn combinations_of_tag_values_are_limited_by_max_series() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let metrics_at = Address::local(free_port());
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--metrics-listen", metrics_at.to_string())
        .arg("--max-series", "20");
    let running = server.start();
    // 12 values of each tag are within `--max-tag-values`, but make 1728 tag sets.
    let sets = (0..1728).map(|n| {
        let (a, b, c) = (n % 12, n / 12 % 12, n / 144);
        with_tags(&format!(r#""a":"{a}","b":"{b}","c":"{c}""#))
    });
    let sent = send(&running, sets);
    wait_for_points(&influx, sent);
    // 20 sets as they were sent, and 5 in which `a`, the tag with the most values, is `other`. In these, `b` is
    // 0, 1 or `other`, and `c` is 0 or `other`. All 12 sets in which both are 0 were stored as they were sent.
    assert_eq!(count_of(&influx, "SHOW SERIES FROM upgrade_request"), 25);
    assert_eq!(metrics::value(&metrics_at, "records_limited_total"), 1708);
    let log = running.terminate().stderr;
    // One when half of the limit is used, and one when all of it is.
    assert_eq!(warnings(&log, "--max-series"), 2, "{log}");
    tried(
        FAMILY,
        "1728 combinations of three tags, --max-series 20",
        "25 series in InfluxDB, 1708 records counted, a warning at half and one at the end",
    );
}

#[test]
fn versions_combined_with_different_keys_are_limited_by_max_series() {
    const VERSIONS: usize = 1000;
    const CHOICES: usize = 20;
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    // All check-ins have the same location, so each tag set is one series.
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
