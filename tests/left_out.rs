//! Keys that the server leaves out of records. The log, `report --left-out` and `check-config --suggest-schema` name them.
//! If these tests failed, operators would not learn that a new release sends data that is not stored.

use serde_json::Value;

use crate::support::scratch::Scratch;
use crate::support::server::{Ended, Server, run};
use crate::support::spool;
use crate::support::tried::tried;

const SCHEMA: &str = r#"{
  "appVersionSchema": {"dataType": "string", "maxLen": 20},
  "extraTagInfoSchema": {
    "kubernetesVersion":   {"dataType": "string", "maxLen": 10},
    "hostArch": {"dataType": "string", "values": ["amd64", "arm64"]}
  },
  "extraFieldInfoSchema": {
    "nodeCount": {"dataType": "float"}
  }
}"#;

fn report(scratch: &Scratch, flags: &[&str]) -> Ended {
    let state = scratch.join("state");
    let start = [
        "report",
        "--settings",
        "/dev/null",
        "--left-out",
        "--state-dir",
    ];
    let ended = run(
        scratch,
        &[&start[..], &[state.to_str().unwrap()], flags].concat(),
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

fn rows(scratch: &Scratch) -> Vec<Value> {
    let text = report(scratch, &["--format", "json"]).stdout;
    let report: Value = serde_json::from_str(&text).unwrap();
    report["left_out"].as_array().unwrap().clone()
}

fn row<'a>(rows: &'a [Value], key: &str) -> &'a Value {
    let found = rows.iter().find(|row| row["key"] == key);
    found.unwrap_or_else(|| panic!("{key}: {rows:?}"))
}

/// The check-ins of a hundred installations. Ten run a release with five keys that the schema does not list.
fn fleet() -> Vec<String> {
    let old = r#"{"appVersion":"v1.9.0","extraTagInfo":{"kubernetesVersion":"v1.31.2","hostArch":"amd64"},
        "extraFieldInfo":{"nodeCount":3}}"#;
    let new = r#"{"appVersion":"v1.10.0","extraTagInfo":{"kubernetesVersion":"v1.31.2","longhornSettingNewThing":"enabled",
        "storageClass":"fast"},"extraFieldInfo":{"nodeCount":3,"longhornVolumeEncryptedCount":7,"selinux":true,
        "clusterUID":"0123456789abcdef0123456789"}}"#;
    let of = |n: usize| if n % 10 == 9 { new } else { old };
    (0..100).map(|n| of(n).to_owned()).collect()
}

#[test]
fn new_keys_of_a_tenth_of_the_installations_are_reported_and_the_suggested_schema_stores_them() {
    let scratch = Scratch::new();
    let schema = scratch.write("schema.json", SCHEMA);
    let server = Server::new(&scratch).without("--geodb");
    let server = server.arg("--request-schema", &schema);
    let running = server.start();
    let mut connection = running.connect();
    for body in fleet() {
        assert_eq!(connection.post_checkin(&body, &[]).unwrap().status, 200);
    }
    // The report has the keys without a wait, as it has the totals.
    let rows = rows(&scratch);
    assert_eq!(rows.len(), 5, "{rows:?}");
    for (key, part, value_type, length) in [
        ("longhornSettingNewThing", "tag", "string", 7),
        ("storageClass", "tag", "string", 4),
        ("longhornVolumeEncryptedCount", "field", "float", 0),
        ("selinux", "field", "boolean", 0),
        ("clusterUID", "field", "string", 26),
    ] {
        let row = row(&rows, key);
        assert_eq!(row["part"], part);
        assert_eq!(row["reason"], "not_in_schema");
        assert_eq!(row["check_ins"], 10, "{row}");
        assert_eq!(row["since_version"], "v1.10.0");
        assert_eq!(row["type"], value_type);
        assert_eq!(row["length"], length);
    }
    let csv = report(&scratch, &["--format", "csv", "--last", "30d"]).stdout;
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("last_day,part,key,reason,check_ins,since_version,type,length")
    );
    assert_eq!(lines.count(), 5);
    let day = csv.lines().nth(1).unwrap();
    assert!(
        day.ends_with(",field,clusterUID,not_in_schema,10,v1.10.0,string,26"),
        "{csv}"
    );
    let text = report(&scratch, &[]).stdout;
    assert!(text.contains("\"longhornSettingNewThing\""), "{text}");

    let suggested = server.other_command("check-config", &["--suggest-schema"]);
    assert_eq!(suggested.code, Some(0), "{}", suggested.stderr);
    assert!(
        suggested
            .stderr
            .contains("added: \"storageClass\", check-ins 10, first appVersion \"v1.10.0\"")
    );
    // The operator's own entries are unchanged.
    assert!(
        suggested
            .stdout
            .contains(r#""hostArch": {"dataType": "string", "values": ["amd64", "arm64"]}"#)
    );
    let log = running.terminate().stderr;
    let warned: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("is left out:"))
        .collect();
    assert_eq!(warned.len(), 5, "{log}");
    assert!(
        warned
            .iter()
            .all(|line| line.contains("first appVersion \"v1.10.0\"")),
        "{log}"
    );

    scratch.write("schema.json", &suggested.stdout);
    let before = spool::points(&scratch).len();
    let running = server.start();
    running.connect().post_checkin(&fleet()[9], &[]).unwrap();
    running.terminate();
    assert_eq!(
        spool::points(&scratch)[before],
        "upgrade_request,app_version=v1.10.0,kubernetes_version=v1.31.2,longhorn_setting_new_thing=enabled,\
         storage_class=fast value=1i,cluster_uid=\"0123456789abcdef0123456789\",\
         longhorn_volume_encrypted_count=7,node_count=3,selinux=true"
    );
    // A second run has nothing to add.
    let again = server.other_command("check-config", &["--suggest-schema"]);
    assert_eq!((again.code, again.stdout), (Some(0), suggested.stdout));
    let outcome = "a WARN for each key, its check-ins and first version in report --left-out, and a schema with all five";
    tried(
        "Odd check-ins",
        "a tenth of a fleet with five keys that the schema does not list",
        outcome,
    );
}

#[test]
fn values_that_break_the_schema_are_reported_and_larger_lengths_suggested() {
    let scratch = Scratch::new();
    let schema = scratch.write("schema.json", SCHEMA);
    let server = Server::new(&scratch).arg("--request-schema", &schema);
    let running = server.start();
    let mut connection = running.connect();
    for body in [
        r#"{"appVersion":"v1","extraTagInfo":{"kubernetesVersion":"v1.31.2+k3s1","hostArch":"riscv64"},
            "extraFieldInfo":{"nodeCount":"three"}}"#,
        r#"{"appVersion":"v1.12.0-with-a-very-long-name"}"#,
        r#"{"appVersion":"v1","extraTagInfo":{"city":"x"}}"#,
        "{}",
    ] {
        assert_eq!(connection.post_checkin(body, &[]).unwrap().status, 200);
    }
    let stopped = running.terminate();
    let rows = rows(&scratch);
    for (key, part, reason) in [
        ("kubernetesVersion", "tag", "too_long"),
        ("hostArch", "tag", "not_allowed"),
        ("nodeCount", "field", "wrong_type"),
        ("appVersion", "app_version", "too_long"),
        ("city", "tag", "not_in_schema"),
    ] {
        let row = row(&rows, key);
        assert_eq!(
            (&row["part"], &row["reason"]),
            (&part.into(), &reason.into())
        );
        assert!(
            stopped
                .stderr
                .contains(&format!("key {key:?} ({part}) is left out: {reason}"))
        );
        tried(
            "Odd check-ins",
            &format!("left out: {reason} ({part})"),
            "WARN, report --left-out",
        );
    }
    assert_eq!(rows.len(), 5);
    let suggested = server.other_command("check-config", &["--suggest-schema"]);
    let schema: Value = serde_json::from_str(&suggested.stdout).unwrap();
    assert_eq!(schema["appVersionSchema"]["maxLen"], 32);
    assert_eq!(
        schema["extraTagInfoSchema"]["kubernetesVersion"]["maxLen"],
        16
    );
    // `city` is a built-in name and cannot be stored.
    assert_eq!(schema["extraTagInfoSchema"].as_object().unwrap().len(), 2);
    assert!(
        suggested
            .stderr
            .contains("not suggested: \"hostArch\" (not_allowed"),
        "{}",
        suggested.stderr
    );
}

#[test]
fn invented_keys_cannot_fill_the_log_forge_lines_or_displace_real_keys() {
    let scratch = Scratch::new();
    let schema = scratch.write("schema.json", SCHEMA);
    let server = Server::new(&scratch).arg("--request-schema", &schema);
    let running = server.start();
    let mut connection = running.connect();
    for client in 0..40 {
        let keys: Vec<String> = (0..60)
            .map(|n| format!("\"invented\\n{client}-{n}\":\"x\""))
            .collect();
        let body = format!(r#"{{"extraTagInfo":{{{}}}}}"#, keys.join(","));
        assert_eq!(connection.post_checkin(&body, &[]).unwrap().status, 200);
        let real = r#"{"appVersion":"v2","extraTagInfo":{"newThing":"on"}}"#;
        connection.post_checkin(real, &[]).unwrap();
    }
    let log = running.terminate().stderr;
    let rows = rows(&scratch);
    assert_eq!(rows.len(), 200);
    assert_eq!(
        (&rows[0]["key"], &rows[0]["check_ins"]),
        (&"newThing".into(), &40.into())
    );
    let warned = log
        .lines()
        .filter(|line| line.contains("is left out:"))
        .count();
    assert_eq!(warned, 20, "{log}");
    let more = log
        .lines()
        .filter(|line| line.contains(" more keys are left out today"))
        .count();
    assert_eq!(more, 1, "{log}");
    // A newline in a key does not begin a log line.
    assert!(log.lines().all(|line| line.contains("Z ")), "{log}");
    tried(
        "Odd check-ins",
        "2,400 invented keys beside a real one of 40 check-ins",
        "20 WARN lines and one that says how many more; the real key is the first of 200",
    );
}

#[test]
fn without_a_schema_keys_beyond_the_fixed_limits_are_reported() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch);
    let running = server.start();
    let long = "x".repeat(201);
    let body = format!(
        r#"{{"appVersion":"v1","extraTagInfo":{{"a b":"x","long":"{long}"}},"extraFieldInfo":{{"list":[]}}}}"#
    );
    running.connect().post_checkin(&body, &[]).unwrap();
    running
        .connect()
        .post_checkin(&format!(r#"{{"appVersion":"{long}"}}"#), &[])
        .unwrap();
    running.terminate();
    let rows = rows(&scratch);
    assert_eq!(row(&rows, "a b")["reason"], "bad_key");
    assert_eq!(row(&rows, "long")["length"], 201);
    assert_eq!(row(&rows, "list")["type"], "other");
    assert_eq!(row(&rows, "appVersion")["part"], "app_version");
    let ended = server.other_command("check-config", &["--suggest-schema"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(78), ""));
    assert!(
        ended.stderr.contains("--suggest-schema"),
        "{}",
        ended.stderr
    );
}
