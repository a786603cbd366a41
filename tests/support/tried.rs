//! Notes of tried cases and their outcomes, from which `make tried` writes tests/TRIED.md. A failed case must not be
//! noted.

use std::fmt::Display;
use std::fs;
use std::path::Path;

/// Notes a case that passed; `family` is its heading in the table. A case with the same name is replaced, so that the
/// table is of one run.
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
