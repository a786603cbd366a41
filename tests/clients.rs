//! The Rust client crate, the examples in Python and shell, and the request of the Go package, all through nginx. If these
//! tests failed, applications that use them would not be counted, or would offer the wrong version.

use std::process::Command;
use std::time::Duration;

use upgrade_responder_client::{CheckError, Checker, Decision};

use crate::support::account::spooled;
use crate::support::client::Connection;
use crate::support::nginx::Nginx;
use crate::support::process::Process;
use crate::support::scratch::Scratch;
use crate::support::server::{Ended, RESPONSE_CONFIG, Server};
use crate::support::wait_for;

const LIMIT: Duration = Duration::from_secs(20);

fn checker(nginx: &Nginx, version: &str) -> Checker {
    let checker = Checker::builder(format!("http://{}", nginx.addr()), version);
    let checker = checker.tag("hostArch", "arm64").field("nodeCount", 3);
    checker.build().unwrap()
}

#[test]
fn the_rust_crate_is_recorded_and_decides_by_the_response_config() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).start();
    let nginx = Nginx::shipped(&scratch, server.addr());
    let old = checker(&nginx, "v1.0.0");
    let answer = old.check().unwrap();
    assert_eq!(answer.interval, Duration::from_secs(3600));
    assert!(
        matches!(&answer.decision, Decision::Upgrade { to } if to.name == "v1.1.0"),
        "{answer:?}"
    );
    let step = checker(&nginx, "v0.9.0").check().unwrap();
    assert!(
        matches!(&step.decision, Decision::StepNeeded { first: Some(first), then }
        if first.name == "v1.0.0" && then.name == "v1.1.0"),
        "{step:?}"
    );
    let latest = checker(&nginx, "1.1.0").check().unwrap();
    assert!(
        matches!(latest.decision, Decision::UpToDate { .. }),
        "{latest:?}"
    );
    // Within the interval the crate returns the last answer and sends nothing.
    assert_eq!(old.check().unwrap(), answer);
    let point = "upgrade_request,app_version=v1.0.0,host_arch=arm64 value=1i,node_count=3 ";
    wait_for(LIMIT, "three records", || spooled(&scratch).len() == 3);
    assert!(
        spooled(&scratch)[0].starts_with(point),
        "{:?}",
        spooled(&scratch)
    );
    server.terminate();
}

#[test]
fn the_rust_crate_reads_both_spellings_of_keys_and_the_reason_of_a_rule() {
    let scratch = Scratch::new();
    let spelled = RESPONSE_CONFIG.replace("\"name\"", "\"Name\"");
    let spelled = spelled.replace("\"tags\"", "\"Tags\"");
    let rules = r#"{"Rules": [{"Criteria": {"hostArch": "arm64", "AppVersion": "<1.0.0"},
        "Constraints": {"Version": "<0.1.0"}, "Reason": "too old for arm64"}], "#;
    let server = Server::new(&scratch);
    scratch.write("response-config.json", spelled.replacen('{', rules, 1));
    let server = server.start();
    let nginx = Nginx::shipped(&scratch, server.addr());
    let answer = checker(&nginx, "v1.0.0").check().unwrap();
    assert_eq!(
        answer.decision.latest().map(|latest| latest.name.as_str()),
        Some("v1.1.0"),
        "{answer:?}"
    );
    let held = checker(&nginx, "v0.9.0").check().unwrap();
    let reason = Some("too old for arm64".to_owned());
    assert_eq!(
        held.decision,
        Decision::NoneSupported { reason },
        "{held:?}"
    );
    server.terminate();
}

#[test]
fn a_stopped_server_is_an_error_and_the_next_check_works_after_its_start() {
    let scratch = Scratch::new();
    let command = Server::new(&scratch);
    let nginx = Nginx::shipped(&scratch, &command.address());
    let gone = checker(&nginx, "v1.0.0").check();
    assert!(
        matches!(gone, Err(CheckError::Status { status: 502, .. })),
        "{gone:?}"
    );
    let server = command.start();
    assert!(checker(&nginx, "v1.0.0").check().is_ok());
    server.terminate();
}

/// Runs an example with the server's address.
fn run_example(
    scratch: &Scratch,
    program: &str,
    address: &str,
    environment: &[(&str, &str)],
) -> Ended {
    let mut command = Command::new(format!("{}/examples/{program}", env!("CARGO_MANIFEST_DIR")));
    command
        .args([address, "v1.0.0"])
        .envs(environment.iter().copied());
    let mut process = Process::start(scratch.path(), command);
    let status = process.wait(LIMIT);
    Ended {
        code: status.code(),
        stdout: process.stdout(),
        stderr: process.stderr(),
    }
}

#[test]
fn the_examples_check_in_and_print_the_latest_version() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).start();
    let nginx = Nginx::shipped(&scratch, server.addr());
    let address = format!("http://{}", nginx.addr());
    for (program, output) in [("check-in.sh", "v1.1.0\n"), ("check_in.py", "v1.1.0 60\n")] {
        let ended = run_example(&scratch, program, &address, &[]);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(0), output),
            "{program}: {}",
            ended.stderr
        );
        let silent = run_example(&scratch, program, &address, &[("DO_NOT_TRACK", "1")]);
        assert_eq!(
            (silent.code, silent.stdout.as_str()),
            (Some(0), ""),
            "{program}: {}",
            silent.stderr
        );
    }
    wait_for(LIMIT, "the records", || spooled(&scratch).len() == 2);
    for line in spooled(&scratch) {
        assert!(
            line.starts_with("upgrade_request,app_version=v1.0.0,host_arch="),
            "{line}"
        );
    }
    server.terminate();
}

/// In the form that `encoding/json` and `net/http` produce: `extraInfo` may be null, and the body ends with a newline.
#[test]
fn the_request_of_the_go_package_is_recorded() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).start();
    let nginx = Nginx::shipped(&scratch, server.addr());
    let headers = [
        ("User-Agent", "Go-http-client/1.1"),
        ("Content-Type", "application/json"),
        ("Accept-Encoding", "gzip"),
    ];
    for body in [
        "{\"appVersion\":\"v1.0.0\",\"extraInfo\":{\"kubernetesVersion\":\"v1.31.2\"}}\n",
        "{\"appVersion\":\"v1.0.0\",\"extraInfo\":null}\n",
    ] {
        let mut connection = Connection::open(nginx.addr()).unwrap();
        let answer = connection.post_checkin(body, &headers).unwrap();
        assert_eq!(
            (answer.status, answer.headers.get("Content-Encoding")),
            (200, None)
        );
        assert!(answer.json()["requestIntervalInMinutes"].as_u64() > Some(0));
    }
    wait_for(LIMIT, "the records", || spooled(&scratch).len() == 2);
    server.terminate();
}
