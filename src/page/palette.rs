//! The colour of each value, which is the same in the charts and tables of a page.
//!
//! The colours can be told apart with any of the common colour blindnesses, and neighbours differ in brightness
//! too. The style sheet defines them, for light and for dark.

use std::cmp::Ordering;
use std::collections::HashMap;

use semver::Version;

use super::Release;
use crate::totals::overview::{Dimension, values};
use crate::totals::public::OTHER;
use crate::units::version::parse_version;

/// Number of colours, without the grey of `other`.
const COLOURS: usize = 8;
/// Number of releases whose adoption is compared.
pub const RELEASES: usize = 5;

/// The values that have a colour, in the order in which they are shown.
#[derive(Debug)]
pub struct Palette {
    shown: Vec<String>,
    /// Index of each value's colour.
    colours: HashMap<String, usize>,
}

impl Palette {
    /// The palette of the versions with the most installations, newest first. The last releases have colours too.
    pub fn of(versions: Option<&Dimension>, releases: &[Release]) -> Palette {
        let mut shown = versions.map_or_else(Vec::new, greatest);
        shown.sort_by(|a, b| newest_first(a, b));
        let last = releases.iter().take(RELEASES);
        let unseen = last.filter(|release| !shown.iter().any(|value| is_release(value, release)));
        let unseen: Vec<String> = unseen.map(|release| release.name.clone()).collect();
        let mut coloured = [shown.clone(), unseen].concat();
        coloured.sort_by(|a, b| newest_first(a, b));
        let mut palette = Palette::new(shown, &coloured);
        // A release has the colour of its version in check-ins, even if the two are written differently.
        for release in releases {
            let same = coloured.iter().position(|value| is_release(value, release));
            if let Some(at) = same {
                palette.colours.insert(release.name.clone(), at % COLOURS);
            }
        }
        palette
    }

    /// The palette of a tag's values, the one with the most installations first.
    pub fn plain(dimension: &Dimension) -> Palette {
        let shown = greatest(dimension);
        Palette::new(shown.clone(), &shown)
    }

    fn new(shown: Vec<String>, coloured: &[String]) -> Palette {
        let colours = coloured.iter().enumerate();
        // Colours repeat after the last one, which only releases outside the most frequent versions can cause.
        let colours = colours.map(|(at, value)| (value.clone(), at % COLOURS));
        Palette {
            shown,
            colours: colours.collect(),
        }
    }

    /// The values that charts and tables show by name, in order.
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

/// The values with the most installations, now or on average over the span; those with the most now come first.
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

/// Order by precedence, newest first; values that are not versions come last.
fn newest_first(a: &str, b: &str) -> Ordering {
    let read = |text: &str| -> Option<Version> { parse_version(text) };
    match (read(a), read(b)) {
        (Some(a_version), Some(b_version)) => b_version.cmp(&a_version).then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Whether a client's version is this release, even if the two are written differently.
pub fn is_release(value: &str, release: &Release) -> bool {
    value == release.name || parse_version(value).is_some_and(|version| version == release.version)
}
