//! Writes the totals and the response config of the fleet.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::fleet::{DAY, Fleet, HOUR, Part, RELEASES, Told};

const COLUMNS: &str = "kind,start,seconds,covered_seconds,periods,dimension,type,value,name,country,total,least,greatest,count,sum";
/// Days for which there is a total for each period; before them there are totals for days, as in a real ledger.
const DETAIL: i64 = 88;
/// Days since the period was changed from two hours to one.
const PERIOD_CHANGE: i64 = 60;
/// Days for which there are totals.
const HISTORY: i64 = 730;
/// Days since an outage, which lasts from an hour before a midnight to an hour after the next one.
const OUTAGE: i64 = 19;
/// Number of moments in a day from which its least and greatest figures are taken.
const LOOKS_A_DAY: i64 = 4;

/// Writes `totals.csv` and `response-config.json` into the folder; `now` is in seconds since 1970.
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
        // The current hour is covered only up to now.
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

/// The mean of each figure over some moments, with its least and greatest values.
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
            // The figures of the first moment stand for the day: a mean would hardly differ.
            Part::Numbers { .. } => {}
        }
    }
    means
}

fn line(out: &mut impl Write, head: &str, told: &Told) -> io::Result<()> {
    let [dimension, kind, value, name, country] = &told.names;
    match &told.part {
        // No installation has the value, so the ledger would not have the line.
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
