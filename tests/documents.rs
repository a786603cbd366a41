//! The documents. If these tests failed, readers would find flags that do not exist, dead links, or commands that fail.

mod commands;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CONFIGURATION: &str = include_str!("../docs/configuration.md");
/// Maximum number of lines of the README, and of another document.
const README_LINES: usize = 250;
const DOCUMENT_LINES: usize = 300;

/// The first three cells of a flag's row, without the code marks.
type Row = [String; 3];

#[test]
fn every_flag_is_in_the_table_with_its_variable_and_default() {
    let (in_help, documented) = (in_help(), documented());
    assert!(in_help.len() > 20, "cannot parse the help: {in_help:?}");
    for flag in &in_help {
        let [name, variable, default] = flag;
        let row = documented.iter().find(|row| row[0] == *name);
        let row = row.unwrap_or_else(|| panic!("docs/configuration.md lacks a row for {name:?}"));
        assert_eq!(row[1], *variable, "variable of {name}");
        // If the help names no default, the document may describe it in words.
        assert!(default.is_empty() || row[2] == *default, "default: {row:?}");
    }
    assert_eq!(
        documented.len(),
        in_help.len(),
        "docs/configuration.md has rows for unknown flags"
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All documents of the root folder and of docs/, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let mut documents = Vec::new();
    for folder in [root().to_owned(), root().join("docs")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                documents.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(documents.len() > 15, "documents are missing: {documents:?}");
    documents
}

/// The anchor of a heading, as it is used in links.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(anchor).collect()
}

/// The targets of the links of a document, without those to other sites.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let ends = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next());
    ends.filter(|end| !end.starts_with("http"))
}

#[test]
fn every_link_has_a_file_and_a_heading() {
    for (path, text) in documents() {
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            assert!(target.exists(), "{}: {link}: no such file", path.display());
            if !heading.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(
                    there.contains(heading),
                    "{}: {link}: no such heading among {there:?}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_readme_is_short_and_links_to_every_document() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let linked: BTreeSet<&str> = links(&readme).collect();
    for (path, text) in documents() {
        let lines = text.lines().count();
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        match name.as_str() {
            "README.md" => assert!(lines <= README_LINES, "{lines} lines"),
            // The changelog grows with each release.
            "CHANGELOG.md" => {}
            _ => assert!(lines <= DOCUMENT_LINES, "{name}: {lines} lines"),
        }
        assert!(
            name == "README.md" || linked.contains(name.as_str()),
            "no link to {name}"
        );
    }
}

#[test]
fn every_flag_that_a_document_names_exists() {
    let help = Command::new(env!("CARGO_BIN_EXE_upgrade-responder"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let known = |flag: &str| {
        help.contains(&format!("{flag} "))
            || help.contains(&format!("{flag}\n"))
            || help.contains(&format!("{flag}]"))
    };
    for (path, text) in documents() {
        // These may name flags that do not exist any more.
        if path.ends_with("CHANGELOG.md") || path.ends_with("CONTRIBUTING.md") {
            continue;
        }
        for named in text.split("`--").skip(1) {
            let flag: String = named
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                .collect();
            // The spelling of flags is explained with an invented one.
            let is_example = flag == "flag";
            assert!(
                is_example || known(&format!("--{flag}")),
                "{}: --{flag}",
                path.display()
            );
        }
    }
}

/// The flags in the help. Each has a line such as `  --port PORT [PORT]`, and may have a line `default: 8314`.
fn in_help() -> Vec<Row> {
    let output = Command::new(env!("CARGO_BIN_EXE_upgrade-responder"))
        .arg("--help")
        .output()
        .unwrap();
    let mut flags: Vec<Row> = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if line.starts_with("  --") {
            let (name, rest) = line.trim().split_once(' ').unwrap();
            let (metavar, rest) = rest.split_once(['[', '(']).unwrap();
            let variable = rest.strip_suffix(']').unwrap_or_default();
            let name = format!("{name} {metavar}").trim().to_owned();
            flags.push([name, variable.to_owned(), String::new()]);
        } else if let Some(default) = line.trim().strip_prefix("default: ") {
            flags.last_mut().unwrap()[2] = default.to_owned();
        }
    }
    flags
}

/// The flags in the table of docs/configuration.md.
fn documented() -> Vec<Row> {
    let rows = CONFIGURATION
        .lines()
        .filter(|line| line.starts_with("| `--"));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|');
        [(); 3].map(|()| cells.next().unwrap_or_default().trim().replace('`', ""))
    })
    .collect()
}
