//! Which value has which colour: the same one in every chart and table of a page.
//!
//! The colours are told apart with any of the common colour blindnesses, and neighbours differ in brightness
//! too; the style sheet has them, for light and for dark.

use std::cmp::Ordering;
use std::collections::HashMap;

use semver::Version;

use super::Release;
use crate::totals::overview::{Dimension, values};
use crate::totals::public::OTHER;
use crate::units::version::parse_version;

/// Colours beside the grey of `other`.
const COLOURS: usize = 8;
/// Releases that are compared.
pub const RELEASES: usize = 5;

/// The values that have a colour, in the order in which they are shown.
#[derive(Debug)]
pub struct Palette {
    shown: Vec<String>,
    /// Classes by value.
    colours: HashMap<String, usize>,
}

impl Palette {
    /// Versions, newest first: those with the most installations, and the last releases.
    pub fn of(versions: Option<&Dimension>, releases: &[Release]) -> Palette {
        let mut shown = versions.map_or_else(Vec::new, greatest);
        shown.sort_by(|a, b| newest_first(a, b));
        let last = releases.iter().take(RELEASES);
        let unseen = last.filter(|release| !shown.iter().any(|value| is_release(value, release)));
        let unseen: Vec<String> = unseen.map(|release| release.name.clone()).collect();
        let mut coloured = [shown.clone(), unseen].concat();
        coloured.sort_by(|a, b| newest_first(a, b));
        let mut palette = Palette::new(shown, &coloured);
        // What clients write in another way than the release has the release's colour.
        for release in releases {
            let same = coloured.iter().position(|value| is_release(value, release));
            if let Some(at) = same {
                palette.colours.insert(release.name.clone(), at % COLOURS);
            }
        }
        palette
    }

    /// Values of a tag, the one with the most installations first.
    pub fn plain(dimension: &Dimension) -> Palette {
        let shown = greatest(dimension);
        Palette::new(shown.clone(), &shown)
    }

    fn new(shown: Vec<String>, coloured: &[String]) -> Palette {
        let colours = coloured.iter().enumerate();
        // More than there are colours begin again; only releases that nobody uses can be so many.
        let colours = colours.map(|(at, value)| (value.clone(), at % COLOURS));
        Palette {
            shown,
            colours: colours.collect(),
        }
    }

    /// The values that have a place of their own, in their order.
    pub fn shown(&self) -> &[String] {
        &self.shown
    }

    /// The class of a value's colour.
    pub fn class(&self, value: &str) -> &'static str {
        const CLASSES: [&str; COLOURS] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
        self.colours
            .get(value)
            .map_or("cx", |at| CLASSES[at % COLOURS])
    }
}

/// The values with the most installations now; then of the whole span.
fn greatest(dimension: &Dimension) -> Vec<String> {
    let mut sums: HashMap<&str, (f64, f64)> = HashMap::new();
    for value in dimension.current.iter().flat_map(values) {
        sums.entry(&value.value).or_default().0 += value.total;
    }
    for value in dimension.over_time.rows.iter().flat_map(values) {
        sums.entry(&value.value).or_default().1 += value.total;
    }
    sums.remove(OTHER);
    let rows = dimension.over_time.rows.len().max(1) as f64;
    let weight = |(now, sum): &(f64, f64)| now.max(sum / rows);
    let mut ranked: Vec<(&str, f64, f64)> = sums
        .iter()
        .map(|(value, sums)| (*value, weight(sums), sums.0))
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    ranked.truncate(COLOURS);
    ranked.sort_by(|a, b| {
        b.2.total_cmp(&a.2)
            .then(b.1.total_cmp(&a.1))
            .then_with(|| a.0.cmp(b.0))
    });
    ranked
        .into_iter()
        .map(|(value, ..)| value.to_owned())
        .collect()
}

/// By precedence where both are versions; what is none comes last.
fn newest_first(a: &str, b: &str) -> Ordering {
    let read = |text: &str| -> Option<Version> { parse_version(text) };
    match (read(a), read(b)) {
        (Some(a_version), Some(b_version)) => b_version.cmp(&a_version).then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Whether a client's version is this release, however either writes it.
pub fn is_release(value: &str, release: &Release) -> bool {
    value == release.name || parse_version(value).is_some_and(|version| version == release.version)
}
