//! The number of instructions of a check-in, counted by valgrind's callgrind. The machine's load does not change the
//! number, so changes of a few percent can be seen.
//!
//! `cargo bench --bench instructions` counts, compares with `benches/instructions.txt`, and fails if
//! a case takes over 5 % more than the saved number; with `-- --save` it overwrites the file.
//!
//! The program runs itself under callgrind once with few check-ins and once with many. The difference excludes start and
//! stop. It includes routing, parsing, schema, location, record, answer, and the writer thread, but neither sockets nor
//! the request parser of tiny_http.

mod check_ins;
#[path = "../common/mod.rs"]
mod common;
// Only the function that writes the sample geo database is used.
#[allow(dead_code)]
#[path = "../../examples/sample-geodb.rs"]
mod sample_geodb;

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use common::Workload;

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
/// Number of check-ins in each of the two runs.
const FEW: u64 = 1_000;
const MANY: u64 = 5_000;
/// Limit on the ratio of a count to the saved one.
const TOLERANCE: f64 = 1.05;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["run", name, count] => count
            .parse()
            .map_err(Into::into)
            .and_then(|count| check_ins::run(&workload(name), count).map(|()| true)),
        // cargo adds the argument --bench.
        args => compare(args.contains(&"--save")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn workloads() -> [Workload; 3] {
    [
        common::realistic(),
        common::sixty_versions(),
        common::longhorn(),
    ]
}

fn workload(name: &str) -> Workload {
    let found = workloads()
        .into_iter()
        .find(|workload| workload.name == name);
    found.unwrap_or_else(common::realistic)
}

/// Counts the instructions of all cases; false if a case exceeds the limit.
fn compare(save: bool) -> Result<bool> {
    let kept = fs::read_to_string(KEPT).unwrap_or_default();
    let mut text = String::from("# instructions per check-in, by `make bench-check`\n");
    let mut good = true;
    println!("{:<14} {:>12} {:>12}", "check-in", "instructions", "saved");
    for Workload { name, .. } in workloads() {
        let counted = (count(name, MANY)? - count(name, FEW)?) / (MANY - FEW);
        let before = kept_count(&kept, name);
        let over = before.is_some_and(|before| counted as f64 > before as f64 * TOLERANCE);
        let verdict = match (before, over) {
            (None, _) => "not saved yet; --save writes it",
            (_, true) => "over 5 % more",
            (_, false) => "",
        };
        let shown = before.map_or("-".to_owned(), |before| before.to_string());
        println!("{name:<14} {counted:>12} {shown:>12}  {verdict}");
        writeln!(text, "{name}: {counted}")?;
        good &= !over;
    }
    if save {
        fs::write(KEPT, text)?;
        return Ok(true);
    }
    Ok(good)
}

fn kept_count(kept: &str, name: &str) -> Option<u64> {
    let mut lines = kept.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
    line.parse().ok()
}

/// Number of instructions of a run with so many check-ins.
fn count(name: &str, check_ins: u64) -> Result<u64> {
    let out = env::temp_dir().join(format!("callgrind-{}-{check_ins}", std::process::id()));
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe()?)
        .args(["run", name, &check_ins.to_string()])
        .status()
        .map_err(|error| format!("valgrind: {error}; install valgrind"))?;
    let total = total(&out);
    let _ = fs::remove_file(&out);
    if !run.success() {
        return Err(format!("{check_ins} check-ins of {name} ended with {run}").into());
    }
    total
}

fn total(out: &Path) -> Result<u64> {
    let text = fs::read_to_string(out)?;
    let totals = text.lines().find_map(|line| {
        line.strip_prefix("totals: ")
            .or(line.strip_prefix("summary: "))
    });
    Ok(totals.ok_or("callgrind wrote no totals")?.trim().parse()?)
}
