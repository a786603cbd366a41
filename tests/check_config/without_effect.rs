//! Unknown keys in the operator's files. If these tests failed, a misspelt key would be ignored without a warning.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::check;
use crate::support::account::lines_with;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::wait_for;

const VERSION: &str =
    r#"{"name": "v1.0.0", "releaseDate": "2024-01-10T00:00:00Z", "tags": ["latest"], "Extra": 1}"#;

#[test]
fn unknown_keys_get_a_warning_in_the_check_at_start_and_at_reload() {
    let scratch = Scratch::new();
    let config = |more: &str| format!("{{\"versions\": [{VERSION}]{more}}}");
    let schema = r#"{"extraTagsInfoSchema": {}, "extraTagInfoSchema":
        {"hostArch": {"dataType": "string", "maxLenght": 5}}}"#;
    let path = scratch.write(
        "r.json",
        config(r#", "requestIntervalInMinutes": 5, "version": []"#),
    );
    let server = Server::new(&scratch)
        .arg("--upgrade-response-config", &path)
        .arg("--request-schema", scratch.write("s.json", schema));
    let warnings = [
        "response config: key \"requestIntervalInMinutes\" has no effect; known keys are ",
        "response config: key \"version\" has no effect; the nearest known key is \"versions\"",
        "request schema: key \"extraTagsInfoSchema\" has no effect; the nearest known key is \
         \"extraTagInfoSchema\"",
        "request schema: extraTagInfoSchema, \"hostArch\": key \"maxLenght\" has no effect; the nearest \
         known key is \"maxLen\"",
    ];
    check(&server, &[], 0, &warnings, &[]);

    let mut running = server.start();
    for text in warnings {
        assert_eq!(lines_with(&running.log(), text), 1, "{}", running.log());
    }
    fs::write(&path, config(r#", "version": [], "comment": "" "#)).unwrap();
    running.signal(Signal::HUP);
    let new = "WARN  response config: key \"comment\" has no effect";
    wait_for(
        Duration::from_secs(30),
        "the warning about the new key",
        || lines_with(&running.log(), new) == 1,
    );
    let log = running.terminate().stderr;
    for text in warnings {
        assert_eq!(lines_with(&log, text), 1, "{log}");
    }
}

#[test]
fn settings_without_effect_get_a_warning_in_the_check_at_start_and_at_reload() {
    let scratch = Scratch::new();
    let schema = |tag: &str| {
        format!("{{\"extraTagInfoSchema\": {{{tag:?}: {{\"dataType\": \"string\"}}}}}}")
    };
    let path = scratch.write("s.json", schema("kubernetesVersion"));
    let server = Server::new(&scratch)
        .arg("--request-schema", &path)
        .arg("--public-page", "kuberntes_version,kubernetes_version")
        .arg("--influxdb-token", "x");
    let misspelt = "--public-page: found \"kuberntes_version\", for which nothing is counted";
    let idle = "no effect without --influxdb-url: --influxdb-token";
    check(&server, &[], 0, &[misspelt, idle], &[]);

    let mut running = server.start();
    for text in [misspelt, idle] {
        assert_eq!(lines_with(&running.log(), text), 1, "{}", running.log());
    }
    fs::write(&path, schema("other")).unwrap();
    running.signal(Signal::HUP);
    let new = "--public-page: found \"kubernetes_version\", for which nothing is counted";
    wait_for(
        Duration::from_secs(30),
        "the warning about the second name",
        || lines_with(&running.log(), new) == 1,
    );
    running.terminate();
}

#[test]
fn a_versions_key_in_two_spellings_is_an_error() {
    let scratch = Scratch::new();
    let config = r#"{"versions": [{"name": "v1.0.0", "Name": "v2.0.0", "Tags": ["latest"],
        "releaseDate": "2024-01-10T00:00:00Z"}]}"#;
    let server =
        Server::new(&scratch).arg("--upgrade-response-config", scratch.write("r.json", config));
    let error = "r.json: versions[0] \"v2.0.0\", name: found as [\"Name\", \"name\"], expected one \
                 spelling of the key";
    check(&server, &[], 78, &[], &[error]);
    assert!(server.expect_exit(78).stderr.contains(error));
}
