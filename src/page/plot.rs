//! The frame of all charts over time: horizontal lines with figures at the left, dates below, and two layers of SVG.
//!
//! The layer of shapes is stretched to the width of the page. Texts and tooltips must not be stretched, so their
//! layer has positions in percent.

use maud::{Markup, html};

use super::scale::Scale;

/// Width and height of the layer of shapes, in units of its drawing.
pub const WIDTH: f64 = 1000.0;
pub const HEIGHT: f64 = 240.0;

/// A text below the chart, and its horizontal position from 0 to 1.
pub struct Mark {
    pub at: f64,
    pub text: String,
}

/// A chart over time.
pub struct Plot<'a> {
    /// The chart's description for screen readers.
    pub label: &'a str,
    pub scale: Scale,
    /// The format of the figures at the lines.
    pub figure: fn(f64) -> String,
    pub marks: Vec<Mark>,
    /// The layer that is stretched.
    pub shapes: Markup,
    /// The layer that is not stretched.
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

/// The anchor of a text, which keeps a text at either end inside the chart.
pub fn anchor(at: f64) -> &'static str {
    match at {
        at if at < 0.04 => "start",
        at if at > 0.96 => "end",
        _ => "middle",
    }
}

/// A coordinate with at most one decimal; further ones cannot be seen.
fn px(at: f64) -> String {
    let text = format!("{at:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A part in percent with at most one decimal, which is about a pixel.
pub fn percent(part: f64) -> String {
    let text = format!("{:.1}", part * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned() + "%"
}

/// A line through points, as the data of a path: the first point, then steps, which take a third less text than points.
/// Horizontal positions are whole units, of two pixels at most; vertical ones have one decimal.
pub fn line(points: &[(f64, f64)]) -> String {
    let mut data = String::new();
    let mut last = (0, 0);
    for (at, (x, y)) in points.iter().enumerate() {
        let point = (x.round() as i64, (y * 10.0).round() as i64);
        match at {
            0 => data.push('M'),
            1 => data.push('l'),
            _ => {}
        }
        push_number(&mut data, (point.0 - last.0) * 10);
        push_number(&mut data, point.1 - last.1);
        last = point;
    }
    data
}

/// Adds a number of tenths to the data of a path. A sign also separates two numbers.
fn push_number(data: &mut String, tenths: i64) {
    if tenths >= 0 && data.ends_with(|c: char| c.is_ascii_digit()) {
        data.push(' ');
    }
    if tenths < 0 {
        data.push('-');
    }
    let (whole, rest) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
    if whole > 0 || rest == 0 {
        data.push_str(&whole.to_string());
    }
    if rest > 0 {
        data.push_str(&format!(".{rest}"));
    }
}

/// The area between a line and the bottom, as the data of a path.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_its_first_point_and_steps() {
        let points = [(0.0, 58.44), (6.2, 57.9), (17.0, 70.0), (28.0, 70.0)];
        assert_eq!(line(&points), "M0 58.4l6-.5 11 12.1 11 0");
        assert_eq!(line(&points[..1]), "M0 58.4");
        assert_eq!(filled(&points[..2]), "M0 58.4l6-.5L6.2 240L0 240z");
    }
}
