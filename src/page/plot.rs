//! The frame that all charts over time share: lines with figures at the left, dates below, and layers of SVG
//! between them. Shapes are stretched to the width of the page; texts and what is hovered over are not, so they
//! are in a layer of their own, in percent.

use maud::{Markup, html};

use super::scale::Scale;

/// Shapes are drawn on so many units.
pub const WIDTH: f64 = 1000.0;
pub const HEIGHT: f64 = 240.0;

/// A text below the chart, and where, from 0 to 1.
pub struct Mark {
    pub at: f64,
    pub text: String,
}

/// A chart.
pub struct Plot<'a> {
    /// What the chart is, for those who cannot see it.
    pub label: &'a str,
    pub scale: Scale,
    /// How a figure at a line is written.
    pub figure: fn(f64) -> String,
    pub marks: Vec<Mark>,
    /// Stretched.
    pub shapes: Markup,
    /// Not stretched.
    pub over: Markup,
}

impl Plot<'_> {
    pub fn markup(&self) -> Markup {
        let lines = self.scale.figures().map(|figure| self.scale.down(figure));
        html! {
            div.plot {
                div.y aria-hidden="true" {
                    @for figure in self.scale.figures() { span { ((self.figure)(figure)) } }
                }
                div.area {
                    svg.shapes viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(self.label) {
                        @for down in lines {
                            line.grid x1="0" x2=(WIDTH) y1=(px(down * HEIGHT)) y2=(px(down * HEIGHT)) {}
                        }
                        (self.shapes)
                    }
                    svg.over { (self.over) }
                }
                svg.x aria-hidden="true" {
                    @for mark in &self.marks {
                        text x=(percent(mark.at)) y="14" text-anchor=(anchor(mark.at)) { (mark.text) }
                    }
                }
            }
        }
    }
}

/// At either end, a text must not leave the chart.
pub fn anchor(at: f64) -> &'static str {
    match at {
        at if at < 0.04 => "start",
        at if at > 0.96 => "end",
        _ => "middle",
    }
}

/// A coordinate, with as few digits as can be seen.
pub fn px(at: f64) -> String {
    let text = format!("{at:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A tenth of a percent is less than a pixel.
pub fn percent(part: f64) -> String {
    let text = format!("{:.1}", part * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned() + "%"
}

/// A line through points, as the data of a path. Across, a unit is less than a pixel or two.
pub fn line(points: &[(f64, f64)]) -> String {
    let mut data = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let command = if at == 0 { 'M' } else { 'L' };
        data.push_str(&format!("{command}{x:.0} {}", px(*y)));
    }
    data
}

/// What is between a line and the bottom.
pub fn filled(points: &[(f64, f64)]) -> String {
    let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else {
        return String::new();
    };
    format!(
        "{}L{} {HEIGHT}L{} {HEIGHT}z",
        line(points),
        px(*last),
        px(*first)
    )
}
