//! `upgrade-responder report`. If these tests fail, an operator gets wrong numbers, a format that another program
//! cannot read, or text from a client that a terminal or spreadsheet executes.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::scratch::Scratch;
use crate::support::server::{APPLICATION, Ended, Running, Server, run};

/// `report` on the state of [`Server::new`].
fn report(scratch: &Scratch, flags: &[&str]) -> Ended {
    let state = scratch.join("state");
    let state = state.to_str().unwrap();
    run(
        scratch,
        &[
            &["report", "--state-dir", state, "--settings", "/dev/null"],
            flags,
        ]
        .concat(),
    )
}

#[track_caller]
fn shown(scratch: &Scratch, flags: &[&str]) -> String {
    let ended = report(scratch, flags);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{}",
        ended.stdout
    );
    ended.stdout
}

#[track_caller]
fn json_of(scratch: &Scratch, flags: &[&str]) -> Value {
    let text = shown(scratch, &[&["--format", "json"], flags].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The sum of each value over all rows, because a period may end during a test.
fn sums(report: &Value) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for row in report["rows"].as_array().unwrap() {
        for value in row["values"].as_array().unwrap() {
            let name = value["value"].as_str().unwrap().to_owned();
            *sums.entry(name).or_default() += value["total"].as_u64().unwrap();
        }
    }
    sums
}

fn all(report: &Value) -> u64 {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().filter_map(|row| row["total"].as_u64()).sum()
}

/// Sends a check-in from Zürich, according to the sample geo database.
fn check_in(running: &Running, body: &str) {
    let from = [("X-Forwarded-For", "203.0.113.7")];
    let answer = running.connect().post_checkin(body, &from);
    assert_eq!(answer.unwrap().status, 200);
}

#[test]
fn a_check_in_is_in_the_next_report_of_every_format() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).arg("--down-sample-tags", "host_arch");
    let running = server.start();
    let body = |version: &str| {
        format!(
            r#"{{"appVersion":"{version}","extraTagInfo":{{"hostArch":"arm64"}},"extraFieldInfo":{{"nodeCount":3,"load":0.5,"tls":true}}}}"#
        )
    };
    for number in 1..=3 {
        check_in(&running, &body("v1.0.0"));
        // The report has each check-in immediately, without a wait.
        assert_eq!(all(&json_of(&scratch, &[])), number);
    }
    check_in(&running, &body("v1.1.0"));

    let by_version = json_of(&scratch, &["--by", "app_version"]);
    assert_eq!(by_version["application"], APPLICATION);
    assert_eq!(by_version["by"], "app_version");
    assert_eq!(by_version["query_period_seconds"], 3600);
    let versions = [("v1.0.0".to_owned(), 3), ("v1.1.0".to_owned(), 1)];
    assert_eq!(sums(&by_version), versions.into());
    let row = by_version["rows"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&row["finished"], &row["seconds"]),
        (&json!(false), &json!(3600))
    );
    assert!(row["covered_seconds"].as_u64().unwrap() < 3600, "{row}");

    let by_country = json_of(&scratch, &["--by", "country"]);
    assert_eq!(sums(&by_country), [("CH".to_owned(), 4)].into());
    assert!(
        by_country.to_string().contains(r#""name":"Switzerland""#),
        "{by_country}"
    );
    let by_city = json_of(&scratch, &["--by", "city"]);
    assert_eq!(sums(&by_city), [("Zürich".to_owned(), 4)].into());
    assert!(
        by_city.to_string().contains(r#""country":"CH""#),
        "{by_city}"
    );
    let by_tag = json_of(&scratch, &["--by", "host_arch"]);
    assert_eq!(sums(&by_tag), [("arm64".to_owned(), 4)].into());
    let by_switch = json_of(&scratch, &["--by", "tls"]);
    assert_eq!(sums(&by_switch), [("true".to_owned(), 4)].into());
    let field = json_of(&scratch, &["--by", "load"]);
    let rows = field["rows"].as_array().unwrap().iter();
    let with_load = |row: &&Value| !row["count"].is_null();
    let sum: f64 = rows
        .filter(with_load)
        .map(|row| row["sum"].as_f64().unwrap())
        .sum();
    assert_eq!(sum, 2.0, "{field}");

    let csv = shown(&scratch, &["--by", "app_version", "--format", "csv"]);
    let mut lines = csv.lines();
    let columns = "start,seconds,covered_seconds,finished,app_version,total";
    assert_eq!(lines.next(), Some(columns));
    let counted = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[4] == "v1.0.0").then(|| cells[5].parse::<u64>().unwrap())
    };
    assert_eq!(lines.filter_map(counted).sum::<u64>(), 3, "{csv}");

    let text = shown(&scratch, &["--by", "app_version"]);
    for piece in [
        "myapp by app_version\n",
        "so far",
        "\nv1.0.0 ",
        "\nv1.1.0 ",
        "\nall ",
    ] {
        assert!(text.contains(piece), "{piece:?} is not in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours in a file: {text:?}");
}

#[test]
fn the_report_is_the_same_once_the_server_has_stopped() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    for _ in 0..5 {
        check_in(&running, r#"{"appVersion":"v1.0.0"}"#);
    }
    assert_eq!(running.terminate().code, Some(0));
    let before = fs::read(scratch.join("state/myapp/totals.db")).unwrap();
    let report = json_of(&scratch, &["--by", "app_version"]);
    assert_eq!(sums(&report), [("v1.0.0".to_owned(), 5)].into());
    let after = fs::read(scratch.join("state/myapp/totals.db")).unwrap();
    assert_eq!(before, after, "a report writes nothing");
    // The report holds no lock that prevents another start.
    check_in(&Server::new(&scratch).start(), "{}");
}

#[test]
fn uncounted_check_ins_are_reported_as_missing() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    check_in(&running, "{}");
    assert_eq!(all(&json_of(&scratch, &[])), 1);
    assert_eq!(running.terminate().code, Some(0));
    // A crash before the commit leaves such a segment.
    let late = "upgrade_request,app_version=late value=1i 1795446171937260407\n";
    let segment = scratch.join("state/myapp/spool/00000000000000000099-1.lp");
    fs::write(segment, late).unwrap();
    let start = Instant::now();
    let ended = report(&scratch, &[]);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("not counted yet"), "{}", ended.stderr);
}

#[test]
fn without_check_ins_the_report_shows_how_to_send_one() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    let text = shown(&scratch, &[]);
    assert!(
        text.contains("curl http://127.0.0.1:8314/v1/checkupgrade"),
        "{text}"
    );
    assert_eq!(all(&json_of(&scratch, &[])), 0);
    assert_eq!(running.terminate().code, Some(0));
}

#[test]
fn an_unknown_dimension_is_wrong_usage_that_names_the_known_ones() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    check_in(&running, r#"{"extraFieldInfo":{"nodeCount":3}}"#);
    all(&json_of(&scratch, &[]));
    let ended = report(&scratch, &["--by", "host_arch"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let expected =
        "found \"host_arch\", expected one of all, app_version, country, city, node_count";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    running.terminate();
}

#[test]
fn a_ledger_that_cannot_be_read_is_a_failure() {
    let scratch = Scratch::new();
    Server::new(&scratch).start().terminate();
    let ledger = scratch.join("state/myapp/totals.db");
    for side in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{side}", ledger.display()));
    }
    fs::write(&ledger, "no database".repeat(1000)).unwrap();
    let ended = report(&scratch, &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("totals.db"), "{}", ended.stderr);
}

#[test]
fn hostile_values_stay_within_their_line_and_cell() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    let versions = [
        "=1+1",
        "a,\"b\"",
        "\\u202ereversed",
        "\\ud83d\\ude00 東京 חיפה",
        "\\u001b[2J",
    ];
    for version in versions {
        check_in(
            &running,
            &format!(r#"{{"appVersion":"{}"}}"#, version.replace('"', "\\\"")),
        );
    }
    let text = shown(&scratch, &["--by", "app_version"]);
    assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text:?}");
    let csv = shown(&scratch, &["--by", "app_version", "--format", "csv"]);
    assert!(csv.contains(",'=1+1,1\n"), "{csv}");
    assert!(csv.contains(",\"a,\"\"b\"\"\",1\n"), "{csv}");
    let json = json_of(&scratch, &["--by", "app_version"]);
    assert_eq!(sums(&json).get("=1+1"), Some(&1), "{json}");
    running.terminate();
}
