//! The tiles at the top: the number of installations, its changes, and the share of the latest release.

use maud::{Markup, html};

use super::figures::{self, Change};
use super::palette::is_release;
use super::scale::{moment, written};
use super::{Release, Shown, value};
use crate::totals::format::figures::coverage_note;
use crate::totals::report::{Every, Row};
use crate::units::duration::short;

const DAY: i64 = 86_400;

/// The row of tiles.
pub fn tiles(shown: &Shown<'_>) -> Markup {
    let overview = shown.overview;
    let finished = overview.finished.as_ref();
    let now = finished.and_then(|row| row.total);
    html! {
        div.tiles {
            (tile("now", "Installations now", &figures::known(now), &match finished {
                Some(row) => last_full(row),
                None => "no period is over yet".to_owned(),
            }))
            (running(shown))
            (change("week", "Against 7 days ago", now, overview.week_before))
            (change("month", "Against 30 days ago", now, overview.month_before))
            (latest(shown))
        }
    }
}

/// The last finished period, with its coverage if that is not complete.
fn last_full(row: &Row) -> String {
    let note = coverage_note(row, Every::Period);
    let (length, span) = (period(row.seconds), span(row.start, row.seconds));
    format!("last full {length}, {span}{note}")
}

fn tile(id: &str, title: &str, figure: &str, below: &str) -> Markup {
    html! { div.tile id=(id) { h2 { (title) } strong { (figure) } p { (below) } } }
}

fn running(shown: &Shown<'_>) -> Markup {
    let overview = shown.overview;
    let title = format!("So far this {}", period(overview.period_seconds));
    let Some(row) = &overview.running else {
        return tile("running", &title, figures::UNKNOWN, "");
    };
    let passed = overview.now.saturating_sub(row.start).max(0) as u64;
    let passed = match passed / 60 {
        1 => "a minute in".to_owned(),
        minutes @ 0..120 => format!("{minutes} minutes in"),
        _ => format!("{} in", short(passed - passed % 60)),
    };
    tile("running", &title, &figures::known(row.total), &passed)
}

fn change(id: &str, title: &str, now: Option<f64>, before: Option<f64>) -> Markup {
    let change = Change::of(now, before, 1);
    let below = match before {
        Some(before) => figures::count(before),
        None => "not known that far back".to_owned(),
    };
    tile(id, title, change.text(), &below)
}

/// The tile with the share of the releases that are tagged `latest`.
fn latest(shown: &Shown<'_>) -> Markup {
    let versions = shown.overview.dimension("app_version");
    let latest: Vec<&Release> = shown
        .releases
        .iter()
        .filter(|release| release.is_latest)
        .collect();
    let (Some(versions), Some(newest)) = (versions, latest.first()) else {
        return html! {};
    };
    let days = shown.overview.now.saturating_sub(newest.date) / DAY;
    let below = match days {
        days if days < 0 => format!("{}, not out yet", value::text(&newest.name)),
        0 => format!("{}, out today", value::text(&newest.name)),
        1 => format!("{}, out for a day", value::text(&newest.name)),
        days => format!("{}, out for {days} days", value::text(&newest.name)),
    };
    let is_latest = |value: &str| latest.iter().any(|release| is_release(value, release));
    let share = versions.current.as_ref().and_then(|row| {
        let on_it = versions.figure(row, Every::Period, is_latest)?;
        Some(figures::share(on_it, row.total?))
    });
    tile(
        "latest",
        "On the latest",
        share.as_deref().unwrap_or(figures::UNKNOWN),
        &below,
    )
}

/// The length of a period in words, such as `hour`.
pub fn period(seconds: u64) -> String {
    match seconds {
        60 => "minute".to_owned(),
        3_600 => "hour".to_owned(),
        86_400 => "day".to_owned(),
        604_800 => "week".to_owned(),
        seconds => format!("period of {}", short(seconds)),
    }
}

/// A span such as `17:00–18:00 UTC`, with dates if it lasts a day or more.
fn span(start: i64, seconds: u64) -> String {
    let end = start.saturating_add(seconds as i64);
    if seconds >= DAY as u64 {
        return format!("{} to {} UTC", moment(start, false), moment(end, false));
    }
    format!("{}–{} UTC", written(start, "%H:%M"), written(end, "%H:%M"))
}
