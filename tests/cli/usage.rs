//! Errors in the command line. If these tests failed, a wrong flag or value would be ignored, or its message would not
//! name the flag, the value and what is expected.

use std::fs;

use super::{assert_one_line, checked};
use crate::support::scratch::Scratch;
use crate::support::server::{self, Server};

#[test]
fn usage_errors_are_one_line_with_the_flag_and_what_is_expected() {
    let scratch = Scratch::new();
    #[rustfmt::skip]
    let rows: &[(&[&str], &[&str])] = &[
        (&[], &["'start'", "--help"]),
        (&["stop"], &["\"stop\"", "'start'"]),
        (&["start", "stop"], &["\"stop\""]),
        (&["start", "--prot", "80"], &["\"--prot\"", "--help"]),
        (&["start", "--port"], &["--port needs a value"]),
        (&["start", "--port", "--debug"], &["--port needs a value"]),
        (&["start"], &["--upgrade-response-config", "UPGRADE_RESPONSE_CONFIG"]),
        (&["start", "--upgrade-response-config", "x"], &["--application-name", "APPLICATION_NAME"]),
    ];
    for (arguments, pieces) in rows {
        let ended = server::run(&scratch, arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert_one_line(&ended.stderr, pieces);
    }
}

#[test]
fn invalid_values_are_one_line_with_the_flag_the_value_and_what_is_expected() {
    let scratch = Scratch::new();
    #[rustfmt::skip]
    let rows = [
        ("--port", "0", "from 1 to 65535"),
        ("--port", "http", "from 1 to 65535"),
        ("--listen", "localhost:80", "127.0.0.1:8314"),
        ("--listen", "unix:relative", "absolute path"),
        ("--application-name", "a/b", "slashes"),
        ("--application-name", "", "1 to 100 bytes"),
        ("--query-period", "59s", "1m"),
        ("--query-period", "1 hour", "1h30m"),
        ("--trusted-proxies", "10.0.0.0/8,10.0.0.0/99", "\"10.0.0.0/99\" is not a network"),
        ("--down-sample-tags", "hostArch", "snake case"),
        ("--down-sample-tags", "host_arch,app_version", "\"app_version\" is a reserved name"),
        ("--down-sample-tags", "time", "city or country"),
        ("--down-sample-tags", "country_code", "city or country"),
        ("--keep-periods", "23h", "at least 1d"),
        ("--keep-periods", "92", "30d, 12h or 1d12h"),
        ("--max-connections", "0", "from 1 to"),
        ("--client-timeout", "75", "duration"),
        ("--client-timeout", "0s", "from 1s to 1h"),
        ("--cache-sync-interval", "0", "seconds"),
        ("--cache-sync-interval", "1s", "seconds"),
        ("--cache-size", "-1", "number of points"),
        ("--influxdb-url", "localhost:8086", "http://localhost:8086"),
        ("--influxdb-url", "ftp://localhost", "http://localhost:8086"),
    ];
    for (flag, value, expected) in rows {
        let server = Server::new(&scratch);
        // --listen takes precedence over --port.
        let server = if flag == "--port" {
            server.without("--listen")
        } else {
            server
        };
        let ended = server.arg(flag, value).expect_exit(2);
        // The message does not repeat a URL, which may contain a password.
        let shown = if flag == "--influxdb-url" { "" } else { value };
        assert_one_line(&ended.stderr, &[flag, shown, expected]);
    }
    let places = ["--down-sample-tags", "city,country,host_arch"];
    assert!(checked(&scratch, &[], &places).contains("good"));
    let from_variable = Server::new(&scratch).without("--query-period");
    let ended = from_variable.env("QUERY_PERIOD", "soon").expect_exit(2);
    assert_one_line(&ended.stderr, &["QUERY_PERIOD", "\"soon\"", "1h30m"]);
    let with_password = Server::new(&scratch).arg("--influxdb-url", "http://u:secret@");
    assert!(!with_password.expect_exit(2).stderr.contains("secret"));
    let switch = Server::new(&scratch).switch("--debug=maybe").expect_exit(2);
    assert_one_line(&switch.stderr, &["--debug", "\"maybe\"", "true or false"]);
}

#[test]
fn report_checks_its_own_flags_and_needs_a_state_directory() {
    let scratch = Scratch::new();
    #[rustfmt::skip]
    let rows: &[(&[&str], i32, &[&str])] = &[
        (&["--by", "hostArch"], 2, &["--by", "\"hostArch\"", "snake case"]),
        (&["--last", "30"], 2, &["--last", "\"30\"", "30d, 12h or 1d12h"]),
        (&["--last", "30s"], 2, &["--last", "at least 1m"]),
        (&["--from", "yesterday"], 2, &["--from", "2024-05-31T12:00:00Z, or a date"]),
        (&["--to", "9999-12-31T23:59:59Z"], 2, &["--to", "or a date, up to 9999-12-30"]),
        (&["--from", "2026-11-23", "--to", "2026-11-23T00:00:00Z"], 2, &["--from", "before --to"]),
        (&["--from", "2026-11-23", "--last", "1d"], 2, &["--from and --last exclude each other"]),
        (&["--every", "90m"], 2, &["--every", "1d or 7d"]),
        (&["--every", "0d"], 2, &["--every", "1d or 7d"]),
        (&["--format", "xml"], 2, &["--format", "text, csv or json"]),
        (&["--online"], 2, &["--online is a flag of the command 'check-config'"]),
        (&[], 78, &["--state-dir ./upgrade-responder-data", "start the server"]),
        (&["--state-dir", "empty"], 78, &["--state-dir empty", "no server has run"]),
        (&["--state-dir", "one", "--application-name", "a/b"], 2, &["slashes"]),
        (&["--state-dir", "one", "--application-name", "c"], 78, &["no such application", "expected \"a\""]),
        (&["--state-dir", "two"], 2, &["--application-name", "\"a\" or \"b\""]),
    ];
    for folder in [
        "empty",
        "one/a/spool",
        "one/file",
        "two/a/spool",
        "two/b/spool",
    ] {
        fs::create_dir_all(scratch.join(folder)).unwrap();
    }
    for (flags, code, pieces) in rows {
        let ended = server::run(&scratch, &[&["report"], *flags].concat());
        assert_eq!(ended.code, Some(*code), "{flags:?}: {}", ended.stderr);
        assert_one_line(&ended.stderr, pieces);
    }
    for flag in ["--by", "--last", "--from", "--to", "--every"] {
        let ended = server::run(&scratch, &["check-config", flag, "x"]);
        let message = format!("{flag} is a flag of the command 'report'");
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert_one_line(&ended.stderr, &[&message]);
    }
}
