//! The benchmark of the whole program with a real InfluxDB: `make bench`.
//!
//! It sends check-ins to the server and to a bare listener in turn with Debian's `wrk`, over loopback, and prints which
//! targets are met. It takes some minutes. Other work on the machine distorts the figures.
//!
//! `cargo bench --bench load [-- PART…] [--short] [--save]`: the parts are `cases`, `long`, `start` and
//! `growth`; the default is all of them. `--save` writes the tables and the plot in `benches/`, and
//! `benches/results.json`, with which later runs are compared.

mod bare_listener;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod growth;
mod measured;
mod neighbour;
mod report;
// The tests' harness: the real binary, a real InfluxDB.
#[allow(dead_code)]
#[path = "../../tests/support/mod.rs"]
mod support;
mod wrk;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use report::Report;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Number and length of the rounds.
pub struct Pace {
    rounds: usize,
    round: Duration,
    growth_rounds: usize,
}

const WHOLE: Pace = Pace {
    rounds: 5,
    round: Duration::from_secs(5),
    growth_rounds: 3,
};

/// For a quick test of the benchmark itself.
const SHORT: Pace = Pace {
    rounds: 1,
    round: Duration::from_secs(1),
    growth_rounds: 1,
};

impl Pace {
    fn is_short(&self) -> bool {
        self.rounds == SHORT.rounds
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["bare-listener", address, size] => bare_listener::run(address, size),
        args => bench(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(args: &[&str]) -> Result<()> {
    let has = |word| args.contains(&word);
    let parts = ["cases", "long", "start", "growth"];
    let all = !parts.iter().any(|part| has(part));
    let pace = if has("--short") { SHORT } else { WHOLE };
    let mut report = Report::default();
    if all || has("start") {
        report.start = Some(cases::start_to_ready());
    }
    if all || has("cases") {
        report.cases = cases::run(&pace)?;
    }
    if all || has("long") {
        report.long = Some(cases::long(&pace)?);
    }
    if all || has("growth") {
        report.growth = growth::run(&pace)?;
    }
    print!("{}", report.text());
    if has("--save") {
        report.save()?;
    }
    Ok(())
}

fn progress(what: &str) {
    eprintln!("  {what}");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
