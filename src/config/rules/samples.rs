//! Sample versions for comparing constraints: each version that a constraint names, and its neighbours.
//!
//! The result of a constraint changes only at these versions, so a statement that is true for all samples is true
//! for every version. A sample must never be left out to save time.

use semver::{BuildMetadata, Prerelease, Version};

use super::constraint::Constraint;

/// The versions at which the result of one of the constraints can change.
fn around(constraints: &[&Constraint]) -> Vec<Version> {
    let mut samples = Vec::new();
    for lowest in [Version::new(0, 0, 0), Version::new(0, 0, 1)] {
        samples.extend(with_pre_releases(&lowest, &Prerelease::EMPTY));
        samples.push(lowest);
    }
    for named in constraints.iter().flat_map(|constraint| constraint.named()) {
        let (major, minor, patch) = (named.major, named.minor, named.patch);
        let (next_major, next_minor) = (major.saturating_add(1), minor.saturating_add(1));
        let edges = [
            (major, minor, patch),
            (major, minor, 0),
            (major, 0, 0),
            (major, next_minor, 0),
            (next_major, 0, 0),
        ];
        for (major, minor, patch) in edges {
            let edge = Version::new(major, minor, patch);
            let behind = Version::new(major, minor, patch.saturating_add(1));
            for version in [edge, behind] {
                samples.extend(with_pre_releases(&version, &named.pre));
                samples.push(version);
            }
        }
    }
    samples
}

/// A low and a high pre-release of a version, `named`, and the one that follows `named`.
fn with_pre_releases(version: &Version, named: &Prerelease) -> impl Iterator<Item = Version> {
    let texts = [
        "0".to_owned(),
        "zzz".to_owned(),
        named.to_string(),
        format!("{named}.0"),
    ];
    let pre = texts
        .into_iter()
        .filter_map(|text| Prerelease::new(&text).ok());
    let (major, minor, patch) = (version.major, version.minor, version.patch);
    pre.map(move |pre| Version {
        major,
        minor,
        patch,
        pre,
        build: BuildMetadata::EMPTY,
    })
}

/// Whether any version meets the constraint.
pub fn can_be_met(constraint: &Constraint) -> bool {
    around(&[constraint])
        .iter()
        .any(|version| constraint.is_met_by(version))
}

/// Whether every version that meets one of `narrow` also meets one of `wide`.
pub fn covers(wide: &[&Constraint], narrow: &[&Constraint]) -> bool {
    let all: Vec<&Constraint> = wide.iter().chain(narrow).copied().collect();
    let met = |by: &[&Constraint], version: &Version| by.iter().any(|c| c.is_met_by(version));
    around(&all)
        .iter()
        .all(|version| !met(narrow, version) || met(wide, version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::version::parse_version;

    fn read(text: &str) -> Constraint {
        Constraint::parse(text).unwrap()
    }

    #[test]
    fn a_constraint_covers_what_lies_within_it() {
        for (wide, narrow, expected) in [
            ("<1.17.0", "<1.17.0", true),
            ("<1.17.0", "<1.16", true),
            ("<1.17.0", "<=1.17.0", false),
            ("<1.17.0", "<1.17.0-rc.1", false),
            ("<1.17.0-0", "<1.17.0", true),
            ("*", "<1.0.0", true),
            ("*", "<1.0.0-0", false),
            (">=1 <2 || >=3", "^1.2 || ~4", true),
            (">=1 <2 || >=3", "^1.2 || ~2.5", false),
            ("!=1.2.3", "1.2.4", true),
            ("!=1.2.3", ">=1.2.3", false),
            // `0.0.0-a` meets the second only.
            ("!=1", "<1-0", false),
        ] {
            let (wide, narrow) = (read(wide), read(narrow));
            assert_eq!(covers(&[&wide], &[&narrow]), expected, "{wide} {narrow}");
        }
    }

    proptest! {
        /// The numbers are small, so that versions often meet constraints.
        #[test]
        fn what_is_covered_is_covered_for_every_version(
            wide in "(|!=|<|>|<=|>=|~|\\^)[0-2](\\.[0-2x]){0,2}(-a|-0)?( (<|>=)[0-2]\\.[0-2])?",
            narrow in "(|!=|<|>|<=|>=|~|\\^)[0-2](\\.[0-2x]){0,2}(-a|-0)?( (<|>=)[0-2]\\.[0-2])?",
            version in "[0-3]\\.[0-3]\\.[0-3](-a|-0|-b\\.1)?",
        ) {
            let (wide, narrow) = (read(&wide), read(&narrow));
            let version = parse_version(&version).unwrap();
            let met = narrow.is_met_by(&version);
            prop_assert!(!met || can_be_met(&narrow));
            if covers(&[&wide], &[&narrow]) {
                prop_assert!(!met || wide.is_met_by(&version));
            }
        }
    }

    #[test]
    fn a_constraint_that_contradicts_itself_is_seen() {
        for (text, expected) in [
            (">2 <1", false),
            (">=1.2.3 <1.2.3", false),
            ("~1.2 !=1.2", false),
            (">1.2.3 <1.2.5", true),
            ("<0.0.1", true),
            ("<0.0.0", false),
            ("<0.0.0-1", true),
        ] {
            assert_eq!(can_be_met(&read(text)), expected, "{text}");
        }
    }
}
