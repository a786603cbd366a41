//! The world map of installations in five steps of colour, and the tables of countries and cities.
//!
//! The outlines are Natural Earth's; `map/make-outlines.py` has the commands that generate the file.

use std::collections::HashMap;
use std::sync::LazyLock;

use maud::{Markup, html};

use super::card::{Card, Width};
use super::{Shown, figures, table, value};
use crate::totals::overview::values;
use crate::totals::report::ValueTotal;

const OUTLINES: &str = include_str!("map/outlines.txt");
/// Number of steps of colour; their scale is logarithmic.
const STEPS: usize = 5;
/// Radius of the dot that stands for a small country, in units of the drawing.
const DOT: f64 = 2.5;

/// The drawing: its size, and the shape of each country by its ISO code.
struct World {
    width: f64,
    height: f64,
    shapes: Vec<(&'static str, Shape)>,
}

enum Shape {
    Path(&'static str),
    Dot(f64, f64),
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut lines = OUTLINES.lines().filter_map(|line| line.split_once('\t'));
    let number = |text: &str| text.parse().unwrap_or_default();
    let (width, height) = lines.next().map_or((0.0, 0.0), |(width, height)| {
        (number(width), number(height))
    });
    let shape = |data: &'static str| match data.split_once(',') {
        Some((x, y)) if !data.starts_with('M') => Shape::Dot(number(x), number(y)),
        _ => Shape::Path(data),
    };
    World {
        width,
        height,
        shapes: lines.map(|(code, data)| (code, shape(data))).collect(),
    }
});

/// The map and the tables, or nothing if the page shows no places.
pub fn cards(shown: &Shown<'_>) -> Markup {
    let countries = shown.overview.dimension("country");
    let cities = shown.overview.dimension("city");
    let current = countries.and_then(|countries| countries.current.as_ref());
    let totals = current.map_or(&[][..], values);
    let whole = current.and_then(|row| row.total).unwrap_or_default();
    let names: HashMap<String, String> = totals
        .iter()
        .filter_map(|one| Some((one.value.clone(), one.name.clone()?)))
        .collect();
    html! {
        @if let Some(countries) = countries {
            (Card::new("where", Width::Wide, html! { "Where" }, world(totals, whole)).data("country").markup(shown))
            (Card::new("countries", Width::Narrow, html! { "Countries" }, table::places(shown, countries, &names)).markup(shown))
        }
        @if let Some(cities) = cities.filter(|cities| cities.current.as_ref().is_some_and(|row| !values(row).is_empty())) {
            (Card::new("cities", Width::Full, html! { "Cities" }, table::places(shown, cities, &names)).data("city").markup(shown))
        }
    }
}

fn world(totals: &[ValueTotal], whole: f64) -> Markup {
    let by_code: HashMap<&str, &ValueTotal> =
        totals.iter().map(|one| (one.value.as_str(), one)).collect();
    let mut nobody = String::new();
    let mut somebody = Vec::new();
    for (code, shape) in &WORLD.shapes {
        match (by_code.get(code).filter(|one| one.total > 0.0), shape) {
            (Some(one), shape) => somebody.push((shape, *one)),
            (None, Shape::Path(data)) => nobody.push_str(data),
            (None, Shape::Dot(..)) => {}
        }
    }
    let scale = Steps::of(somebody.iter().map(|(_, one)| one.total));
    html! {
        svg.map viewBox={ "0 0 " (WORLD.width) " " (WORLD.height) } role="img" aria-label="installations by country" {
            // Dots are drawn only for small countries that have installations.
            path d=(nobody) {}
            @for (shape, one) in somebody {
                g.(scale.class(one.total)) {
                    (drawing(shape))
                    title { (value::text(one.name.as_deref().unwrap_or(&one.value))) ": " (figures::count(one.total)) " (" (figures::share(one.total, whole)) ")" }
                }
            }
        }
        (scale.legend())
    }
}

fn drawing(shape: &Shape) -> Markup {
    html! {
        @match shape {
            Shape::Path(data) => path d=(data) {},
            Shape::Dot(x, y) => circle cx=(x) cy=(y) r=(DOT) {},
        }
    }
}

/// The scale that assigns a step of colour to a figure.
struct Steps {
    greatest: f64,
}

impl Steps {
    fn of(totals: impl Iterator<Item = f64>) -> Steps {
        Steps {
            greatest: totals.fold(1.0, f64::max),
        }
    }

    /// The upper bound of each step: the greatest figure of all to the power of 1/5, 2/5 and so on.
    fn bounds(&self) -> [f64; STEPS] {
        std::array::from_fn(|step| self.greatest.powf((step + 1) as f64 / STEPS as f64))
    }

    fn step(&self, total: f64) -> usize {
        let below = self
            .bounds()
            .iter()
            .filter(|bound| total > **bound + 1e-9)
            .count();
        below.min(STEPS - 1)
    }

    fn class(&self, total: f64) -> &'static str {
        ["m1", "m2", "m3", "m4", "m5"][self.step(total)]
    }

    fn legend(&self) -> Markup {
        let mut lower = 1.0;
        let mut steps = Vec::new();
        for (step, bound) in self.bounds().into_iter().enumerate() {
            // Steps that contain no whole number are left out.
            let upper = bound.floor();
            if upper >= lower {
                let text = if upper > lower {
                    format!("{}–{}", figures::short(lower), figures::short(upper))
                } else {
                    figures::short(lower)
                };
                steps.push((step, text));
                lower = upper + 1.0;
            }
        }
        html! {
            ul.legend {
                li { i.swatch.m0 {} "none" }
                @for (step, text) in steps {
                    li { i.swatch.(["m1", "m2", "m3", "m4", "m5"][step]) {} (text) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outline_is_read_and_no_code_is_there_twice() {
        let codes: std::collections::HashSet<&str> =
            WORLD.shapes.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.len(), WORLD.shapes.len());
        assert!(
            codes.len() > 200 && codes.contains("DE") && codes.contains("SG"),
            "{}",
            codes.len()
        );
        assert!(WORLD.width > WORLD.height && WORLD.height > 100.0);
        for (code, shape) in &WORLD.shapes {
            match shape {
                Shape::Path(data) => assert!(
                    data.starts_with('M') && data.ends_with('z'),
                    "{code}: {data}"
                ),
                Shape::Dot(x, y) => assert!(*x > 0.0 && *y > 0.0, "{code}"),
            }
        }
    }

    #[test]
    fn steps_are_powers_and_the_greatest_is_in_the_last() {
        let steps = Steps {
            greatest: 100_000.0,
        };
        for (total, class) in [
            (1.0, "m1"),
            (10.0, "m1"),
            (11.0, "m2"),
            (100.0, "m2"),
            (99_000.0, "m5"),
            (100_000.0, "m5"),
        ] {
            assert_eq!(steps.class(total), class, "of {total}");
        }
        assert_eq!(Steps::of([].into_iter()).class(1.0), "m1");
    }
}
