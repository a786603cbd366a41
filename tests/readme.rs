//! The README's table of flags says what `upgrade-responder --help` says.

use std::process::Command;

const README: &str = include_str!("../README.md");

/// The first three cells of a flag's row, without the code marks.
type Row = [String; 3];

#[test]
fn every_flag_is_in_the_readme_with_its_variable_and_default() {
    let (told, documented) = (told(), documented());
    assert!(told.len() > 20, "no longer understood: {told:?}");
    for flag in &told {
        let [name, variable, default] = flag;
        let row = documented.iter().find(|row| row[0] == *name);
        let row = row.unwrap_or_else(|| panic!("the README lacks a row for {name:?}"));
        assert_eq!(row[1], *variable, "variable of {name}");
        // Where the help names no default, the README may say in words what happens.
        assert!(default.is_empty() || row[2] == *default, "default: {row:?}");
    }
    assert_eq!(
        documented.len(),
        told.len(),
        "the README has flags too many"
    );
}

/// What the help page tells: `  --port PORT [PORT]`, and lines further in with `default: 8314`.
fn told() -> Vec<Row> {
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

fn documented() -> Vec<Row> {
    let rows = README.lines().filter(|line| line.starts_with("| `--"));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|');
        [(); 3].map(|()| cells.next().unwrap_or_default().trim().replace('`', ""))
    })
    .collect()
}
