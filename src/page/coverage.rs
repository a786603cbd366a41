//! The section that shows which part of the time is covered, as a strip in which outages can be seen.

use maud::{Markup, html};

use super::area::Time;
use super::card::{Card, Width, behind, start};
use super::plot::percent;
use super::{Shown, figures};
use crate::totals::report::{Row, counts_as_covered};
use crate::units::duration::short;

pub fn card(shown: &Shown<'_>) -> Markup {
    let overview = shown.overview;
    let missing = overview.seconds.saturating_sub(overview.covered_seconds);
    let aside = match counts_as_covered(overview.seconds, overview.covered_seconds) {
        true => format!(
            "{} covered",
            figures::share(overview.covered_seconds as f64, overview.seconds as f64)
        ),
        false => format!(
            "unknown: {} of {}",
            short(rounded(missing)),
            short(rounded(overview.seconds))
        ),
    };
    let rows = &overview.all.rows;
    let body = html! {
        @if let Some(time) = Time::of(rows) {
            svg.strip role="img" aria-label="coverage" {
                @for run in rows.chunk_by(|one, next| told(one, overview.now) == told(next, overview.now)) {
                    @let (first, last) = (&run[0], &run[run.len() - 1]);
                    @let (begin, end) = (time.edges(first).0, time.edges(last).1);
                    rect.(class(first, overview.now)) x=(percent(begin)) width=(percent(end - begin)) height="100%" {
                        title { (start(first.start, first.seconds))
                            @if run.len() > 1 { " to " (start(last.start, last.seconds)) }
                            ": " (told(first, overview.now)) }
                    }
                }
            }
            (behind(&[html! { "covered" }], rows.iter().map(|row| (start(row.start, row.seconds), vec![told(row, overview.now)])).collect()))
        }
    };
    let card = Card::new("coverage", Width::Full, html! { "Coverage" }, body);
    card.aside(html! { (aside) " " }).data("all").markup(shown)
}

/// Seconds rounded up to whole minutes below a day, and to whole hours from a day on.
fn rounded(seconds: u64) -> u64 {
    let unit = if seconds < 86_400 { 60 } else { 3_600 };
    seconds.div_ceil(unit) * unit
}

/// The part of a row that has passed, in seconds.
fn passed(row: &Row, now: i64) -> u64 {
    (now.saturating_sub(row.start).max(0) as u64).min(row.seconds)
}

fn class(row: &Row, now: i64) -> &'static str {
    match passed(row, now) {
        passed if counts_as_covered(passed, row.covered_seconds) => "covered",
        _ if row.covered_seconds == 0 => "uncovered",
        _ => "partly",
    }
}

fn told(row: &Row, now: i64) -> String {
    match passed(row, now) {
        0 => "just begun".to_owned(),
        _ if row.covered_seconds == 0 => "unknown".to_owned(),
        passed => figures::share(row.covered_seconds.min(passed) as f64, passed as f64),
    }
}
