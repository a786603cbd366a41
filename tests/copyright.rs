//! The package's copyright file. If this test failed, the package would lack the licence notice of a crate in the program.
//!
//! `make copyright` creates the file from the output of cargo and the files of the crates. The test fails if the file is
//! out of date.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/copyright");
/// The targets that the package is built for.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

const HEAD: &str = r#"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: upgrade-responder
Comment: Made by "make copyright". After the program's own files come the Rust
 crates that are linked into it, each as NAME-VERSION/*. Where a crate offers
 a choice with Apache-2.0 in it, that one is taken.

Files: *
Copyright: 2026 The Upgrade Responder maintainers
License: Apache-2.0

License: Apache-2.0
 On Debian systems, the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.

Files: rust-std/*
Copyright: The Rust Project Developers
License: Apache-2.0
Comment: Rust's standard library, and the crates that it is made of.
"#;

#[test]
fn it_has_the_notices_of_all_linked_crates() {
    let due = HEAD.to_owned() + &stanzas();
    if std::env::var_os("WRITE_COPYRIGHT").is_some() {
        fs::write(FILE, due).unwrap();
    } else {
        let is = fs::read_to_string(FILE).unwrap();
        // Not assert_eq, which would print both files.
        assert!(is == due, "{FILE} is not current: run make copyright");
    }
}

/// The stanzas. Crates with the same notice share one.
fn stanzas() -> String {
    let mut same: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for linked in linked() {
        let files = format!("{}-{}/*", linked.name, linked.version);
        same.entry(linked.notice()).or_default().push(files);
    }
    let mut stanzas: Vec<String> = same
        .iter()
        .map(|(notice, files)| format!("\nFiles: {}\n{notice}", files.join("\n ")))
        .collect();
    stanzas.sort();
    stanzas.concat()
}

struct Linked {
    name: String,
    version: String,
    licence: String,
    authors: Vec<String>,
    folder: PathBuf,
}

/// The crates in the program, without those that only run at compile time.
fn linked() -> Vec<Linked> {
    let mut tree = vec!["tree", "-e", "normal,no-proc-macro", "--prefix", "none"];
    tree.extend(["-f", "{p} "]);
    tree.extend(TARGETS.iter().flat_map(|target| ["--target", target]));
    let tree = cargo(&tree);
    let names: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .filter_map(|(name, rest)| Some((name, rest.split(' ').next()?)))
        .filter(|(name, _)| *name != env!("CARGO_PKG_NAME"))
        .collect();
    let metadata = cargo(&[
        "metadata",
        "--format-version=1",
        "--filter-platform",
        TARGETS[0],
    ]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let known = packages.iter().map(Linked::of);
    let linked: Vec<Linked> = known
        .filter(|known| names.contains(&(&*known.name, &*known.version)))
        .collect();
    assert!(
        names.len() > 30,
        "cannot parse the output of cargo tree: {tree}"
    );
    assert_eq!(linked.len(), names.len());
    linked
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let said = command.args(arguments).arg("--locked").output().unwrap();
    assert!(said.status.success(), "{said:?}");
    String::from_utf8(said.stdout).unwrap()
}

impl Linked {
    fn of(package: &Value) -> Linked {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let authors = package["authors"].as_array().into_iter().flatten();
        Linked {
            name: text("name"),
            version: text("version"),
            licence: text("license"),
            authors: authors.map(|a| a.as_str().unwrap().to_owned()).collect(),
            folder: Path::new(&text("manifest_path")).parent().unwrap().into(),
        }
    }

    /// The crate's stanza after its first field.
    fn notice(&self) -> String {
        let texts = self.texts();
        let mut holders: BTreeSet<String> = texts
            .values()
            .flat_map(|text| text.lines().filter_map(holder))
            .collect();
        if holders.is_empty() {
            holders.extend(self.authors.iter().cloned());
        }
        if holders.is_empty() {
            holders.insert(format!("The authors of {}", self.name));
        }
        let holders: Vec<String> = holders.into_iter().collect();
        let apache = self.licence.split(" OR ").any(|one| one == "Apache-2.0");
        let licence = match apache {
            true => "Apache-2.0".to_owned(),
            false => self
                .licence
                .replace(" OR ", " or ")
                .replace(" AND ", " and "),
        };
        let mut notice = format!("Copyright: {}\nLicense: {licence}\n", holders.join("\n "));
        // For a crate under the Apache licence, only the texts that are not the offered licences.
        let texts = texts.iter().filter(|(name, _)| !apache || is_more(name));
        let texts: Vec<String> = texts
            .map(|(name, text)| format!(" From {name}:\n .\n{}", indented(&without_apache(text))))
            .collect();
        notice.push_str(&texts.join(" .\n"));
        notice
    }

    /// The licence files of the crate, by path.
    fn texts(&self) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().to_lowercase();
                let starts = ["licen", "copying", "copyright", "notice", "unlicense"];
                if path.is_dir() {
                    folders.push(path);
                } else if starts.iter().any(|start| name.starts_with(start))
                    && path.extension().is_none_or(|extension| extension != "rs")
                {
                    let below = path.strip_prefix(&self.folder).unwrap();
                    let text = fs::read_to_string(&path).unwrap();
                    texts.insert(below.display().to_string(), text);
                }
            }
        }
        texts
    }
}

/// Whether a file contains more than one of the licences that a crate offers.
fn is_more(name: &str) -> bool {
    let name = name.to_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    let choice = ["-mit", "-apache", "-isc", "-zlib", "-apache-2"];
    !["license", "licence", "copying", "copyright", "unlicense"].contains(&stem)
        && !choice.iter().any(|one| stem == format!("license{one}"))
}

/// The holder of a copyright, if the line names one.
fn holder(line: &str) -> Option<String> {
    let line = line.trim_start_matches(['/', '*', '-', ' ']).trim_end();
    let rest = line.strip_prefix("Copyright")?;
    let (sign, rest) = match rest.trim_start().split_once("(c)") {
        Some(("", rest)) => (true, rest.trim_start()),
        _ => (false, rest.trim_start()),
    };
    let is = sign || rest.starts_with(|c: char| c.is_ascii_digit());
    is.then(|| rest.to_owned())
}

/// The text without the Apache licence, which Debian systems have in a file of their own.
fn without_apache(text: &str) -> String {
    let (start, end) = ("Apache License", "END OF TERMS AND CONDITIONS");
    match (text.find(start), text.find(end)) {
        (Some(from), Some(to)) if from < to => format!(
            "{}[here the text of /usr/share/common-licenses/Apache-2.0]{}",
            &text[..from],
            &text[to + end.len()..]
        ),
        _ => text.to_owned(),
    }
}

/// The text as a field of a stanza: lines are indented, and an empty line is a dot.
fn indented(text: &str) -> String {
    let lines = text.trim_matches('\n').lines().map(str::trim_end);
    lines
        .map(|line| match line {
            "" => " .\n".to_owned(),
            line => format!(" {line}\n"),
        })
        .collect()
}
