//! Renders an [`Overview`] as one HTML document with SVG charts. The document has no JavaScript, loads nothing from
//! other hosts, and has one inline style sheet, which [`POLICY`] allows by its hash.
//!
//! Architecture invariants: this module reads no file and no clock. It never writes text that a client chose without
//! escaping it and replacing its invisible characters. An unknown figure is a gap, never zero.

mod adoption;
mod area;
mod attribution;
mod card;
mod coverage;
mod fields;
mod figures;
mod head;
mod map;
mod operator;
mod palette;
mod plot;
mod scale;
mod series;
mod table;
mod tiles;
mod value;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::totals::LeftOutRow;
use crate::totals::overview::{Dimension, Overview};
use crate::totals::report::Part;
use palette::Palette;

pub use adoption::DAYS as SPREAD_DAYS;
pub use figures::short;
pub use operator::RuleCounts;
pub use palette::RELEASES;

/// The page's only style sheet.
const STYLE: &str = include_str!("style.css");
/// `Content-Security-Policy` of a page: allows only its own style sheet. A test compares the hash.
pub const POLICY: &str = "default-src 'none'; style-src 'sha256-zAjZ2w9O7i71LYEtt/n7W7lI95Z6HgtZfY0pbzDfRpg='; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The content of a page, and its audience.
#[derive(Debug)]
pub struct Shown<'a> {
    pub application: &'a str,
    pub overview: &'a Overview,
    /// Newest first.
    pub releases: &'a [Release],
    /// The type of the geography database, as it names itself.
    pub geodb: Option<&'a str>,
    pub range: &'a Range,
    pub audience: Audience<'a>,
}

/// The reader of a page.
#[derive(Clone, Copy, Debug)]
pub enum Audience<'a> {
    /// Sees everything.
    Operator {
        /// URL that takes check-ins, without the path.
        check_in_url: &'a str,
        /// Keys that were left out of check-ins, most check-ins first.
        left_out: &'a [LeftOutRow],
        rules: &'a [RuleCounts],
    },
    /// Sees no value that fewer than `least` installations have.
    Public { least: u32 },
}

/// A version that the operator has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub name: String,
    pub version: semver::Version,
    /// In seconds since 1970.
    pub date: i64,
    pub is_latest: bool,
}

/// The requested range, as links write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// `last=90d` or `from=2026-01-01&to=2026-02-01`; escaped for a URL.
    pub query: String,
    /// Its name among [`RANGES`].
    pub name: Option<&'static str>,
}

/// Names of the ranges, and their values of `last=`.
pub const RANGES: [(&str, &str); 6] = [
    ("24 h", "24h"),
    ("7 d", "7d"),
    ("30 d", "30d"),
    ("90 d", "90d"),
    ("1 y", "365d"),
    ("all", "all"),
];

/// Renders the page.
pub fn render(shown: &Shown<'_>) -> String {
    let title = format!("{}: active installations", value::text(shown.application));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head::head(shown))
                main { (sections(shown)) }
                (attribution::footer(shown))
            }
        }
    };
    page.into_string()
}

/// The sections; those that an operator needs first come first.
fn sections(shown: &Shown<'_>) -> Markup {
    let overview = shown.overview;
    let versions = overview.dimension("app_version");
    let palette = Palette::of(versions, shown.releases);
    if overview.is_empty {
        return head::nothing_yet(shown);
    }
    let tags = overview.dimensions.iter().filter(|one| is_tag(one));
    let numbers = overview.dimensions.iter().filter(|one| is_numeric(one));
    html! {
        (tiles::tiles(shown))
        @if let Some(versions) = versions {
            (area::card(shown, versions, &palette))
            (table::card(shown, versions, &palette))
            (adoption::cards(shown, &palette))
        }
        (map::cards(shown))
        @for tag in tags {
            @let palette = Palette::plain(tag);
            (area::card(shown, tag, &palette))
            (table::card(shown, tag, &palette))
        }
        @for field in numbers { (fields::card(shown, field)) }
        @if let Audience::Operator { left_out, rules, .. } = shown.audience {
            (operator::rules(shown, rules))
            (operator::left_out(shown, left_out))
        }
        (coverage::card(shown))
        @if !overview.not_shown.is_empty() {
            p.note { "Not shown, because the page is full: " (value::text(&overview.not_shown.join(", "))) "." }
        }
    }
}

fn is_tag(dimension: &Dimension) -> bool {
    let built_in = ["app_version", "country", "city"];
    !built_in.contains(&dimension.name.as_str()) && !is_numeric(dimension)
}

fn is_numeric(dimension: &Dimension) -> bool {
    let mut rows = dimension.over_time.rows.iter().chain(&dimension.current);
    rows.any(|row| matches!(row.part, Part::Numbers(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    use base64::prelude::{BASE64_STANDARD, Engine};

    #[test]
    fn the_policy_names_the_style_sheet_by_its_hash() {
        let mut sum = Command::new("sha256sum")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        sum.stdin
            .take()
            .unwrap()
            .write_all(STYLE.as_bytes())
            .unwrap();
        let output = String::from_utf8(sum.wait_with_output().unwrap().stdout).unwrap();
        let hex = output.split(' ').next().unwrap();
        let pairs = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        let expected = BASE64_STANDARD.encode(pairs.collect::<Vec<u8>>());
        assert!(
            POLICY.contains(&format!("'sha256-{expected}'")),
            "style.css changed: its hash is {expected}"
        );
    }
}
