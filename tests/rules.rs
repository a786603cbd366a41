//! Rules of the response config. If these tests fail, a client is offered a version that does not run there, or
//! `explain` shows another answer than the server gives.

mod beyond;
mod checked;
mod rollout;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::client::{Address, Connection};
use crate::support::metrics;
use crate::support::nginx::Nginx;
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{self, Running, Server};
use crate::support::wait_for;

/// The two rules of the test config of Rancher Desktop's fork.
const FORK: &str = include_str!("rules/fork.json");
/// The rules in issues 5273 and 8225 of rancher-desktop.
const RANCHER_DESKTOP: &str = include_str!("rules/rancher-desktop.json");
const NOTICED: Duration = Duration::from_secs(30);
/// An address in Zürich, according to the sample geo database.
const SWISS: &str = "203.0.113.7";

/// The request of Rancher Desktop, which sends no Content-Type.
fn rancher_desktop(version: &str, platform: &str, platform_version: &str) -> String {
    format!(
        r#"{{"appVersion":"{version}","extraInfo":{{"platform":"{platform}","platformVersion":"{platform_version}"}}}}"#
    )
}

fn with_config(scratch: &Scratch, config: &str) -> Server {
    scratch.write("response-config.json", config);
    Server::new(scratch)
}

#[track_caller]
fn post(address: &Address, body: &str, from: &str) -> String {
    let mut connection = Connection::open(address).unwrap();
    let headers = [("X-Forwarded-For", from)];
    let answer = connection.post_checkin(body, &headers).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// The output of `explain` with the files of a server.
#[track_caller]
fn explain(scratch: &Scratch, body: &str, from: &str, more: &[&str]) -> String {
    let config = scratch.join("response-config.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_upgrade-responder"));
    command.args(["explain", "--request", "-", "--settings", "/dev/null"]);
    command.arg("--upgrade-response-config").arg(config);
    command.arg("--geodb").arg(scratch.join("sample.mmdb"));
    command.args(["--forwarded-for", from]).args(more);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running
        .stdin
        .take()
        .unwrap()
        .write_all(body.as_bytes())
        .unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(from), "the address is shown: {text}");
    text
}

/// The versions of an answer: name, and whether it is supported.
fn supported(answer: &str) -> Vec<(String, Value)> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let versions = answer["versions"].as_array().unwrap().iter();
    let either = |version: &Value, keys: [&str; 2]| {
        let mut found = keys.iter().filter_map(|key| version.get(key));
        found.next().cloned().unwrap_or_default()
    };
    versions
        .map(|version| {
            let name = either(version, ["Name", "name"]);
            (
                name.as_str().unwrap().to_owned(),
                either(version, ["Supported", "supported"]),
            )
        })
        .collect()
}

/// The exact answer with the versions of `config` and these values of `Supported`.
fn marked(config: &str, marks: &[bool]) -> String {
    let compact: String = config.split_whitespace().collect();
    let (_, versions) = compact.split_once("\"Versions\":[").unwrap();
    let versions = versions.strip_suffix("]}").unwrap();
    let versions = versions
        .split_inclusive('}')
        .zip(marks)
        .map(|(version, mark)| {
            let open = version.trim_start_matches(',').strip_suffix('}').unwrap();
            format!("{open},\"Supported\":{mark}}}")
        });
    let versions: Vec<String> = versions.collect();
    let versions = versions.join(",");
    format!("{{\"versions\":[{versions}],\"requestIntervalInMinutes\":60}}")
}

/// Checks that the server behind nginx and `explain` give exactly this answer.
#[track_caller]
fn check(scratch: &Scratch, nginx: &Nginx, body: &str, expected: &str) {
    assert_eq!(post(nginx.addr(), body, SWISS), expected, "{body}");
    let explained = explain(scratch, body, SWISS, &[]);
    assert_eq!(explained.lines().last(), Some(expected), "{explained}");
}

#[test]
fn the_forks_own_rules_are_answered_as_the_fork_does() {
    let scratch = Scratch::new();
    let running = with_config(&scratch, FORK).start();
    let nginx = Nginx::shipped(&scratch, running.addr());
    let (all, first, second) = (
        [true, true, true],
        [true, false, false],
        [true, true, false],
    );
    for (body, marks) in [
        (rancher_desktop("0.9.0", "darwin-x64", "12.0.3"), first),
        (rancher_desktop("v3.1.0", "darwin-arm64", "12.0.3"), second),
        (rancher_desktop("3.1.0", "win32-x64", "10.0.19044"), all),
        (rancher_desktop("1.5.0", "darwin-x64", "12.0.3"), all),
        (rancher_desktop("0.9.0", "linux-x64", "5.15.0"), all),
        // A missing or invalid value does not hold a version back.
        (r#"{"appVersion":"0.9.0"}"#.to_owned(), all),
        (rancher_desktop("0.9.0", "darwin", "12.0.3"), all),
        (rancher_desktop("0.9.0", "darwin-x64-more", "12.0.3"), all),
        (rancher_desktop("0.9.0", "darwin-mips", "12.0.3"), all),
        (rancher_desktop("0.9.0", "darwin-x64", ""), all),
        (rancher_desktop("0.9.0", "darwin-x64", "Monterey"), all),
        (rancher_desktop("mine", "darwin-x64", "12.0.3"), all),
        (rancher_desktop("0.9.0-rc.1", "darwin-x64", "12.0.3"), all),
    ] {
        check(&scratch, &nginx, &body, &marked(FORK, &marks));
    }
    // `extraTagInfo` wins over the deprecated `extraInfo`.
    let both = r#"{"appVersion":"0.9.0","extraInfo":{"platform":"linux-x64","platformVersion":"1"},"extraTagInfo":{"platform":"darwin-x64"}}"#;
    check(&scratch, &nginx, both, &marked(FORK, &first));
}

#[test]
fn rancher_desktops_production_rules_hold_1_17_back_where_it_does_not_run() {
    let scratch = Scratch::new();
    let running = with_config(&scratch, RANCHER_DESKTOP).start();
    let nginx = Nginx::shipped(&scratch, running.addr());
    let (all, held) = ([true, true, true], [true, true, false]);
    for (version, platform, platform_version, marks) in [
        ("1.0.0", "darwin-arm64", "12.7.6", held),
        ("1.16.0", "darwin-x64", "12.7.6", all),
        ("1.16.0", "darwin-arm64", "13.0.0", all),
        ("1.11.1", "darwin-x64", "11.7.10", held),
        ("1.17.0", "darwin-arm64", "12.7.6", all),
        ("1.16.0", "win32-x64", "10.0.19045", all),
    ] {
        let body = rancher_desktop(version, platform, platform_version);
        check(&scratch, &nginx, &body, &marked(RANCHER_DESKTOP, &marks));
    }
}

const VERSIONS: &str = r#""versions":[
    {"name":"v1.0.0","releaseDate":"2024-01-10T00:00:00Z","tags":["stable"]},
    {"name":"v1.1.0","releaseDate":"2024-06-20T00:00:00Z","tags":["latest"],"note":"a \u00e9"}]"#;

fn config(rules: &str) -> String {
    format!("{{\"rules\":[{rules}],{VERSIONS}}}")
}

/// The time at which the current config was loaded, from the answer.
fn config_time(running: &Running) -> jiff::Timestamp {
    let answer = running.connect().post_checkin("{}", &[]).unwrap();
    answer
        .headers
        .get("X-Config-Time")
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn answers_metrics_and_log_show_the_rules_in_use() {
    let scratch = Scratch::new();
    let before = jiff::Timestamp::now();
    let metrics_at = Address::local(free_port());
    let rule = |name: &str, versions: &str| {
        format!(r#"{{"Name":"{name}","Criteria":{{}},"Constraints":{{"Version":"{versions}"}}}}"#)
    };
    let server = with_config(&scratch, &config(&rule("brake \\\"1\\\"", "<1.1.0")));
    let server = server.arg("--metrics-listen", metrics_at.to_string());
    let mut running = server.arg("--reload-interval", "0").start();
    let first = config_time(&running);
    // The shipped nginx site passes the header on.
    let nginx = Nginx::shipped(&scratch, running.addr());
    let proxied = Connection::open(nginx.addr())
        .unwrap()
        .post_checkin("{}", &[])
        .unwrap();
    assert_eq!(
        proxied.headers.get("X-Config-Time"),
        Some(&*format!("{first:.3}"))
    );
    assert!(
        first.duration_since(before).as_secs_f64() > -0.002,
        "{first} {before}"
    );
    assert_eq!(config_time(&running), first);
    let name = r#"rule_decided_total{rule="1",name="brake \"1\""}"#;
    assert_eq!(metrics::value(&metrics_at, name), 3);
    let refused = running.connect().post_checkin("{", &[]).unwrap();
    assert_eq!(
        (refused.status, metrics::value(&metrics_at, name)),
        (400, 3)
    );

    let rules = [rule("brake \\\"1\\\"", "<1.0.0"), rule("new", "*")].join(",");
    fs::write(scratch.join("response-config.json"), config(&rules)).unwrap();
    running.signal(Signal::HUP);
    wait_for(NOTICED, "the new config", || config_time(&running) > first);
    wait_for(NOTICED, "the line in the log", || {
        running
            .log()
            .contains(r#"rule 1 "brake \"1\"" changed (for every client only versions "<1.0.0""#)
    });
    assert!(
        running.log().contains(r#"rule 2 "new" added"#),
        "{}",
        running.log()
    );
    // A changed rule of the same name keeps its count.
    assert!(metrics::value(&metrics_at, name) > 3);
    let page = metrics::page(&metrics_at);
    let second = r#"upgrade_responder_rule_decided_total{rule="2",name="new"} 0"#;
    assert!(page.contains(second), "{page}");

    fs::write(scratch.join("response-config.json"), config("")).unwrap();
    running.signal(Signal::HUP);
    wait_for(NOTICED, "the line in the log", || {
        running.log().contains(r#"rule 2 "new" removed"#)
    });
    assert!(!metrics::page(&metrics_at).contains("rule_decided_total"));
}

#[test]
fn explain_shows_why_and_what_another_config_changes() {
    let scratch = Scratch::new();
    scratch.write("response-config.json", FORK);
    crate::support::geodb::sample(&scratch);
    let other = FORK.replace("<4.0.0", "<2.0.0");
    let other = scratch.write("other.json", other);
    let body = rancher_desktop("3.1.0", "darwin-x64", "12.0.3");
    let more = ["--against", other.to_str().unwrap()];
    let text = explain(&scratch, &body, SWISS, &more);
    for line in [
        "rule 1 does not fit: for clients with AppVersion \"<1.0.0\" and ",
        "  fails: AppVersion \"<1.0.0\", found \"3.1.0\"\n",
        "  holds: Platform \"darwin\", found \"darwin\"\n",
        "rule 2 fits and decides: ",
        "change: \"v2.3.4\" is unsupported, was supported\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.contains(&marked(FORK, &[true, true, false]).as_str()),
        "{text}"
    );
    assert_eq!(
        lines.last(),
        Some(&marked(FORK, &[true, false, false]).as_str())
    );
    let same = ["--against", "response-config.json"];
    let path = scratch.join(same[1]);
    let text = explain(&scratch, &body, SWISS, &[same[0], path.to_str().unwrap()]);
    assert!(text.contains("changes nothing for this client\n"), "{text}");
}

#[test]
fn explain_names_input_that_it_cannot_use() {
    let scratch = Scratch::new();
    let config = scratch.write("c.json", FORK);
    let (config, bad) = (config.to_str().unwrap(), scratch.write("bad.json", "{"));
    let run = |more: &[&str]| {
        let always = [
            "explain",
            "--settings",
            "/dev/null",
            "--upgrade-response-config",
        ];
        server::run(&scratch, &[&always, more].concat())
    };
    let nothing = scratch.join("nothing.json");
    let (bad, nothing) = (bad.to_str().unwrap(), nothing.to_str().unwrap());
    for (more, code, text) in [
        (&[config][..], 2, "--request is required by 'explain'"),
        (
            &[config, "--request", bad, "--forwarded-for", "here"],
            2,
            "--forwarded-for: found \"here\"",
        ),
        (
            &[config, "--request", nothing],
            1,
            "nothing.json: No such file",
        ),
        (
            &[config, "--request", bad],
            1,
            "the server answers 400: the body ends too early",
        ),
        (&[bad, "--request", bad], 78, "--upgrade-response-config"),
        (
            &[config, "--request", bad, "--against", bad],
            78,
            "--against",
        ),
    ] {
        let ended = run(more);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(code), ""),
            "{more:?}"
        );
        assert!(
            ended.stderr.contains(text),
            "{text:?} is not in {}",
            ended.stderr
        );
    }
}
