//! `make bench-ledger`: the size of a ledger with five years of hourly totals of 500 values, and the time of opening it,
//! of reports and of commits. The benchmark prints the figures with their limits, and fails if one exceeds its limit.
//! With `--save` it writes the figures to benches/ledger.txt.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use upgrade_responder::spool::Position;
use upgrade_responder::totals::report::{Every, Query};
use upgrade_responder::totals::{Counts, Ledger, LedgerReader};
use upgrade_responder::units::duration::QueryPeriod;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
const DAYS: i64 = 5 * 365;
const START: i64 = 1_600_000_000 / DAY * DAY;
const KEEP: Duration = Duration::from_secs(92 * DAY as u64);
/// Versions, Kubernetes versions, and cities with their countries: 500 values an hour.
const VERSIONS: i64 = 30;
const KUBERNETES: i64 = 50;
const CITIES: i64 = 380;
const COUNTRIES: i64 = 40;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn main() -> Result<()> {
    let name = format!("upgrade-responder-ledger-{}", std::process::id());
    let folder = Folder(env::temp_dir().join(name));
    fs::create_dir_all(&folder.0)?;
    let path = folder.0.join("totals.db");
    let period = QueryPeriod::parse("1h")?;
    let commits = fill(&path, period)?;
    let now = START + DAYS * DAY;
    let bytes = fs::metadata(&path)?.len();

    let begun = Instant::now();
    let ledger = Ledger::open(&path, period, KEEP, now)?;
    let opening = begun.elapsed();
    let reader = LedgerReader::open(&path)?;
    let year = report(&reader, now, 365, "app_version")?;
    let cities = report(&reader, now, 365, "city")?;
    drop(ledger);

    let mut text = String::new();
    let mut missed = 0;
    let mut row = |what: &str, figure: f64, unit: &str, limit: Option<f64>| {
        let limit = limit.map_or(String::new(), |limit| {
            missed += u32::from(figure > limit);
            format!("(at most {limit} {unit})")
        });
        let _ = writeln!(text, "{what:44} {figure:9.1} {unit:3} {limit}");
    };
    row(
        "five years of 500 values an hour",
        bytes as f64 / 1e6,
        "MB",
        Some(500.0),
    );
    row("opening it", ms(opening), "ms", Some(20.0));
    row("a report of a year by version", ms(year), "ms", Some(200.0));
    row("a report of a year by city", ms(cities), "ms", None);
    row(
        "a commit of 500 values, median",
        ms(commits[commits.len() / 2]),
        "ms",
        None,
    );
    row(
        "a commit, 99th percentile",
        ms(commits[commits.len() * 99 / 100]),
        "ms",
        None,
    );
    print!("{text}");
    if env::args().any(|argument| argument == "--save") {
        fs::write(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ledger.txt"),
            text,
        )?;
    }
    match missed {
        0 => Ok(()),
        missed => Err(format!("{missed} limits exceeded").into()),
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Commits hour by hour, and turns old periods into days as the server does. Returns the sorted durations of the commits.
fn fill(path: &Path, period: QueryPeriod) -> Result<Vec<Duration>> {
    let mut ledger = Ledger::open(path, period, KEEP, START)?;
    let mut counts = Counts::new(&["kubernetes_version".to_owned()], ledger.lengths().clone());
    let mut commits = Vec::new();
    let mut lines = String::new();
    for hour in 0..DAYS * 24 {
        let start = START + hour * HOUR;
        lines.clear();
        for client in 0..CITIES {
            write_line(&mut lines, start + client, hour, client)?;
        }
        counts.add(lines.as_bytes());
        counts.present(start * 1000, (start + HOUR) * 1000);
        let begun = Instant::now();
        ledger.commit(&mut counts, Position::default(), 0)?;
        commits.push(begun.elapsed());
        counts.clear();
        ledger.keep_days(start + HOUR)?;
    }
    commits.sort();
    Ok(commits)
}

/// Writes a line of a check-in. Its versions change over the years, so that the number of versions grows.
fn write_line(lines: &mut String, second: i64, hour: i64, client: i64) -> std::fmt::Result {
    let version = hour / (90 * 24) + client % VERSIONS;
    let kubernetes = hour / (180 * 24) + client % KUBERNETES;
    let country = client % COUNTRIES;
    writeln!(
        lines,
        "upgrade_request,app_version=v1.{version}.0,city=City{client},country=Country{country},\
         country_isocode=C{country},kubernetes_version=v1.{kubernetes} value=1i,node_count={} {second}000000000",
        client % 7
    )
}

fn report(reader: &LedgerReader, now: i64, days: i64, by: &str) -> Result<Duration> {
    let query = Query {
        by: by.to_owned(),
        from: now - days * DAY,
        to: now,
        every: Every::Period,
        now,
    };
    let begun = Instant::now();
    let report = reader.report(&query)?;
    let taken = begun.elapsed();
    assert!(report.rows.len() > 2000, "{} rows", report.rows.len());
    Ok(taken)
}
