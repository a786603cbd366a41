//! The layers of `src/`, and circles in the client. A top-level module uses only modules of lower layers, its files have no circular dependencies,
//! and a submodule is public only if another top-level module uses it. If these tests failed, a change in one module
//! could need changes in modules that should not depend on it.
//!
//! A dependency is a path that begins with `crate::`, `super::` or `self::`, in `use` lines and in code. Not counted are
//! comments, test modules, `main.rs`, which may use all modules, and paths from a module to its own submodules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The top-level modules, from the highest layer to the lowest.
const FLOORS: [&str; 15] = [
    "cli", "service", "http", "page", "checkin", "config", "geo", "totals", "delivery", "spool",
    "line", "metrics", "logging", "state", "units",
];
/// Ends of the names of types in `service` that `cli` may use.
const OPTIONS: [&str; 2] = ["Options", "Format"];

/// The path of a module, and its text without comments and tests.
struct Source {
    module: Vec<String>,
    text: String,
}

fn sources() -> Vec<Source> {
    let sources = sources_in("src");
    assert!(sources.len() > 100, "source files are missing");
    sources
}

/// The sources of a crate, from its folder.
fn sources_in(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut sources = Vec::new();
    for path in files(&root) {
        let module = module(path.strip_prefix(&root).unwrap());
        let is_test = module
            .iter()
            .any(|name| name == "tests" || name == "examples");
        if !is_test && !module.is_empty() && module[0] != "main" {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let lines = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            sources.push(Source {
                module,
                text: lines.collect::<Vec<_>>().join("\n"),
            });
        }
    }
    sources
}

/// `totals/format/csv.rs` is `totals::format::csv`, `totals/mod.rs` is `totals`, `lib.rs` is nothing.
fn module(path: &Path) -> Vec<String> {
    let path: PathBuf = path.with_extension("");
    let names = path.iter().map(|name| name.to_string_lossy().into_owned());
    names
        .filter(|name| name != "mod" && name != "lib")
        .collect()
}

/// The modules that a source uses, as full paths.
fn used(source: &Source, modules: &BTreeSet<Vec<String>>) -> BTreeSet<Vec<String>> {
    let mut used = BTreeSet::new();
    for start in ["crate::", "super::", "self::"] {
        for rest in source.text.split(start).skip(1) {
            let mut path = match start {
                "crate::" => Vec::new(),
                "super::" => source.module[..source.module.len() - 1].to_vec(),
                _ => source.module.clone(),
            };
            let mut rest = rest;
            // The split also cuts within `super::super::`, at its second part.
            while let Some((name, after)) = rest.split_once("::").filter(|(name, _)| is_name(name))
            {
                path.push(name.to_owned());
                rest = after;
            }
            for last in names_in(rest) {
                let whole = [path.clone(), vec![last]].concat();
                let mut known = (0..=whole.len()).rev().map(|end| whole[..end].to_vec());
                let known = known.find(|path| modules.contains(path));
                used.extend(known.filter(|module| !module.is_empty() && *module != source.module));
            }
        }
    }
    used
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word)
}

/// `{a, b::C}` has two names, `a;` has one.
fn names_in(rest: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim_start()
            .chars()
            .take_while(|c| is_word(*c))
            .collect::<String>()
    };
    match rest.strip_prefix('{') {
        Some(list) => list
            .split('}')
            .next()
            .unwrap()
            .split(',')
            .map(name)
            .collect(),
        None => vec![name(rest)],
    }
}

#[test]
fn modules_use_only_lower_layers() {
    let sources = sources();
    let modules: BTreeSet<Vec<String>> =
        sources.iter().map(|source| source.module.clone()).collect();
    let floor = |room: &str| {
        FLOORS
            .iter()
            .position(|name| *name == room)
            .unwrap_or_else(|| panic!("module {room} has no layer"))
    };
    let mut arrows: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut climbing = Vec::new();
    for source in &sources {
        let room = source.module[0].as_str();
        for module in used(source, &modules) {
            if module[0] != room {
                *arrows.entry((room, module[0].clone())).or_default() += 1;
                if floor(&module[0]) < floor(room) {
                    climbing.push(format!(
                        "{} -> {}",
                        source.module.join("::"),
                        module.join("::")
                    ));
                }
            }
        }
    }
    for room in FLOORS {
        let below = arrows.iter().filter(|((from, _), _)| *from == room);
        let below: Vec<String> = below
            .map(|((_, to), count)| format!("{to} {count}"))
            .collect();
        println!("{room:8} -> {}", below.join(", "));
    }
    assert!(
        climbing.is_empty(),
        "uses of a higher layer:\n{}",
        climbing.join("\n")
    );
}

/// The command line fills option types and passes them to `main`. It must not use the rest of `service`.
#[test]
fn the_command_line_uses_only_the_options_of_the_service() {
    for source in sources().iter().filter(|source| source.module[0] == "cli") {
        for rest in source.text.split("crate::service::").skip(1) {
            let names = rest.split(';').next().unwrap().rsplit("::").next().unwrap();
            for name in names
                .trim_matches(['{', '}'])
                .split(',')
                .map(str::trim)
                .filter(|name| *name != "self")
            {
                let is_filled = [
                    "Api",
                    "Password",
                    "From",
                    "RequestFrom",
                    "InfluxSource",
                    "Database",
                ]
                .contains(&name)
                    || OPTIONS.iter().any(|end| name.ends_with(end));
                assert!(
                    is_filled,
                    "{}: crate::service::…{name}",
                    source.module.join("::")
                );
            }
        }
    }
}

#[test]
fn files_of_a_module_have_no_circular_dependencies() {
    let same_room = |from: &[String], to: &[String]| from[0] == to[0];
    assert_no_circles(&sources(), same_room);
}

#[test]
fn files_of_the_client_have_no_circular_dependencies() {
    let sources = sources_in("client/src");
    assert!(sources.len() > 5, "source files are missing");
    assert_no_circles(&sources, |_, _| true);
}

/// Fails if modules use each other in a circle of uses that `counts`.
#[track_caller]
fn assert_no_circles(sources: &[Source], counts: impl Fn(&[String], &[String]) -> bool) {
    let modules: BTreeSet<Vec<String>> =
        sources.iter().map(|source| source.module.clone()).collect();
    let mut uses: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for source in sources {
        let within = used(source, &modules).into_iter();
        // A module and its submodules count as one.
        let within = within.filter(|module| {
            counts(&source.module, module)
                && !module.starts_with(&source.module)
                && !source.module.starts_with(module)
        });
        uses.insert(source.module.clone(), within.collect());
    }
    let circles: Vec<String> = modules
        .iter()
        .filter_map(|module| circle(module, &uses))
        .collect();
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

/// The shortest circular dependency of a module.
fn circle(
    module: &Vec<String>,
    uses: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
) -> Option<String> {
    let mut ways = vec![vec![module]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in uses.get(*way.last()?)?.iter() {
                if next == module {
                    let way: Vec<String> = way.iter().map(|module| module.join("::")).collect();
                    return Some(format!("{} -> {}", way.join(" -> "), module.join("::")));
                }
                if seen.insert(next) {
                    longer.push([way.clone(), vec![next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// The compiler finds unused code only in private modules.
#[test]
fn public_submodules_are_used_by_other_modules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<(PathBuf, String)> = ["src", "tests", "benches", "fuzz/fuzz_targets"]
        .iter()
        .flat_map(|folder| files(&root.join(folder)))
        .map(|file| (file.clone(), fs::read_to_string(file).unwrap()))
        .collect();
    let mut idle = Vec::new();
    for room in FLOORS {
        let room_folder = root.join("src").join(room);
        let Ok(text) = fs::read_to_string(room_folder.join("mod.rs")) else {
            continue;
        };
        let public = text
            .lines()
            .filter_map(|line| line.strip_prefix("pub mod "));
        for module in public.filter_map(|line| line.strip_suffix(';')) {
            let is_used = files.iter().any(|(file, text)| {
                !file.starts_with(&room_folder) && uses_module(text, room, module)
            });
            if !is_used {
                idle.push(format!("{room}::{module}"));
            }
        }
    }
    assert!(
        idle.is_empty(),
        "public without a user: {}",
        idle.join(", ")
    );
}

/// Whether a text contains `room::module` or `room::{…, module, …}`.
fn uses_module(text: &str, room: &str, module: &str) -> bool {
    let start = format!("{room}::");
    text.split(&start).skip(1).any(|path| {
        let names = match path.starts_with('{') {
            true => path.split(';').next().unwrap(),
            false => path.split(|c| !is_word(c)).next().unwrap(),
        };
        names.split(|c| !is_word(c)).any(|name| name == module)
    })
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// All Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}
