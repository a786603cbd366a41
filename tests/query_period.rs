//! The period of the continuous queries, and totals by extra tags, in a real InfluxDB.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use crate::support::account;
use crate::support::influx::Influx;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{DATABASE, Ended, Server};
use crate::support::wait_for;

/// Longer than a start and 10 s after the last delivery, when totals are recomputed.
const LIMIT: Duration = Duration::from_secs(60);

/// The continuous queries of the server's database: text by name.
fn queries(influx: &Influx) -> BTreeMap<String, String> {
    let answer = influx.query("", "SHOW CONTINUOUS QUERIES");
    let series = answer["results"][0]["series"].as_array().unwrap();
    let ours = series.iter().filter(|series| series["name"] == DATABASE);
    let rows = ours
        .filter_map(|series| series["values"].as_array())
        .flatten();
    let text = |cell: &serde_json::Value| cell.as_str().unwrap().to_string();
    rows.map(|row| (text(&row[0]), text(&row[1]))).collect()
}

fn set_query_period(server: &Server, more: &[&str], code: i32) -> Ended {
    let ended = server.other_command("set-query-period", more);
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    ended
}

#[test]
fn set_query_period_changes_the_queries_and_keeps_the_totals() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    // As the original's README tells operators to make it, and one that counts something else.
    for statement in [
        format!(
            "CREATE CONTINUOUS QUERY \"cq_by_kubernetes_version_down_sampling\" ON \"{DATABASE}\" \
             BEGIN SELECT count(\"value\") as total INTO \"by_kubernetes_version_down_sampling\" FROM \
             \"upgrade_request\" GROUP BY time(1h),\"kubernetes_version\" END"
        ),
        format!(
            "CREATE CONTINUOUS QUERY nodes ON {DATABASE} BEGIN SELECT mean(node_count) INTO nodes \
             FROM upgrade_request GROUP BY time(1h) END"
        ),
    ] {
        influx.query(DATABASE, &statement);
    }
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    let running = server.start();
    running.connect().post_checkin("{}", &[]).unwrap();
    wait_for(LIMIT, "the point", || {
        influx.count(DATABASE, "upgrade_request") == 1
    });
    drop(running);
    let totals =
        "by_kubernetes_version_down_sampling,kubernetes_version=v1.31 total=7i 1700000000000000000";
    influx.write(DATABASE, totals);
    let before = queries(&influx);
    assert_eq!(before.len(), 5, "{before:?}");
    let down_sampling = || {
        queries(&influx)
            .into_iter()
            .filter(|(name, _)| name.starts_with("cq_"))
    };
    assert!(down_sampling().all(|(_, text)| text.contains("GROUP BY time(1h)")));

    let two_hours = server.clone().arg("--query-period", "2h");
    let said = set_query_period(&two_hours, &["--dry-run"], 0).stdout;
    assert_eq!(queries(&influx), before);
    assert!(said.contains("dry run: nothing was changed"), "{said}");
    assert_eq!(
        said.matches("  DROP CONTINUOUS QUERY ").count(),
        4,
        "{said}"
    );
    assert_eq!(
        said.matches("  CREATE CONTINUOUS QUERY ").count(),
        4,
        "{said}"
    );

    let said = set_query_period(&two_hours, &[], 0).stdout;
    let after = queries(&influx);
    assert_eq!(
        after.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    for (name, text) in &before {
        let expected = match name.as_str() {
            "nodes" => text.clone(),
            _ => text.replace("time(1h)", "time(2h)"),
        };
        assert_eq!(after[name], expected);
    }
    for text in [
        "cq_by_kubernetes_version_down_sampling: from 3600s to 7200s",
        "nodes is not one of ours and is left alone",
        "restart the server with --query-period 2h",
        "query_period to 2h",
    ] {
        assert!(said.contains(text), "{text:?} is not in: {said}");
    }
    let kept = influx.rows(DATABASE, "by_kubernetes_version_down_sampling");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["total"], 7);
    assert_eq!(influx.count(DATABASE, "upgrade_request"), 1);

    let said = set_query_period(&two_hours, &[], 0).stdout;
    assert_eq!(
        said.matches("has a period of 7200s already").count(),
        4,
        "{said}"
    );
    // A tag whose query is not there yet is made.
    let with_tag = two_hours.arg("--down-sample-tags", "host_arch");
    set_query_period(&with_tag, &[], 0);
    assert!(queries(&influx)["cq_by_host_arch_down_sampling"].contains("time(2h), host_arch"));
}

#[test]
fn a_start_with_another_period_says_so_and_serves() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let server = Server::new(&scratch).arg("--influxdb-url", influx.url());
    set_query_period(&server, &["--query-period", "1h"], 1);
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    set_query_period(&server.clone().arg("--query-period", "90m"), &[], 0);
    let before = queries(&influx);
    let running = server.start();
    wait_for(LIMIT, "a warning for each query", || {
        running.log().matches("has a period of 5400s").count() == 3
    });
    let log = running.log();
    let lines = log.lines().filter(|line| line.contains("has a period of"));
    for line in lines.clone() {
        assert!(line.contains("WARN"), "{line}");
        assert!(line.contains("--query-period is 1h (3600s)"), "{line}");
        assert!(
            line.contains("upgrade-responder set-query-period"),
            "{line}"
        );
    }
    assert_eq!(lines.count(), 3, "{log}");
    let answer = running.connect().post_checkin("{}", &[]).unwrap();
    assert_eq!(answer.json()["requestIntervalInMinutes"], 60);
    wait_for(LIMIT, "the point", || {
        influx.count(DATABASE, "upgrade_request") == 1
    });
    assert_eq!(queries(&influx), before);
}

#[test]
fn set_query_period_without_influxdb_says_what_it_could_not_do() {
    let scratch = Scratch::new();
    let url = format!("http://user:sesame@127.0.0.1:{}", free_port());
    let server = Server::new(&scratch).arg("--influxdb-url", url);
    let ended = set_query_period(&server, &["--query-period", "1h"], 1);
    assert!(
        ended.stderr.contains("InfluxDB at http://127.0.0.1:"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("sesame"), "{}", ended.stderr);
    assert!(
        ended.stderr.ends_with("; nothing was changed\n"),
        "{}",
        ended.stderr
    );
    // The default of start would change the period to one hour.
    let ended = set_query_period(&server, &[], 2);
    assert!(
        ended.stderr.contains("--query-period is required"),
        "{}",
        ended.stderr
    );
    let hour = ["--query-period", "1h"];
    let ended = set_query_period(&server.without("--influxdb-url"), &hour, 2);
    assert!(
        ended.stderr.contains("--influxdb-url is required"),
        "{}",
        ended.stderr
    );
}

#[test]
fn set_query_period_that_is_not_let_in_or_finds_no_database_has_changed_nothing() {
    let scratch = Scratch::new();
    let mut influx = Influx::stopped(&scratch).with_admin("admin", "secret");
    influx.restart();
    influx.query("", &format!("CREATE DATABASE {DATABASE}"));
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--influxdb-user", "admin")
        .arg("--query-period", "1h");
    let wrong = server.clone().arg("--influxdb-pass", "wrong");
    let said = set_query_period(&wrong, &[], 1).stderr;
    assert!(said.contains("access denied (status 401"), "{said}");
    assert!(said.ends_with("; nothing was changed\n"), "{said}");
    let right = server.arg("--influxdb-pass", "secret");
    set_query_period(&right, &["--dry-run"], 0);
    let misspelt = right.arg("--application-name", "mayapp");
    for more in [&["--dry-run"][..], &[]] {
        let ended = set_query_period(&misspelt, more, 1);
        let said = "there is no database \"mayapp_upgrade_responder\", nothing was changed; check \
                    --application-name";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_down_sampled_tags_totals_equal_the_points() {
    let scratch = Scratch::new();
    let influx = Influx::start(&scratch);
    let folder = account::spool(&scratch);
    fs::create_dir_all(&folder).unwrap();
    // Points of five hours that are over, which InfluxDB's own query will never look at.
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let hour = now.as_secs() / 3600;
    let mut lines = String::new();
    let mut expected: BTreeMap<(u64, String), u64> = BTreeMap::new();
    for n in 0..3000 {
        let start = (hour - 6 + n % 5) * 3600;
        let nanos = start * 1_000_000_000 + (n * 7919 % 3600) * 1_000_000_000 + n;
        let tag = ["", "amd64", "arm64", "s390x"][n as usize % 4];
        let pair = if tag.is_empty() {
            String::new()
        } else {
            format!(",host_arch={tag}")
        };
        lines.push_str(&format!(
            "upgrade_request,app_version=v1{pair} value=1i {nanos}\n"
        ));
        *expected.entry((start, tag.to_string())).or_default() += 1;
    }
    fs::write(folder.join("00000000000000000001.lp"), lines).unwrap();
    let server = Server::new(&scratch)
        .arg("--influxdb-url", influx.url())
        .arg("--down-sample-tags", "host_arch");
    let running = server.start();
    let totals = || -> BTreeMap<(u64, String), u64> {
        let rows = influx.rows(DATABASE, "by_host_arch_down_sampling");
        let total = |row: &serde_json::Value| {
            let start = row["time"].as_u64().unwrap() / 1_000_000_000;
            let tag = row["host_arch"].as_str().unwrap_or_default().to_string();
            ((start, tag), row["total"].as_u64().unwrap())
        };
        rows.iter().map(total).collect()
    };
    wait_for(LIMIT, "the totals", || totals() == expected);
    assert!(queries(&influx)["cq_by_host_arch_down_sampling"].contains("time(1h), host_arch END"));
    assert_eq!(influx.count(DATABASE, "upgrade_request"), 3000);
    assert_eq!(running.terminate().code, Some(0));
}
