//! The section of a numeric field: its mean over the installations that send it, and its sum over all of them.

use maud::{Markup, html};

use super::area::Time;
use super::card::{Card, Width, behind, start};
use super::plot::{HEIGHT, Plot, line};
use super::scale::Scale;
use super::series::{drawn, known_stretches};
use super::{Shown, figures, value};
use crate::totals::overview::Dimension;
use crate::totals::report::{Numbers, Part, Row};

/// The section with both charts.
pub fn card(shown: &Shown<'_>, field: &Dimension) -> Markup {
    let rows = drawn(&field.over_time.rows, shown.overview.every);
    let mean = |row: &Row| {
        numbers(row)
            .filter(|of| of.count > 0.0)
            .map(|of| of.sum / of.count)
    };
    let sum = |row: &Row| numbers(row).map(|of| of.sum);
    let body = match Time::of(rows) {
        None => html! { p.note { "No finished period in this range yet." } },
        Some(time) => html! {
            div.pair {
                div { h3 { "mean of an installation" } (chart(&time, "mean", mean)) }
                div { h3 { "sum of all" } (chart(&time, "sum", sum)) }
            }
            (behind(&["mean", "sum", "installations"].map(|name| html! { (name) }), rows.iter().map(|row| {
                let count = numbers(row).map(|of| of.count);
                (start(row.start, row.seconds), vec![figure(mean(row)), figure(sum(row)), figures::known(count)])
            }).collect()))
        },
    };
    // A field may have the name of a tag or of another section.
    let id = format!("{}-field", field.name);
    let card = Card::new(&id, Width::Full, value::cell(&field.name), body);
    card.data(&field.name).markup(shown)
}

fn numbers(row: &Row) -> Option<Numbers> {
    match row.part {
        Part::Numbers(numbers) => numbers,
        Part::Values(_) => None,
    }
}

fn figure(figure: Option<f64>) -> String {
    figure.map_or_else(|| figures::UNKNOWN.to_owned(), figures::exact)
}

fn chart(time: &Time<'_>, label: &str, of: impl Fn(&Row) -> Option<f64>) -> Markup {
    let known: Vec<Option<f64>> = time.rows.iter().map(of).collect();
    let scale = Scale::for_greatest(known.iter().flatten().copied().fold(0.0, f64::max));
    let down = |at: usize| scale.down(known[at].unwrap_or_default()) * HEIGHT;
    Plot {
        label,
        scale,
        figure: figures::short,
        marks: time.marks(),
        shapes: html! {
            @for stretch in known_stretches(known.iter().map(Option::is_some)) {
                path.line.c0 d=(line(&time.line(stretch, down))) {}
            }
        },
        over: html! {
            (time.gaps())
            (time.hover(|at| format!("{}: {}", start(time.rows[at].start, time.rows[at].seconds), figure(known[at]))))
        },
    }
    .markup()
}
