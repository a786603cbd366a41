//! The settings in the environment file, the manual and the help. If these tests fail, an operator reads about a flag
//! that does not exist or a wrong default, or the configuration that the package installs is not valid.

use std::collections::BTreeMap;
use std::process::Command;

use super::{ROOT, output, read, shipped};
use crate::support::scratch::Scratch;
use crate::support::server::{self, Server};

/// A flag in the output of `--help`.
struct Flag {
    name: String,
    variable: Option<String>,
    default: Option<String>,
}

#[track_caller]
fn flags() -> Vec<Flag> {
    let scratch = Scratch::new();
    let help = server::run(&scratch, &["--help"]).stdout;
    let mut flags: Vec<Flag> = Vec::new();
    for line in help.lines() {
        let text = line.trim_start();
        if text.starts_with("--") {
            let name = text.split(' ').next().unwrap_or_default();
            let variable = text.split_once('[').and_then(|(_, v)| v.strip_suffix(']'));
            flags.push(Flag {
                name: name.to_owned(),
                variable: variable.map(str::to_owned),
                default: None,
            });
        } else if let Some(default) = text.strip_prefix("default: ") {
            flags.last_mut().unwrap().default = Some(default.to_owned());
        }
    }
    assert!(flags.len() > 20, "too few flags found in:\n{help}");
    flags
}

/// The variables in the environment file: whether each is set (not commented out), and its value.
fn settings() -> BTreeMap<String, (bool, String)> {
    let text = read("packaging/upgrade-responder.env");
    let lines = text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let (set, name) = match name.strip_prefix('#') {
            Some(name) => (false, name),
            None => (true, name),
        };
        let is_name = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        is_name.then(|| (name.to_owned(), (set, value.to_owned())))
    });
    lines.collect()
}

#[test]
fn the_environment_file_has_every_variable_with_its_default_and_no_other() {
    let mut settings = settings();
    for flag in flags() {
        let Some(variable) = flag.variable else {
            continue;
        };
        let Some((set, value)) = settings.remove(&variable) else {
            panic!("{variable} is not in upgrade-responder.env");
        };
        if let Some(default) = flag.default {
            assert_eq!((set, value), (false, default), "{variable}");
        }
    }
    assert!(
        settings.is_empty(),
        "variables without a flag: {settings:?}"
    );
}

#[test]
fn the_manual_has_every_flag_variable_and_default() {
    let manual = read("packaging/man/upgrade-responder.1");
    // Each entry ends where the next one begins.
    let entries: Vec<&str> = manual.split("\n.It ").collect();
    for flag in flags() {
        let name = flag.name.strip_prefix('-').unwrap();
        let entry = entries.iter().find(|entry| {
            let head = entry.lines().next().unwrap_or_default();
            head.split(' ').any(|word| word == name)
        });
        let entry = entry.unwrap_or_else(|| panic!("{} is not in the manual", flag.name));
        if let Some(variable) = flag.variable {
            let bracketed = format!("Bq Ev {variable}");
            assert!(entry.contains(&bracketed), "{bracketed}: {entry}");
        }
        if let Some(default) = flag.default {
            let default_text = entry.split_once("The default is").map(|(_, text)| text);
            let mut words = default_text.unwrap_or_default().split_whitespace();
            // The first word that is not a macro, without the full stop.
            let word = words
                .find(|word| !word.starts_with('.'))
                .unwrap_or_default();
            assert_eq!(word.trim_end_matches('.'), default, "{entry}");
        }
    }
}

#[test]
fn the_manual_has_no_mistakes() {
    for page in ["upgrade-responder.1", "upgrade-responder.5"] {
        let page = shipped("packaging/man").join(page);
        // At the level "style", mandoc reports that the pages themselves are not installed.
        let lint = output(
            Command::new("mandoc")
                .args(["-T", "lint", "-W", "warning"])
                .arg(page),
        );
        assert!(lint.stdout.is_empty(), "{lint:?}");
    }
}

#[test]
fn the_shipped_configuration_passes_the_check() {
    let scratch = Scratch::new();
    let settings = settings();
    // The settings of the installed service, with the files from the repository.
    let mut checked = Server::new(&scratch).without("--geodb");
    for flag in flags() {
        if let Some((true, value)) = flag.variable.and_then(|name| settings.get(&name)) {
            let value = value.replace("/etc/upgrade-responder/", &format!("{ROOT}/examples/"));
            checked = checked.arg(&flag.name, value);
        }
    }
    let ended = checked.other_command("check-config", &[]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert!(!ended.stdout.contains("warning:"), "{}", ended.stdout);
}
