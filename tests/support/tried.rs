//! What was tried on the server and what came of it: `make tried` makes tests/TRIED.md of it.

use std::fmt::Display;
use std::fs;
use std::path::Path;

/// Notes a case that has ended as it should; `family` is a heading of the table. A case of the same name
/// is replaced, so that a table is of one run.
#[track_caller]
pub fn tried(family: &str, case: &str, outcome: impl Display) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tried");
    fs::create_dir_all(&folder).unwrap();
    let name: String = format!("{family} {case}")
        .chars()
        .map(in_a_file_name)
        .collect();
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let (case, outcome) = (cell(case), cell(&outcome.to_string()));
    fs::write(
        folder.join(name),
        format!("| {family} | {case} | {outcome} |\n"),
    )
    .unwrap();
}

fn in_a_file_name(character: char) -> char {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' => character,
        _ => '-',
    }
}
