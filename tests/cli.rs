//! The command line as operators of the original type it, and what they read when it is wrong.

use std::fs;

use crate::support::client::{Address, Connection};
use crate::support::scratch::{Scratch, free_port};
use crate::support::server::{self, APPLICATION, DATABASE, Server};
use crate::support::wait_for;

/// All the flags of the original and the new ones, each with its environment variable.
const FLAGS: &[&str] = &[
    "--upgrade-response-config",
    "--request-schema",
    "--application-name",
    "--geodb",
    "--influxdb-url",
    "--influxdb-user",
    "--influxdb-pass",
    "--influxdb-pass-file",
    "--influxdb-ca-file",
    "--influxdb-insecure-tls",
    "--query-period",
    "--port",
    "--listen",
    "--trusted-proxies",
    "--state-dir",
    "--max-connections",
    "--client-timeout",
    "--keep-periods",
    "--cache-sync-interval",
    "--cache-size",
    "--scarf-endpoint",
    "--scarf-timeout",
    "--debug",
];

#[test]
fn help_names_every_flag_with_its_variable_and_default() {
    let scratch = Scratch::new();
    let help = server::run(&scratch, &["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for flag in FLAGS {
        let variable = flag[2..].replace('-', "_").to_uppercase();
        let line = help.stdout.lines().find(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(flag) && line.ends_with(&format!("[{variable}]"))
        });
        assert!(line.is_some(), "{flag} [{variable}]:\n{}", help.stdout);
    }
    for default in ["1h", "8314", "1", "5000", "1024", "75s"] {
        let line = format!("default: {default}\n");
        assert!(help.stdout.contains(&line), "{default}:\n{}", help.stdout);
    }
    // Why the default of --cache-size is not the original's.
    assert!(
        help.stdout.contains("the original's 100"),
        "{}",
        help.stdout
    );
    for other in [&["help"][..], &["-h"], &["start", "--help"], &["-help"]] {
        let same = server::run(&scratch, other);
        assert_eq!((same.code, same.stdout), (Some(0), help.stdout.clone()));
    }
}

#[test]
fn version_is_the_packages() {
    let scratch = Scratch::new();
    let version = server::run(&scratch, &["--version"]);
    let expected = concat!("upgrade-responder ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((version.code, version.stdout.as_str()), (Some(0), expected));
}

#[test]
fn wrong_usage_is_one_line_that_names_the_flag_and_what_is_expected() {
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
fn wrong_value_is_one_line_that_names_flag_value_and_what_is_expected() {
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
        // --listen would win over --port.
        let server = if flag == "--port" {
            server.without("--listen")
        } else {
            server
        };
        let ended = server.arg(flag, value).expect_exit(2);
        // A URL may hold a password.
        let found = if flag == "--influxdb-url" { "" } else { value };
        assert_one_line(&ended.stderr, &[flag, found, expected]);
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
fn report_takes_flags_of_its_own_and_needs_a_state_directory() {
    let scratch = Scratch::new();
    #[rustfmt::skip]
    let rows: &[(&[&str], i32, &[&str])] = &[
        (&["--by", "hostArch"], 2, &["--by", "\"hostArch\"", "snake case"]),
        (&["--last", "30"], 2, &["--last", "\"30\"", "30d, 12h or 1d12h"]),
        (&["--last", "30s"], 2, &["--last", "at least 1m"]),
        (&["--from", "yesterday"], 2, &["--from", "2024-05-31T12:00:00Z, or a date"]),
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
        let said = format!("{flag} is a flag of the command 'report'");
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert_one_line(&ended.stderr, &[&said]);
    }
}

#[track_caller]
fn assert_one_line(stderr: &str, pieces: &[&str]) {
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("upgrade-responder: "), "{stderr}");
    assert!(stderr.matches("expected").count() <= 1, "{stderr}");
    for piece in pieces {
        assert!(stderr.contains(piece), "{piece:?} is not in: {stderr}");
    }
}

/// What `check-config` says, which stands for what `start` would do.
fn checked(scratch: &Scratch, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let config = scratch.write("response-config.json", server::RESPONSE_CONFIG);
    let config = config.to_str().unwrap();
    let mut command = vec!["check-config", "--application-name", APPLICATION];
    command.extend(["--upgrade-response-config", config]);
    command.extend(arguments);
    let ended = server::run_with(scratch, environment, &command);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended.stdout
}

#[test]
fn switch_that_is_turned_off_by_flag_is_off() {
    let scratch = Scratch::new();
    let url = ["--influxdb-url", "https://localhost:8086"];
    let warned = |environment: &[(&str, &str)], switches: &[&str]| {
        checked(&scratch, environment, &[&url, switches].concat()).contains("is not verified")
    };
    let variable = [("INFLUXDB_INSECURE_TLS", "true")];
    assert!(warned(&variable, &[]));
    assert!(!warned(&variable, &["--influxdb-insecure-tls=false"]));
    assert!(!warned(
        &[],
        &["--influxdb-insecure-tls", "--influxdb-insecure-tls=false"]
    ));
    assert!(warned(
        &[],
        &["--influxdb-insecure-tls=false", "--influxdb-insecure-tls"]
    ));
}

#[test]
fn port_given_as_a_flag_wins_over_listen_in_the_environment() {
    let scratch = Scratch::new();
    let listen = [("LISTEN", "127.0.0.1:1111")];
    assert!(checked(&scratch, &listen, &["--port", "2222"]).contains("0.0.0.0:2222"));
    assert!(checked(&scratch, &listen, &[]).contains("127.0.0.1:1111"));
    let both = ["--port", "2222", "--listen", "127.0.0.1:3333"];
    assert!(checked(&scratch, &[], &both).contains("127.0.0.1:3333"));
}

#[test]
fn password_file_given_as_a_flag_wins_over_a_password_in_the_environment() {
    let scratch = Scratch::new();
    let config = scratch.write("response-config.json", server::RESPONSE_CONFIG);
    // A file that is read cannot be missing.
    let reads_file = |environment: &[(&str, &str)], more: &[&str]| {
        let mut command = vec!["check-config", "--application-name", APPLICATION];
        command.extend(["--upgrade-response-config", config.to_str().unwrap()]);
        command.extend(["--influxdb-url", "http://me@localhost:8086"]);
        command.extend(more);
        let ended = server::run_with(&scratch, environment, &command);
        ended.stderr.contains("--influxdb-pass-file /missing: ")
    };
    let (text, file) = (
        ("INFLUXDB_PASS", "s3cret"),
        ("INFLUXDB_PASS_FILE", "/missing"),
    );
    assert!(reads_file(&[text], &["--influxdb-pass-file", "/missing"]));
    assert!(!reads_file(&[text, file], &[]));
    assert!(!reads_file(&[file], &["--influxdb-pass", "s3cret"]));
    let both = [
        "--influxdb-pass-file",
        "/missing",
        "--influxdb-pass",
        "s3cret",
    ];
    assert!(!reads_file(&[], &both));
    assert!(reads_file(&[file], &[]));
}

#[test]
fn secrets_are_not_repeated_and_a_useless_password_is_said() {
    let scratch = Scratch::new();
    let misspelt = server::run(&scratch, &["start", "--influxdb-pas=s3cret"]);
    assert_one_line(&misspelt.stderr, &["\"--influxdb-pas\""]);
    assert!(!misspelt.stderr.contains("s3cret"), "{}", misspelt.stderr);
    let url = [
        "--influxdb-url",
        "http://localhost:8086",
        "--influxdb-pass",
        "s3cret",
    ];
    let report = checked(&scratch, &[], &url);
    assert!(
        report.contains("password without --influxdb-user"),
        "{report}"
    );
    assert!(!report.contains("s3cret"), "{report}");
    let url = [
        "--influxdb-url",
        "http://me@localhost:8086",
        "--influxdb-pass=--debug",
    ];
    let ended = server::run(&scratch, &[&["start"][..], &url].concat());
    assert_one_line(&ended.stderr, &["--influxdb-pass", "the name of a flag"]);
}

#[test]
fn log_says_at_start_whose_name_influxdb_is_told() {
    let scratch = Scratch::new();
    let port = free_port();
    for (userinfo, user, said) in [
        ("", None, ", no user,"),
        ("adm:hunter2@", None, ", user from the URL,"),
        ("adm:hunter2@", Some("responder"), ", user \"responder\","),
    ] {
        let url = format!("http://{userinfo}127.0.0.1:{port}");
        let server = Server::new(&scratch).arg("--influxdb-url", url);
        let server = user
            .into_iter()
            .fold(server, |server, user| server.arg("--influxdb-user", user));
        let log = server.start().terminate().stderr;
        let start = format!("InfluxDB http://127.0.0.1:{port}{said}");
        assert!(log.contains(&start), "{log}");
        assert!(!log.contains("adm") && !log.contains("hunter2"), "{log}");
    }
}

#[test]
fn environment_alone_is_enough_and_an_empty_variable_is_an_unset_one() {
    let scratch = Scratch::new();
    Server::new(&scratch); // For the response config.
    let server = Server::new(&scratch);
    let names = [
        "--upgrade-response-config",
        "--application-name",
        "--geodb",
        "--listen",
        "--state-dir",
    ];
    let server = names.into_iter().fold(server, Server::without);
    let server = server
        .env(
            "UPGRADE_RESPONSE_CONFIG",
            scratch.join("response-config.json"),
        )
        .env("APPLICATION_NAME", "from-environment")
        .env("STATE_DIR", scratch.join("state"))
        .env("PORT", free_port().to_string())
        .env("QUERY_PERIOD", "")
        .env("GEODB", "")
        .env("DEBUG", "false");
    let running = server.start();
    let answer = running.connect().post_checkin("{}", &[]).unwrap();
    assert_eq!(answer.json()["requestIntervalInMinutes"], 60);
    let log = running.terminate().stderr;
    assert!(
        log.contains("database \"from-environment_upgrade_responder\""),
        "{log}"
    );
    assert_eq!(log.matches("no --geodb").count(), 1, "{log}");
}

#[test]
fn flags_are_taken_in_all_spellings_and_the_last_one_wins() {
    let scratch = Scratch::new();
    let port = free_port();
    let server = Server::new(&scratch).without("--listen");
    let server = server.switch("-d").switch("--query-period=2h");
    let server = server
        .env("QUERY_PERIOD", "3h")
        .env("PORT", "1")
        .arg("-port", port.to_string())
        .arg("-query-period", "4h")
        .switch("-query-period=5h")
        .switch("--scarf-endpoint=https://scarf.example.com/{version}")
        .arg("-scarf-timeout", "5");
    let running = server.start();
    let mut connection = Connection::open(&Address::local(port)).unwrap();
    let answer = connection.post_checkin("{}", &[]).unwrap();
    assert_eq!(answer.json()["requestIntervalInMinutes"], 300);
    let log = running.terminate().stderr;
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("--scarf-endpoint"), "{log}");
    // The flag of the original stands before the command.
    let before = [
        "--debug",
        "start",
        "--application-name",
        "x",
        "--upgrade-response-config",
        "/x",
    ];
    assert_eq!(server::run(&scratch, &before).code, Some(78));
    let before = [
        "-d",
        "start",
        "-application-name=x",
        "-upgrade-response-config=/x",
    ];
    assert_eq!(server::run(&scratch, &before).code, Some(78));
}

#[test]
fn ready_is_said_with_address_application_database_and_versions() {
    let scratch = Scratch::new();
    let running = Server::new(&scratch).start();
    let log = running.log();
    let ready = log.lines().find(|line| line.contains("ready on")).unwrap();
    let address = running.addr().to_string();
    for piece in [
        &address,
        APPLICATION,
        DATABASE,
        "2 versions",
        "latest \"v1.1.0\"",
    ] {
        assert!(ready.contains(piece), "{piece:?} is not in: {ready}");
    }
}

#[test]
fn state_lies_in_systemds_directory_or_where_the_server_is_started() {
    let scratch = Scratch::new();
    let server = Server::new(&scratch).without("--state-dir");
    let state = scratch.join("state");
    let in_state = server.clone().env("STATE_DIRECTORY", &state).start();
    assert_eq!(in_state.terminate().code, Some(0));
    assert!(state.join(APPLICATION).join("spool").is_dir());
    let running = server.start();
    running.connect().post_checkin("{}", &[]).unwrap();
    let folder = scratch.join("upgrade-responder-data/myapp/spool");
    wait_for(std::time::Duration::from_secs(10), "a segment", || {
        let entries = fs::read_dir(&folder).unwrap();
        entries.count() > 1
    });
}
