//! The files that are written of the fleet.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::fleet::{DAY, Fleet, HOUR, Part, RELEASES, Told};

const COLUMNS: &str = "kind,start,seconds,covered_seconds,periods,dimension,type,value,name,country,total,least,greatest,count,sum";
/// Days before now from which on each period is kept, as a ledger does by default, and days before now on which
/// periods of two hours gave way to such of one.
const DETAIL: i64 = 88;
const PERIOD_CHANGE: i64 = 60;
const HISTORY: i64 = 730;
/// An outage from an hour before a midnight to an hour after the next one, so many days before now.
const OUTAGE: i64 = 19;
/// Moments of a day that its least and greatest figures are taken from.
const LOOKS_A_DAY: i64 = 4;

/// Writes `totals.csv` and `response-config.json` into the folder, for a fleet at that moment (seconds since 1970).
pub fn write(folder: &Path, now: i64) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let hour = now - now.rem_euclid(HOUR);
    let today = now - now.rem_euclid(DAY);
    let fleet = Fleet { now: hour };
    fs::write(folder.join("response-config.json"), config(hour))?;
    let mut out = BufWriter::new(File::create(folder.join("totals.csv"))?);
    writeln!(out, "{COLUMNS}")?;
    for day in -HISTORY..-DETAIL {
        let start = today + day * DAY;
        let looks = (0..LOOKS_A_DAY).map(|look| fleet.at(start + look * DAY / LOOKS_A_DAY));
        let head = format!("day,{},{DAY},{DAY},12", date(start));
        for told in together(&looks.collect::<Vec<_>>()) {
            line(&mut out, &head, &told)?;
        }
    }
    let outage = today - OUTAGE * DAY - HOUR..today - (OUTAGE - 1) * DAY + HOUR;
    let mut start = today - DETAIL * DAY;
    while start <= hour {
        let seconds = if start < today - PERIOD_CHANGE * DAY {
            2 * HOUR
        } else {
            HOUR
        };
        // Of the hour that runs, so much has passed.
        let covered = seconds.min(now - start);
        if !outage.contains(&start) && covered > 0 {
            let part = covered as f64 / seconds as f64;
            let is_whole = i64::from(covered == seconds);
            let head = format!("period,{},{seconds},{covered},{is_whole}", date(start));
            for told in fleet.at(start) {
                line(&mut out, &head, &told.of_part(part))?;
            }
        }
        start += seconds;
    }
    out.flush()
}

/// Means over some moments, with the least and the greatest figure among them.
fn together(looks: &[Vec<Told>]) -> Vec<Told> {
    let count = looks.len() as f64;
    let mut means = looks[0].clone();
    for (at, mean) in means.iter_mut().enumerate() {
        let figures = looks.iter().map(|told| &told[at].part);
        match &mut mean.part {
            Part::Total {
                total,
                least,
                greatest,
            } => {
                let totals = figures.map(Part::total);
                *total = totals.clone().sum::<f64>() / count;
                *least = totals.clone().fold(f64::MAX, f64::min);
                *greatest = totals.fold(0.0, f64::max);
            }
            // A mean of them changes too little to be seen.
            Part::Numbers { .. } => {}
        }
    }
    means
}

fn line(out: &mut impl Write, head: &str, told: &Told) -> io::Result<()> {
    let [dimension, kind, value, name, country] = &told.names;
    match &told.part {
        // Nobody had it.
        Part::Total { greatest, .. } if *greatest < 0.5 => Ok(()),
        Part::Total {
            total,
            least,
            greatest,
        } => {
            let total = if head.starts_with("day") {
                *total
            } else {
                total.round()
            };
            writeln!(
                out,
                "{head},{dimension},{kind},{value},{name},{country},{total},{least:.0},{greatest:.0},,"
            )
        }
        Part::Numbers {
            least,
            greatest,
            count,
            sum,
        } => {
            writeln!(
                out,
                "{head},{dimension},{kind},,,,,{least},{greatest},{count:.0},{sum:.0}"
            )
        }
    }
}

fn config(now: i64) -> String {
    let newest = RELEASES.iter().map(|release| release.days_ago).min();
    let versions = RELEASES.iter().map(|release| {
        let tags = if Some(release.days_ago) == newest {
            ["latest"]
        } else {
            ["stable"]
        };
        let date = date(now - release.days_ago * DAY);
        json!({"name": release.name, "releaseDate": date, "minUpgradableVersion": "", "tags": tags})
    });
    format!("{:#}\n", json!({"versions": versions.collect::<Vec<_>>()}))
}

fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .unwrap_or_default()
        .to_string()
}
