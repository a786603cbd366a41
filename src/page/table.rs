//! The table of a dimension's current values with figure, share, change and trend, in the order and the colours of the
//! chart beside it; and the table of places, which has bars instead of colours.

use std::collections::HashMap;

use maud::{Markup, html};

use super::area::{class, sparkline};
use super::card::{Card, Width};
use super::figures::{self, Change};
use super::palette::{Palette, is_release};
use super::plot::percent;
use super::series::{Series, series};
use super::{Audience, Release, Shown, value};
use crate::totals::overview::{Dimension, values};
use crate::totals::public::OTHER;
use crate::totals::report::{Every, Row, ValueTotal};

/// Limit of the values in the list of all values.
const MOST_VALUES: usize = 100;
/// Limit of the rows in a table of places; the list of all places has the others.
const PLACES: usize = 12;

/// The table beside the chart of a dimension.
pub fn card(shown: &Shown<'_>, dimension: &Dimension, palette: &Palette) -> Markup {
    let is_versions = dimension.name == "app_version";
    let title = match is_versions {
        true => html! { "Versions now" },
        false => html! { (value::cell(&dimension.name)) " now" },
    };
    let all_series = series(dimension, palette.shown(), shown.overview.every);
    let rows = rows(dimension, &all_series);
    let releases = if is_versions { shown.releases } else { &[] };
    let body = html! {
        table.values {
            (head("30 d"))
            tbody {
                @for row in &rows {
                    tr data-dimension=(dimension.name) data-value=(row.series.label()) {
                        th scope="row" {
                            span.name {
                                i.swatch.(class(row.series, palette)) {}
                                (value::cell(row.series.label()))
                                @if is_latest(row.series.label(), releases) { " " span.latest { "latest" } }
                            }
                        }
                        td.now { (figures::known(row.now)) }
                        td.share { (share(row.now, dimension.current.as_ref())) }
                        @let change = Change::of(row.now, row.before, 0);
                        td.(change.class()) { (change.text()) }
                        td.trend { (sparkline(row.series, class(row.series, palette))) }
                    }
                }
            }
        }
        (all(dimension))
    };
    let id = format!("{}-now", dimension.name);
    Card::new(&id, Width::Narrow, title, body).markup(shown)
}

/// A row of the table: the newest figure and the one a month before it.
struct Line<'a> {
    series: &'a Series,
    now: Option<f64>,
    before: Option<f64>,
}

fn rows<'a>(dimension: &Dimension, all: &'a [Series]) -> Vec<Line<'a>> {
    let named: Vec<&str> = all.iter().filter_map(|one| one.value.as_deref()).collect();
    let figure = |row: Option<&Row>, one: &Series| {
        let row = row?;
        if let Some(value) = &one.value {
            return dimension.figure(row, Every::Period, |other| other == value);
        }
        // All values without a row of their own, and check-ins without a value.
        let known = values(row).iter();
        let known = known.filter(|one| named.contains(&one.value.as_str()));
        Some(row.total? - known.map(|one| one.total).sum::<f64>())
    };
    let line = |series| Line {
        series,
        now: figure(dimension.current.as_ref(), series),
        before: figure(dimension.before.as_ref(), series),
    };
    all.iter().map(line).collect()
}

fn is_latest(value: &str, releases: &[Release]) -> bool {
    releases
        .iter()
        .any(|release| release.is_latest && is_release(value, release))
}

fn share(now: Option<f64>, current: Option<&Row>) -> String {
    let whole = current.and_then(|row| row.total).unwrap_or_default();
    now.map_or_else(
        || figures::UNKNOWN.to_owned(),
        |now| figures::share(now, whole),
    )
}

fn head(change: &str) -> Markup {
    html! {
        thead { tr {
            th scope="col" { span.unseen { "value" } }
            th scope="col" { "now" }
            th scope="col" { "share" }
            th scope="col" { (change) }
            th.trend scope="col" { span.unseen { "trend" } }
        } }
    }
}

/// The list of all values of the current period, if there are more than the table has rows.
fn all(dimension: &Dimension) -> Markup {
    let Some(current) = dimension
        .current
        .as_ref()
        .filter(|row| values(row).len() > 8)
    else {
        return html! {};
    };
    let count = values(current).len();
    html! {
        details.behind {
            summary { "All " (count) " values" @if count > MOST_VALUES { ", the first " (MOST_VALUES) } }
            div.scroll tabindex="0" {
                table {
                    @for one in values(current).iter().take(MOST_VALUES) {
                        tr { th scope="row" { (value::cell(&one.value)) } td { (figures::count(one.total)) } td { (share(Some(one.total), Some(current))) } }
                    }
                }
            }
        }
    }
}

/// A table of places, the one with the most installations first; `countries` has the names of countries by code.
pub fn places(
    shown: &Shown<'_>,
    dimension: &Dimension,
    countries: &HashMap<String, String>,
) -> Markup {
    let Some(current) = &dimension.current else {
        let reason = match shown.overview.finished {
            Some(_) => "The last period is not known: the server did not cover all of it.",
            None => "No period is over yet.",
        };
        return html! { p.note { (reason) } };
    };
    let (other, places): (Vec<&ValueTotal>, Vec<&ValueTotal>) =
        values(current).iter().partition(|one| one.value == OTHER);
    let rows = || places.iter().take(PLACES).chain(&other);
    let greatest = rows().map(|place| place.total).fold(1.0, f64::max);
    let bar = |place: &ValueTotal| {
        let width = percent(place.total / greatest);
        html! { td.trend { svg.bar aria-hidden="true" { rect width=(width) height="6" y="6" rx="3" {} } } }
    };
    let cells = |place: &ValueTotal| place_cells(place, current, countries);
    html! {
        @if places.is_empty() { p.note { (no_places(shown, dimension, !other.is_empty())) } }
        @if rows().next().is_some() {
            table.places {
                thead { tr {
                    th scope="col" { span.unseen { "place" } }
                    th scope="col" { "now" }
                    th scope="col" { "share" }
                    th.trend scope="col" { span.unseen { "share as a bar" } }
                } }
                tbody { @for place in rows() {
                    tr data-dimension=(dimension.name) data-value=(place.value) { (cells(place)) (bar(place)) }
                } }
            }
        }
        @if places.len() > PLACES {
            details.behind {
                summary { "All " (places.len()) @if places.len() > MOST_VALUES { ", the first " (MOST_VALUES) } }
                div.scroll tabindex="0" { table { tbody {
                    @for place in places.iter().take(MOST_VALUES) { tr { (cells(place)) } }
                } } }
            }
        }
    }
}

/// The reason why a table of places has none; `are_rare` if some places have too few installations to be shown.
fn no_places(shown: &Shown<'_>, dimension: &Dimension, are_rare: bool) -> String {
    let place = if dimension.name == "city" {
        "city"
    } else {
        "country"
    };
    match shown.audience {
        Audience::Public { least } if are_rare => {
            format!("No {place} has at least {least} installations.")
        }
        _ => "No check-in of the last period had a place.".to_owned(),
    }
}

fn place_cells(place: &ValueTotal, current: &Row, countries: &HashMap<String, String>) -> Markup {
    let country = place.country.as_ref();
    let country = country.map(|code| countries.get(code).unwrap_or(code));
    html! {
        th scope="row" {
            (value::cell(place.name.as_deref().unwrap_or(&place.value)))
            @if let Some(country) = country { " " span.quiet { (value::cell(country)) } }
        }
        td.now { (figures::count(place.total)) }
        td.share { (share(Some(place.total), Some(current))) }
    }
}
