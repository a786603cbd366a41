//! The adoption of the last releases: the share of each by days since its release date, in one chart.

use maud::{Markup, html};

use super::card::{Card, Width, behind};
use super::palette::{Palette, RELEASES, is_release};
use super::plot::{HEIGHT, Mark, Plot, WIDTH, line, percent};
use super::scale::{Scale, moment};
use super::series::known_stretches;
use super::{Release, Shown, figures, value};
use crate::totals::overview::Dimension;
use crate::totals::report::{Every, Report, Row};

const DAY: i64 = 86_400;
/// Days after a release that are shown; later, installations move to its successor.
pub const DAYS: i64 = 90;
/// Days after a release for which the table shows the share.
const REACHED: [usize; 3] = [7, 30, 90];
/// The part of the chart's width for the lines; the rest is for their names.
const LINES: f64 = 0.8;
/// Least distance of two names, in pixels.
const BETWEEN_NAMES: f64 = 14.0;

/// The section, which is empty if no release has a known share.
pub fn cards(shown: &Shown<'_>, palette: &Palette) -> Markup {
    let overview = shown.overview;
    let (Some(spread), Some(versions)) = (&overview.spread, overview.dimension("app_version"))
    else {
        return html! {};
    };
    let curves: Vec<Curve<'_>> = last(shown)
        .into_iter()
        .map(|release| Curve::of(release, versions, spread, palette))
        .collect();
    let curves: Vec<Curve<'_>> = curves
        .into_iter()
        .filter(|curve| curve.end().is_some())
        .collect();
    if curves.is_empty() {
        return html! {};
    }
    let days = curves
        .iter()
        .map(|curve| curve.shares.len())
        .max()
        .unwrap_or(1)
        .max(8);
    let body = html! {
        (plot(&curves, days).markup())
        p.axis { "days since release" }
        (figures_behind(&curves, days))
    };
    let title = html! { "How fast releases spread" };
    let chart = Card::new("adoption", Width::Wide, title, body);
    let title = html! { "Releases" };
    let table = Card::new("releases", Width::Narrow, title, reached(&curves));
    html! {
        (chart.aside(html! { "share of all installations" }).markup(shown))
        (table.aside(html! { "share after" }).markup(shown))
    }
}

/// The table with the share of each release after a week, a month and a quarter.
fn reached(curves: &[Curve<'_>]) -> Markup {
    html! {
        table.releases {
            thead { tr {
                th scope="col" { span.unseen { "release" } }
                th scope="col" { "released" }
                @for day in REACHED { th scope="col" { (day) " d" } }
            } }
            tbody { @for curve in curves {
                tr {
                    th scope="row" {
                        span.name {
                            i.swatch.(curve.class) {}
                            (value::cell(&curve.release.name))
                        }
                    }
                    td { (moment(curve.release.date, true)) }
                    @for day in REACHED { td { (percents(curve.shares.get(day).copied().flatten())) } }
                }
            } }
        }
    }
}

/// A share in percent, or the sign for unknown.
fn percents(share: Option<f64>) -> String {
    share.map_or_else(
        || figures::UNKNOWN.to_owned(),
        |share| figures::share(share, 1.0),
    )
}

/// The last releases whose date has passed, newest first.
pub fn last<'a>(shown: &Shown<'a>) -> Vec<&'a Release> {
    let out = shown
        .releases
        .iter()
        .filter(|release| release.date <= shown.overview.now);
    out.take(RELEASES).collect()
}

/// A release and its share day by day.
struct Curve<'a> {
    release: &'a Release,
    class: &'static str,
    /// One share for each day from its release on; `None` is unknown.
    shares: Vec<Option<f64>>,
}

impl<'a> Curve<'a> {
    fn of(
        release: &'a Release,
        versions: &Dimension,
        spread: &Report,
        palette: &Palette,
    ) -> Curve<'a> {
        let day_of = |moment: i64| (moment.div_euclid(DAY)) - release.date.div_euclid(DAY);
        let since = spread
            .rows
            .iter()
            .filter(|row| (0..=DAYS).contains(&day_of(row.start)));
        let mut shares: Vec<Option<f64>> = Vec::new();
        for row in since {
            let day = usize::try_from(day_of(row.start)).unwrap_or_default();
            shares.resize(day + 1, None);
            shares[day] = share(versions, row, release);
        }
        while shares.last() == Some(&None) {
            shares.pop();
        }
        Curve {
            release,
            class: palette.class(&release.name),
            shares,
        }
    }

    /// The last known day and the share on it.
    fn end(&self) -> Option<(usize, f64)> {
        let known = self.shares.iter().enumerate().rev();
        known
            .filter_map(|(day, share)| Some((day, (*share)?)))
            .next()
    }
}

fn share(versions: &Dimension, row: &Row, release: &Release) -> Option<f64> {
    let total = row.total.filter(|total| *total > 0.0)?;
    let on_it = versions.figure(row, Every::Days(1), |value| is_release(value, release))?;
    Some((on_it / total).min(1.0))
}

fn plot<'a>(curves: &[Curve<'_>], days: usize) -> Plot<'a> {
    let greatest = curves
        .iter()
        .flat_map(|curve| curve.shares.iter().flatten())
        .copied()
        .fold(0.0, f64::max);
    let scale = Scale::for_greatest_share(greatest);
    let right = (days - 1) as f64;
    let across = |day: usize| day as f64 / right * LINES;
    let point = |curve: &Curve<'_>, day: usize| {
        (
            across(day) * WIDTH,
            scale.down(curve.shares[day].unwrap_or_default()) * HEIGHT,
        )
    };
    Plot {
        label: "share of each release by days since its release",
        scale,
        figure: |share| figures::share(share, 1.0).replace(".0", ""),
        marks: day_marks(days - 1)
            .map(|day| Mark {
                at: across(day),
                text: day.to_string(),
            })
            .collect(),
        shapes: html! {
            @for curve in curves.iter().rev() {
                @for stretch in known_stretches(curve.shares.iter().map(Option::is_some)) {
                    @let points: Vec<(f64, f64)> = stretch.map(|day| point(curve, day)).collect();
                    path.line.(curve.class) d=(line(&points)) {}
                }
            }
        },
        over: html! {
            @for (curve, down) in names(curves, scale) {
                @if let Some((day, share)) = curve.end() {
                    circle.(curve.class) cx=(percent(across(day))) cy=(percent(scale.down(share))) r="2.5" {}
                    text.name.(curve.class) x=(percent(across(day))) dx="7" y=(format!("{down:.0}")) {
                        (value::text(&curve.release.name)) tspan.share { " " (figures::share(share, 1.0)) }
                    }
                }
            }
            g.hit {
                @for day in 0..days {
                    rect x=(percent((across(day) - 0.5 / right * LINES).max(0.0))) width=(percent(LINES / right)) {
                        title { (title(curves, day)) }
                    }
                }
            }
        },
    }
}

/// Vertical positions of the names at the ends of lines, moved apart so that they do not overlap.
fn names<'a, 'b>(curves: &'a [Curve<'b>], scale: Scale) -> Vec<(&'a Curve<'b>, f64)> {
    let down = |curve: &Curve<'_>| {
        curve
            .end()
            .map_or(0.0, |(_, share)| scale.down(share) * HEIGHT)
    };
    let mut named: Vec<(&Curve<'_>, f64)> = curves
        .iter()
        .map(|curve| (curve, down(curve) + 4.0))
        .collect();
    named.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut at_least = 10.0_f64;
    for (_, down) in &mut named {
        *down = down.max(at_least);
        at_least = *down + BETWEEN_NAMES;
    }
    // Names below the lower edge are moved up again.
    let mut at_most = HEIGHT - 2.0;
    for (_, down) in named.iter_mut().rev() {
        *down = down.min(at_most);
        at_most = *down - BETWEEN_NAMES;
    }
    named
}

fn day_marks(last: usize) -> impl Iterator<Item = usize> {
    let step = match last {
        0..=10 => 1,
        11..=30 => 5,
        _ => 15,
    };
    (0..=last).step_by(step)
}

fn title(curves: &[Curve<'_>], day: usize) -> String {
    let mut text = format!("day {day}");
    for curve in curves {
        if let Some(share) = curve.shares.get(day).copied().flatten() {
            text.push_str(&format!(
                "\n{}: {}",
                value::text(&curve.release.name),
                figures::share(share, 1.0)
            ));
        }
    }
    text
}

fn figures_behind(curves: &[Curve<'_>], days: usize) -> Markup {
    let columns: Vec<Markup> = curves
        .iter()
        .map(|curve| value::cell(&curve.release.name))
        .collect();
    let row = |day: usize| {
        let cells = curves
            .iter()
            .map(|curve| percents(curve.shares.get(day).copied().flatten()));
        (format!("day {day}"), cells.collect())
    };
    behind(&columns, (0..days).map(row).collect())
}
