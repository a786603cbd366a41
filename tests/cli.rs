//! The command line. If it failed, flags and environment variables that work with the original would not work here, or
//! operators would not find out which flag is wrong.

mod log;
mod precedence;
mod usage;

use crate::support::scratch::Scratch;
use crate::support::server::{self, APPLICATION};

/// Requires one line of stderr with these texts, and "expected" in it at most once.
#[track_caller]
fn assert_one_line(stderr: &str, pieces: &[&str]) {
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("upgrade-responder: "), "{stderr}");
    assert!(stderr.matches("expected").count() <= 1, "{stderr}");
    for piece in pieces {
        assert!(stderr.contains(piece), "{piece:?} is not in: {stderr}");
    }
}

/// The output of `check-config` for these settings. `start` reads the same settings in the same way.
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

/// Flags of the original and further ones. Each has an environment variable of the same name.
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
    // The help explains why the default of --cache-size differs from the original.
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
fn version_is_the_one_in_cargo_toml() {
    let scratch = Scratch::new();
    let version = server::run(&scratch, &["--version"]);
    let expected = concat!("upgrade-responder ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((version.code, version.stdout.as_str()), (Some(0), expected));
}
