//! The output of the benchmark: tables in Markdown and a plot for readers, and JSON for comparison with later runs.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::cases::{Case, Long};
use crate::growth::Axis;
use crate::measured::Round;
use crate::{Result, common};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
const README: &str = include_str!("README.in");
const PLOT: &str = include_str!("growth.gnuplot");

/// The parts that were measured.
#[derive(Default)]
pub struct Report {
    pub start: Option<f64>,
    pub cases: Vec<Case>,
    pub long: Option<Long>,
    pub growth: Vec<Axis>,
}

/// A limit on a figure, and whether the figure meets it.
struct Target {
    what: &'static str,
    found: String,
    most: String,
    met: bool,
}

impl Target {
    fn at_most(what: &'static str, unit: &str, found: f64, most: f64) -> Target {
        Target {
            what,
            found: format!("{found:.2}{unit}"),
            most: format!("{most}{unit}"),
            met: found <= most,
        }
    }
}

impl Report {
    /// The tables in Markdown.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String never fails.
        let _ = self.write_cases(&mut text);
        let _ = self.write_targets(&mut text);
        let _ = self.write_growth(&mut text);
        text
    }

    fn write_cases(&self, text: &mut String) -> std::fmt::Result {
        if self.cases.is_empty() {
            return Ok(());
        }
        let kept = kept();
        writeln!(
            text,
            "| check-in | per second | p50 ms | p99 ms | CPU µs | bare µs | ratio | earlier ratio | peak MiB | points = check-ins |\n\
             |---|---|---|---|---|---|---|---|---|---|"
        )?;
        for case in &self.cases {
            let kept = kept["cases"][case.name]["ratio"].as_f64();
            writeln!(
                text,
                "| {} | {:.0} | {:.2} | {:.2} | {:.1} | {:.1} | {:.2} | {} | {:.1} | {} = {} |",
                case.name,
                case.median(|pair| pair.server.answers.count as f64 / pair.server.answers.seconds),
                case.median(|pair| pair.server.answers.p50),
                case.median(|pair| pair.server.answers.p99),
                case.median(|pair| pair.server.cpu),
                case.median(|pair| pair.bare.cpu),
                case.ratio(),
                kept.map_or("-".to_owned(), |kept| format!("{kept:.2}")),
                case.peak as f64 / 1024.0,
                case.points,
                case.recorded,
            )?;
        }
        writeln!(text)
    }

    fn write_targets(&self, text: &mut String) -> std::fmt::Result {
        let targets = self.targets();
        if targets.is_empty() {
            return Ok(());
        }
        writeln!(text, "| target | measured | limit | |\n|---|---|---|---|")?;
        for target in targets {
            let met = if target.met { "met" } else { "**missed**" };
            let Target {
                what, found, most, ..
            } = target;
            writeln!(text, "| {what} | {found} | {most} | {met} |")?;
        }
        writeln!(text)
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for case in &self.cases {
            let most = if case.name == common::longhorn().name {
                3.0
            } else {
                1.3
            };
            let what = match case.name {
                "realistic" => "CPU relative to the bare listener, realistic",
                "longhorn" => "CPU relative to the bare listener, longhorn",
                _ => "CPU relative to the bare listener, 60 versions",
            };
            targets.push(Target::at_most(what, "", case.ratio(), most));
            if case.name == common::realistic().name {
                let ratio = case.median(|pair| pair.server.answers.p99 / pair.bare.answers.p99);
                let what = "p99 relative to the bare listener, realistic";
                targets.push(Target::at_most(what, "", ratio, 1.5));
                let beside = |value: fn(&Round) -> f64| {
                    case.median(|pair| {
                        pair.beside
                            .map_or(f64::NAN, |beside| value(&pair.server) / value(&beside))
                    })
                };
                targets.extend([
                    Target::at_most(
                        "... beside an equally busy InfluxDB",
                        "",
                        beside(|round| round.answers.p99),
                        1.5,
                    ),
                    Target::at_most(
                        "CPU relative to the bare listener beside such an InfluxDB",
                        "",
                        beside(|round| round.cpu),
                        1.3,
                    ),
                ]);
            }
            targets.push(Target {
                what: "points missing in InfluxDB",
                found: case.recorded.abs_diff(case.points).to_string(),
                most: "0".to_owned(),
                met: case.recorded == case.points,
            });
        }
        if let Some(long) = &self.long {
            let peak = long.peak as f64 / 1024.0;
            let grown = long.peak.saturating_sub(long.peak_first) as f64 / 1024.0;
            let writes = long.writes as f64 / long.writes_allowed;
            targets.extend([
                Target::at_most("peak memory after a million check-ins", " MiB", peak, 16.0),
                Target::at_most("... growth since the first 100,000", " MiB", grown, 1.0),
                Target::at_most(
                    "requests to InfluxDB, relative to one per second or 5000 points",
                    "",
                    writes,
                    1.0,
                ),
            ]);
        }
        if let Some(start) = self.start {
            targets.push(Target::at_most("start to ready", " ms", start, 100.0));
        }
        targets
    }

    fn write_growth(&self, text: &mut String) -> std::fmt::Result {
        for axis in &self.growth {
            let (values, costs): (Vec<u64>, Vec<f64>) = axis.points.iter().copied().unzip();
            let join = |cells: Vec<String>| cells.join(" | ");
            writeln!(
                text,
                "| {} | {} |\n|---|{}\n| CPU µs | {} |\n",
                axis.name,
                join(values.iter().map(u64::to_string).collect()),
                "---|".repeat(values.len()),
                join(costs.iter().map(|cost| format!("{cost:.1}")).collect()),
            )?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let mut all = kept();
        for case in &self.cases {
            all["cases"][case.name] = json!({
                "per_second": case.median(|pair| pair.server.answers.count as f64 / pair.server.answers.seconds),
                "p50_ms": case.median(|pair| pair.server.answers.p50),
                "p99_ms": case.median(|pair| pair.server.answers.p99),
                "slowest_ms": case.median(|pair| pair.server.answers.slowest),
                "bare_p99_ms": case.median(|pair| pair.bare.answers.p99),
                "beside_p99_ms": case.median(|pair| pair.beside.map_or(f64::NAN, |beside| beside.answers.p99)),
                "cpu_us": case.median(|pair| pair.server.cpu),
                "bare_cpu_us": case.median(|pair| pair.bare.cpu),
                "ratio": case.ratio(),
                "peak_kib": case.peak,
            });
        }
        if let Some(long) = &self.long {
            all["long"] = json!({
                "check_ins": long.check_ins,
                "peak_first_kib": long.peak_first,
                "peak_kib": long.peak,
                "influxdb_writes": long.writes,
            });
        }
        if let Some(start) = self.start {
            all["start_ms"] = json!(start);
        }
        for axis in &self.growth {
            all["growth"][axis.name] = json!(axis.points);
        }
        all
    }

    /// Writes the files that are part of the repository.
    pub fn save(&self) -> Result<()> {
        let folder = Path::new(FOLDER);
        let json = serde_json::to_string_pretty(&self.json())? + "\n";
        fs::write(
            folder.join("README.md"),
            README.replace("@TABLES@", &self.text()),
        )?;
        fs::write(folder.join("results.json"), json)?;
        if !self.growth.is_empty() {
            self.plot(&folder.join("growth.svg"))?;
        }
        Ok(())
    }

    fn plot(&self, svg: &Path) -> Result<()> {
        let mut script = String::new();
        for (number, axis) in self.growth.iter().enumerate() {
            writeln!(
                script,
                "name{number} = \"{}\"\n$axis{number} << EOD",
                axis.name
            )?;
            for (value, cost) in &axis.points {
                writeln!(script, "{value} {cost}")?;
            }
            writeln!(script, "EOD")?;
        }
        writeln!(script, "set output \"{}\"\n{PLOT}", svg.display())?;
        let mut gnuplot = Command::new("gnuplot")
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| format!("gnuplot: {error}; install gnuplot"))?;
        let input = gnuplot
            .stdin
            .take()
            .ok_or("gnuplot has no standard input")?;
        { input }.write_all(script.as_bytes())?;
        match gnuplot.wait()? {
            status if status.success() => Ok(()),
            status => Err(format!("gnuplot ended with {status}").into()),
        }
    }
}

impl Case {
    fn ratio(&self) -> f64 {
        self.median(|pair| pair.server.cpu / pair.bare.cpu)
    }
}

/// The results that an earlier run has saved.
fn kept() -> Value {
    let text = fs::read_to_string(Path::new(FOLDER).join("results.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
