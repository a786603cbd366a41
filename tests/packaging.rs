//! The files that the Debian package installs: settings, manual, systemd units and the nginx site. If these tests fail,
//! a fresh installation does not work. `make vm-test` installs the package in a virtual machine and tests the rest.

mod nginx;
mod settings;
mod site;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::scratch::Scratch;
use crate::support::skip;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn shipped(path: &str) -> PathBuf {
    Path::new(ROOT).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(shipped(path)).unwrap()
}

/// Runs a program that must exist, to its end.
#[track_caller]
fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        // Installing it only for this test could replace another init system.
        skip::say("there is no systemd-analyze");
        return;
    }
    let scratch = Scratch::new();
    let program = env!("CARGO_BIN_EXE_upgrade-responder");
    let service = read("systemd/upgrade-responder.service");
    let service = scratch.write(
        "upgrade-responder.service",
        service.replace("/usr/bin/upgrade-responder", program),
    );
    let socket = scratch.write(
        "upgrade-responder.socket",
        read("systemd/upgrade-responder.socket"),
    );
    let second = ["service", "socket"].map(|kind| {
        let unit = read(&format!("systemd/upgrade-responder@.{kind}"));
        let unit = unit.replace("/usr/bin/upgrade-responder", program);
        scratch.write(&format!("upgrade-responder@.{kind}"), unit);
        scratch.join(&format!("upgrade-responder@harvester.{kind}"))
    });
    let verify = output(
        Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&service)
            .arg(&socket)
            .args(second),
    );
    assert!(verify.status.success(), "{verify:?}");
    assert!(verify.stderr.is_empty(), "{verify:?}");

    let security = output(
        Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--threshold=15"])
            .arg(&service),
    );
    assert!(security.status.success(), "{security:?}");
}
