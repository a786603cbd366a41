//! The settings file of the packaged service, which every command but `start` reads. If these tests fail, `report` or
//! `check-config` uses other settings or another state than the service.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::geteuid;

use crate::support::scratch::Scratch;
use crate::support::server::{self, Ended, Server};

/// Writes a settings file that names a valid response config, and has `more` lines.
fn settings(scratch: &Scratch, more: &str) -> String {
    let config = scratch.write("response-config.json", server::RESPONSE_CONFIG);
    let config = config.to_str().unwrap();
    let text = format!("UPGRADE_RESPONSE_CONFIG={config}\nAPPLICATION_NAME=fromfile\n{more}");
    path(&scratch.write("service.env", text))
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// `check-config` with this settings file.
fn checked(scratch: &Scratch, file: &str, env: &[(&str, &str)], flags: &[&str]) -> Ended {
    let command = [&["check-config", "--settings", file], flags].concat();
    server::run_with(scratch, env, &command)
}

#[track_caller]
fn assert_output(ended: &Ended, code: i32, pieces: &[&str]) {
    let output = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(code), "{output}");
    for piece in pieces {
        assert!(output.contains(piece), "{piece:?} is not in: {output}");
    }
}

#[test]
fn settings_are_read_and_environment_and_flags_win() {
    let scratch = Scratch::new();
    let file = settings(
        &scratch,
        "# PORT=1\nQUERY_PERIOD=\"2h\" # no\nPORT='1234'\n",
    );
    // The rest of the line after a quoted part belongs to the value, as in systemd.
    let wrong = checked(&scratch, &file, &[], &[]);
    let source = format!("QUERY_PERIOD in {file}: found \"2h# no\"");
    assert_output(&wrong, 2, &[&source]);

    let file = settings(&scratch, "QUERY_PERIOD=\"2\\\nh\"\nPORT='1234'\nDEBUG=\n");
    let both = ["query period       2h\n", "0.0.0.0:1234\n"];
    assert_output(&checked(&scratch, &file, &[], &[]), 0, &both);
    let variable = [("QUERY_PERIOD", "3h"), ("PORT", "")];
    let both = ["query period       3h\n", "0.0.0.0:1234\n"];
    assert_output(&checked(&scratch, &file, &variable, &[]), 0, &both);
    let flags = ["--query-period", "4h"];
    let won = checked(&scratch, &file, &variable, &flags);
    assert_output(&won, 0, &["query period       4h\n"]);
    // A port from a stronger source wins over an address from the file.
    let file = settings(&scratch, "LISTEN=127.0.0.1:1\n");
    assert_output(&checked(&scratch, &file, &[], &[]), 0, &["127.0.0.1:1\n"]);
    let port = checked(&scratch, &file, &[("PORT", "4321")], &[]);
    assert_output(&port, 0, &["0.0.0.0:4321\n"]);
}

#[test]
fn the_state_is_that_of_the_service_unless_another_is_set() {
    let scratch = Scratch::new();
    let state = |env: &[(&str, &str)], more: &str, flags: &[&str]| {
        let ended = checked(&scratch, &settings(&scratch, more), env, flags);
        let line = ended.stdout.lines().find(|line| line.starts_with("state "));
        line.unwrap().split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!(state(&[], "", &[]), "/var/lib/upgrade-responder/fromfile");
    assert_eq!(state(&[], "STATE_DIR=/a\n", &[]), "/a/fromfile");
    let systemd = [("STATE_DIRECTORY", "/b")];
    assert_eq!(state(&systemd, "", &[]), "/b/fromfile");
    assert_eq!(state(&systemd, "STATE_DIR=/a\n", &[]), "/a/fromfile");
    let variable = [("STATE_DIR", "/c")];
    assert_eq!(state(&variable, "STATE_DIR=/a\n", &[]), "/c/fromfile");
    let flag = ["--state-dir", "/d"];
    assert_eq!(state(&variable, "STATE_DIR=/a\n", &flag), "/d/fromfile");
}

#[test]
fn an_unusable_settings_file_is_an_error_that_names_the_fix() {
    let scratch = Scratch::new();
    let missing = path(&scratch.join("missing.env"));
    let named = format!("settings file {missing}: No such file");
    let expected = "expected an environment file as systemd reads it";
    for command in ["check-config", "take-over", "report"] {
        let ended = server::run(&scratch, &[command, "--settings", &missing]);
        assert_output(&ended, 78, &[&named, expected]);
    }
    for (name, content, said) in [
        ("latin1", &b"GEODB=/\xe9\n"[..], "\"GEODB\" is not UTF-8"),
        ("nul", b"PORT=1\0", "NUL byte"),
        ("huge", &[b'#'; (1 << 20) + 1], "larger than 1 MiB"),
    ] {
        let file = path(&scratch.write(name, content));
        let ended = checked(&scratch, &file, &[], &[]);
        assert_output(&ended, 78, &[&file, said, expected]);
    }
    let folder = path(scratch.path());
    assert_output(
        &checked(&scratch, &folder, &[], &[]),
        78,
        &[&folder, expected],
    );

    let file = settings(&scratch, "");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let mut unprivileged = Server::new(&scratch);
    if geteuid().is_root() {
        // Root can read every file, unless it drops the capabilities for that.
        let capabilities = "-dac_override,-dac_read_search";
        unprivileged = unprivileged.under(&["setpriv", "--bounding-set", capabilities]);
    }
    let ended = unprivileged.other_command("check-config", &["--settings", &file]);
    let expected = ["Permission denied", "run this as root", "/dev/null"];
    assert_output(&ended, 78, &expected);
    let none = unprivileged.other_command("check-config", &["--settings", "/dev/null"]);
    assert_output(&none, 0, &["good"]);
}

#[test]
fn start_and_help_read_no_settings_file() {
    let scratch = Scratch::new();
    let refused = server::run(&scratch, &["start", "--settings", "/dev/null"]);
    let said = "--settings is a flag of every command but start";
    assert_output(&refused, 2, &[said]);
    let help = server::run(&scratch, &["help", "--settings", "/missing"]);
    assert_output(&help, 0, &["--settings FILE (of every command but start)"]);
}
