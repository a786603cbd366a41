//! The continuous queries that another server left in InfluxDB. If these tests fail, totals are counted twice after a
//! change from the original server to this one, or dashboards get no new totals.

use super::{
    HOUR, Records, SOON, TARGETS, hour, on_ledger, own, report, server, start, stored,
    wait_for_totals, wait_until_idle,
};
use crate::support::account::lines_with;
use crate::support::influx::Influx;
use crate::support::scratch::Scratch;
use crate::support::server::{DATABASE, Ended};
use crate::support::wait_for;

/// The names of the continuous queries in InfluxDB.
fn queries(influx: &Influx) -> Vec<String> {
    influx
        .select(DATABASE, "SHOW CONTINUOUS QUERIES")
        .iter()
        .filter_map(|row| Some(row["name"].as_str()?.to_owned()))
        .collect()
}

/// Creates the continuous queries of the Go original, and one for a tag, as an operator would.
fn make_queries(influx: &Influx) {
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    for (target, group) in
        TARGETS
            .iter()
            .zip(["", ", app_version", ", country_isocode", ", host_arch"])
    {
        influx.query(DATABASE, &format!(
            "CREATE CONTINUOUS QUERY cq_{target} ON {DATABASE} BEGIN SELECT count(value) AS total INTO {target} \
             FROM upgrade_request GROUP BY time(1h){group} END"
        ));
    }
}

/// Writes the totals that the original's continuous queries write at the end of each hour.
fn fill_as_the_queries_did(influx: &Influx, hours: std::ops::Range<i64>) {
    let (start, end) = (start() + hours.start * HOUR, start() + hours.end * HOUR);
    for (target, group) in
        TARGETS
            .iter()
            .zip(["", ", app_version", ", country_isocode", ", host_arch"])
    {
        influx.select(
            DATABASE,
            &format!(
                "SELECT count(value) AS total INTO {target} FROM upgrade_request \
             WHERE time >= {start}s AND time < {end}s GROUP BY time(1h){group}"
            ),
        );
    }
}

#[test]
fn queries_of_the_original_are_dropped_once_this_server_alone_writes() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    make_queries(&influx);
    // The original's records, and the totals of them.
    let old = Records::of(0..3, 9);
    assert_eq!(influx.write(DATABASE, &old.lines).0, 204);
    fill_as_the_queries_did(&influx, 0..3);
    let theirs = stored(&influx, |_| true);
    assert_eq!(theirs.len(), old.totals.len());

    // The first hour of this server; the original still runs.
    let first = Records::of(3..4, 9);
    first.lay(&scratch, 1);
    let beside = first.lines.replace("app_version=v1", "app_version=v0");
    assert_eq!(influx.write(DATABASE, &beside).0, 204);
    let running = server(&scratch, &influx).start();
    wait_for(SOON, "the warning", || {
        lines_with(&running.log(), "continuous queries of another server fill") == 1
    });
    wait_until_idle(&running, &scratch);
    running.terminate();
    assert_eq!(queries(&influx).len(), 4);
    assert!(
        own(&influx, &scratch).is_empty(),
        "a total was sent although a query fills its measurement"
    );

    // Two hours that this server covered wholly, and in which it alone wrote points.
    let alone = Records::of(4..6, 9);
    alone.lay(&scratch, 1 << 40);
    let running = server(&scratch, &influx).without("--influxdb-url").start();
    wait_for(SOON, "the records in the ledger", || {
        report(&scratch).contains(&hour(5))
    });
    running.terminate();
    on_ledger(
        &scratch,
        "UPDATE period SET present_ms = seconds * 1000 WHERE total > 0",
    );
    let running = server(&scratch, &influx).start();
    wait_for(SOON, "the queries to be dropped", || {
        queries(&influx).is_empty()
    });
    let log = running.terminate().stderr;
    assert_eq!(
        lines_with(&log, "INFO  InfluxDB: DROP CONTINUOUS QUERY"),
        4,
        "{log}"
    );
    assert!(
        own(&influx, &scratch).is_empty(),
        "a total was sent for an hour that the queries filled"
    );

    // From then on this server sends the totals; a late record changes no total that the queries wrote.
    let next = Records::of(6..8, 9);
    next.lay(&scratch, 1 << 41);
    let late = Records::of(5..6, 1);
    Records {
        lines: late.lines.replace("00000", "00900"),
        ..late
    }
    .lay(&scratch, (1 << 41) + 1);
    let running = server(&scratch, &influx).start();
    wait_for_totals(&influx, &scratch, &next.totals);
    running.terminate();
    assert_eq!(stored(&influx, |row| row["instance"].is_null()), theirs);
}

#[test]
fn take_over_drops_the_queries_immediately_and_a_dry_run_drops_nothing() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    make_queries(&influx);
    influx.query(DATABASE, &format!(
        "CREATE CONTINUOUS QUERY other ON {DATABASE} BEGIN SELECT mean(node_count) INTO nodes FROM upgrade_request \
         GROUP BY time(1h) END"
    ));
    let server = server(&scratch, &influx);
    let run = |more: &[&str]| -> Ended {
        let ended = server.other_command("take-over", more);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        ended
    };
    let plan = run(&["--dry-run"]).stdout;
    assert!(
        plan.contains("DROP CONTINUOUS QUERY \"cq_by_host_arch_down_sampling\""),
        "{plan}"
    );
    assert!(plan.contains("kept: other fills nodes"), "{plan}");
    assert!(
        plan.contains("4 continuous queries would be dropped"),
        "{plan}"
    );
    assert_eq!(queries(&influx).len(), 5);
    let checked = server.other_command("check-config", &["--online"]).stdout;
    let warning = "continuous query cq_by_app_version_down_sampling of another server fills";
    assert!(checked.contains(warning), "{checked}");
    run(&[]);
    assert_eq!(queries(&influx), ["other"]);
    assert!(run(&[]).stdout.contains("nothing to do"));

    let records = Records::of(0..2, 5);
    records.lay(&scratch, 1);
    let running = server.start();
    wait_for_totals(&influx, &scratch, &records.totals);
    running.terminate();
}
