//! Charts of values over time as stacked areas, with the newest version or the most frequent value on top.

use maud::{Markup, html};

use super::card::{Card, Width, behind, start};
use super::palette::Palette;
use super::plot::{HEIGHT, Mark, Plot, WIDTH, filled, percent};
use super::scale::{Scale, dates};
use super::series::{Series, drawn, known_stretches, series};
use super::{Release, Shown, figures, value};
use crate::totals::overview::Dimension;
use crate::totals::report::Row;

/// Least distance of two named releases, as a part of the width.
const ROOM_FOR_NAME: f64 = 0.08;
/// Position from which on a release's name is left of its line.
const LEFT_OF_LINE: f64 = 0.85;

/// The chart of a dimension; that of versions shows releases as dashed lines.
pub fn card(shown: &Shown<'_>, dimension: &Dimension, palette: &Palette) -> Markup {
    let every = shown.overview.every;
    let all = series(dimension, palette.shown(), every);
    let rows = drawn(&dimension.over_time.rows, every);
    let is_versions = dimension.name == "app_version";
    let title = match is_versions {
        true => html! { "Versions over time" },
        false => html! { (value::cell(&dimension.name)) " over time" },
    };
    let body = match Time::of(rows) {
        None => html! { p.note { "No finished period in this range yet." } },
        Some(time) => html! {
            (plot(shown, &time, &all, palette, is_versions, &dimension.name).markup())
            (figures_behind(rows, &all))
        },
    };
    let id = format!("{}-over-time", dimension.name);
    let card = Card::new(&id, Width::Wide, title, body);
    card.data(&dimension.name).markup(shown)
}

/// The rows of a chart and the time that they span.
pub struct Time<'a> {
    pub rows: &'a [Row],
    from: i64,
    to: i64,
}

impl<'a> Time<'a> {
    pub fn of(rows: &'a [Row]) -> Option<Time<'a>> {
        let (first, last) = (rows.first()?, rows.last()?);
        let to = last.start.saturating_add(last.seconds as i64);
        (to > first.start).then_some(Time {
            rows,
            from: first.start,
            to,
        })
    }

    /// The horizontal position of a moment, from 0 to 1.
    pub fn at(&self, moment: i64) -> f64 {
        (moment - self.from) as f64 / (self.to - self.from) as f64
    }

    /// The horizontal positions of the beginning and the end of a row.
    pub fn edges(&self, row: &Row) -> (f64, f64) {
        let begin = self.at(row.start);
        (
            begin,
            self.at(row.start.saturating_add(row.seconds as i64))
                .min(1.0),
        )
    }

    pub fn marks(&self) -> Vec<Mark> {
        let dates = dates(self.from, self.to).into_iter();
        dates
            .map(|(at, text)| Mark {
                at: self.at(at),
                text,
            })
            .collect()
    }

    /// The points of a line through a stretch of rows, from the first row's beginning to the last row's end.
    pub fn line(
        &self,
        stretch: std::ops::Range<usize>,
        down: impl Fn(usize) -> f64,
    ) -> Vec<(f64, f64)> {
        let last = stretch.end - 1;
        let mut points = Vec::with_capacity(stretch.len() + 2);
        points.push((
            self.edges(&self.rows[stretch.start]).0 * WIDTH,
            down(stretch.start),
        ));
        for at in stretch {
            let (begin, end) = self.edges(&self.rows[at]);
            points.push(((begin + end) / 2.0 * WIDTH, down(at)));
        }
        points.push((self.edges(&self.rows[last]).1 * WIDTH, down(last)));
        points
    }

    /// A hatched rectangle for each stretch of rows without a known total.
    pub fn gaps(&self) -> Markup {
        let gaps = known_stretches(self.rows.iter().map(|row| row.total.is_none()));
        html! {
            @for gap in gaps {
                @let begin = self.edges(&self.rows[gap.start]).0;
                @let end = self.edges(&self.rows[gap.end - 1]).1;
                rect.gap x=(percent(begin)) width=(percent(end - begin)) y="0" height="100%" {
                    title { "unknown: not covered" }
                }
            }
        }
    }

    /// An invisible rectangle over each known row; its tooltip has the row's figures.
    pub fn hover(&self, title: impl Fn(usize) -> String) -> Markup {
        html! {
            g.hit {
                @for (at, row) in self.rows.iter().enumerate() {
                    @if row.total.is_some() {
                        @let (begin, end) = self.edges(row);
                        rect x=(percent(begin)) width=(percent(end - begin)) { title { (title(at)) } }
                    }
                }
            }
        }
    }
}

fn plot<'a>(
    shown: &Shown<'_>,
    time: &Time<'_>,
    all: &[Series],
    palette: &Palette,
    is_versions: bool,
    label: &'a str,
) -> Plot<'a> {
    let greatest = time
        .rows
        .iter()
        .filter_map(|row| row.total)
        .fold(0.0, f64::max);
    let scale = Scale::for_greatest(greatest);
    let stretches = known_stretches(time.rows.iter().map(|row| row.total.is_some()));
    Plot {
        label,
        scale,
        figure: figures::short,
        marks: time.marks(),
        shapes: html! {
            // Drawn from the top of the stack down: each area reaches to the bottom and hides a part of the one before.
            @for (at, one) in all.iter().enumerate() {
                @for stretch in &stretches {
                    @let points = time.line(stretch.clone(), |row| scale.down(sum(&all[at..], row)) * HEIGHT);
                    path.(class(one, palette)) d=(filled(&points)) {}
                }
            }
        },
        over: html! {
            (time.gaps())
            @if is_versions { (releases(shown, time)) }
            (time.hover(|at| title(&time.rows[at], at, all)))
        },
    }
}

/// The height of a stack of values at a row; an unknown value has no height.
fn sum(all: &[Series], row: usize) -> f64 {
    all.iter().filter_map(|one| one.figures[row]).sum()
}

pub fn class(one: &Series, palette: &Palette) -> &'static str {
    one.value
        .as_deref()
        .map_or("cx", |value| palette.class(value))
}

fn title(row: &Row, at: usize, all: &[Series]) -> String {
    let total = row.total.unwrap_or_default();
    let mut text = format!(
        "{}: {}",
        start(row.start, row.seconds),
        figures::count(total)
    );
    for one in all {
        if let Some(figure) = one.figures[at].filter(|figure| *figure > 0.0) {
            let share = figures::share(figure, total);
            text.push_str(&format!(
                "\n{}: {} ({share})",
                value::text(one.label()),
                figures::count(figure)
            ));
        }
    }
    text
}

/// The releases within the chart's time as dashed lines, with a name where it does not overlap the one before.
fn releases(shown: &Shown<'_>, time: &Time<'_>) -> Markup {
    let within = shown
        .releases
        .iter()
        .map(|release| (time.at(release.date), release));
    let mut within: Vec<(f64, &Release)> =
        within.filter(|(at, _)| (0.0..=1.0).contains(at)).collect();
    within.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut taken_up_to = f64::MIN;
    let named = within.iter().map(|(at, _)| {
        let has_room = at - taken_up_to >= ROOM_FOR_NAME;
        if has_room {
            taken_up_to = *at;
        }
        has_room
    });
    let named: Vec<bool> = named.collect();
    html! {
        @for ((at, release), is_named) in within.into_iter().zip(named) {
            line.release x1=(percent(at)) x2=(percent(at)) y1="0" y2="100%" {}
            @if is_named {
                @let (side, dx) = if at > LEFT_OF_LINE { ("end", "-4") } else { ("start", "4") };
                text.release x=(percent(at)) dx=(dx) y="9" text-anchor=(side) { (value::text(&release.name)) }
            }
        }
    }
}

fn figures_behind(rows: &[Row], all: &[Series]) -> Markup {
    let mut columns = vec![html! { "all" }];
    columns.extend(all.iter().map(|one| value::cell(one.label())));
    let rows = rows.iter().enumerate().map(|(at, row)| {
        let mut cells = vec![figures::known(row.total)];
        cells.extend(all.iter().map(|one| figures::known(one.figures[at])));
        (start(row.start, row.seconds), cells)
    });
    behind(&columns, rows.collect())
}

/// A small line chart without axes, for a row of a table.
pub fn sparkline(one: &Series, class: &str) -> Markup {
    const SPARK_WIDTH: f64 = 100.0;
    const SPARK_HEIGHT: f64 = 20.0;
    let greatest = one
        .figures
        .iter()
        .flatten()
        .copied()
        .fold(0.0, f64::max)
        .max(1.0);
    let last = one.figures.len().saturating_sub(1).max(1) as f64;
    let stretches = known_stretches(one.figures.iter().map(Option::is_some));
    let point = |at: usize| {
        let figure = one.figures[at].unwrap_or_default();
        (
            at as f64 / last * SPARK_WIDTH,
            SPARK_HEIGHT - 1.0 - figure / greatest * (SPARK_HEIGHT - 2.0),
        )
    };
    html! {
        svg.spark.(class) viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true" {
            @for stretch in stretches {
                @let points: Vec<(f64, f64)> = stretch.map(point).collect();
                @if points.len() > 1 { path d=(super::plot::line(&points)) {} }
                @else { path d={ (super::plot::line(&points)) "h1" } {} }
            }
        }
    }
}
