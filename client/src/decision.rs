//! The decision that follows from an answer for the application's own version.

use std::cmp::Ordering;

use crate::version::{Version, lenient};

/// The decision for an application.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "each answer has only one, and a box would be inconvenient for every user"
)]
pub enum Decision {
    /// The application's version is the latest supported one, or above it.
    UpToDate {
        /// The latest supported version.
        latest: Version,
    },
    /// There is a newer version, and the application can be upgraded to it.
    Upgrade {
        /// The latest supported version.
        to: Version,
    },
    /// There is a newer version, but the application's version is below its `minUpgradableVersion`.
    ///
    /// If `first` is `None`, the server lists no version that the application can be upgraded to. Then the application
    /// should not start or offer an upgrade. It should tell the user that `then` exists, and where the publisher
    /// describes an upgrade from old versions, for example with a link from [`extra_info`](Version::extra_info).
    StepNeeded {
        /// The highest version below `then` that the application can be upgraded to now; `None` if there is none.
        first: Option<Version>,
        /// The latest supported version.
        then: Version,
    },
    /// The application's own version is not a semantic version, such as `dev`, so nothing is newer or older.
    NotComparable {
        /// The latest supported version.
        latest: Version,
    },
    /// No version is supported where the application runs.
    NoneSupported {
        /// The server's reason, if it gives one.
        reason: Option<String>,
    },
}

impl Decision {
    /// The latest supported version.
    pub fn latest(&self) -> Option<&Version> {
        match self {
            Decision::UpToDate { latest } | Decision::NotComparable { latest } => Some(latest),
            Decision::Upgrade { to } => Some(to),
            Decision::StepNeeded { then, .. } => Some(then),
            Decision::NoneSupported { .. } => None,
        }
    }

    /// Whether the latest supported version is newer than the application's own.
    pub fn is_newer(&self) -> bool {
        matches!(self, Decision::Upgrade { .. } | Decision::StepNeeded { .. })
    }

    /// The decision for the version `own`.
    pub(crate) fn of(own: &str, versions: &[Version]) -> Decision {
        let own = lenient(own);
        let supported = || versions.iter().filter(|version| version.supported);
        let latest = highest(supported().filter(|version| version.has_tag("latest")))
            .or_else(|| highest(supported().filter(|version| is_release(version))))
            .or_else(|| highest(supported()));
        let Some(latest) = latest.cloned() else {
            let reason = reason(versions);
            return Decision::NoneSupported { reason };
        };
        let (Some(own), Some(newest)) = (own, &latest.version) else {
            return Decision::NotComparable { latest };
        };
        if !is_above(newest, &own) {
            return Decision::UpToDate { latest };
        }
        let reachable = |version: &&Version| match &version.min_upgradable_version {
            Some(least) => !is_above(least, &own),
            None => true,
        };
        if reachable(&&latest) {
            return Decision::Upgrade { to: latest };
        }
        let between = |version: &&Version| match &version.version {
            Some(it) => is_above(it, &own) && is_above(newest, it) && reachable(version),
            None => false,
        };
        let releases = || supported().filter(|version| is_release(version));
        let first = highest(releases().filter(between))
            .or_else(|| highest(supported().filter(between)))
            .cloned();
        Decision::StepNeeded {
            first,
            then: latest,
        }
    }
}

/// The highest version above `own` that is not supported.
pub(crate) fn held_back(own: &str, versions: &[Version]) -> Option<Version> {
    let own = lenient(own)?;
    let unsupported = versions.iter().filter(|version| !version.supported);
    let above = |version: &&Version| {
        version
            .version
            .as_ref()
            .is_some_and(|it| is_above(it, &own))
    };
    highest(unsupported.filter(above)).cloned()
}

/// The highest of some versions. A version whose name is not a semantic version is below all others.
fn highest<'a>(versions: impl Iterator<Item = &'a Version>) -> Option<&'a Version> {
    versions.max_by(|one, other| match (&one.version, &other.version) {
        (Some(one), Some(other)) => one.cmp_precedence(other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    })
}

fn is_release(version: &Version) -> bool {
    let release = |version: &semver::Version| version.pre.is_empty();
    version.version.as_ref().is_some_and(release)
}

/// Whether a version has a higher precedence than another; build metadata is ignored.
fn is_above(one: &semver::Version, other: &semver::Version) -> bool {
    one.cmp_precedence(other) == Ordering::Greater
}

/// The reason for which no version is supported: that of the version tagged `latest`, or else of the highest version that
/// has a reason.
fn reason(versions: &[Version]) -> Option<String> {
    let with_reason = || versions.iter().filter(|version| version.reason.is_some());
    let latest = highest(with_reason().filter(|version| version.has_tag("latest")));
    latest.or_else(|| highest(with_reason()))?.reason.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::read;

    /// Versions from `NAME[>MINIMUM][*][!REASON]`: `*` is the tag latest, `!` is not supported.
    fn versions(of: &str) -> Vec<Version> {
        let one = |text: &str| {
            let (text, reason) = match text.split_once('!') {
                Some((text, reason)) => (text, Some(reason)),
                None => (text, None),
            };
            let (text, latest) = match text.strip_suffix('*') {
                Some(text) => (text, r#","tags":["latest"]"#),
                None => (text, ""),
            };
            let (name, least) = text.split_once('>').unwrap_or((text, ""));
            let reason = match reason {
                Some("") => r#","supported":false"#.to_owned(),
                Some(reason) => format!(r#","supported":false,"reason":"{reason}""#),
                None => String::new(),
            };
            format!(r#"{{"name":"{name}","minUpgradableVersion":"{least}"{latest}{reason}}}"#)
        };
        let list: Vec<String> = of.split_whitespace().map(one).collect();
        let body = format!(r#"{{"versions":[{}]}}"#, list.join(","));
        read(body.as_bytes()).unwrap().versions
    }

    fn short(decision: Decision) -> String {
        match decision {
            Decision::UpToDate { latest } => format!("up to date with {}", latest.name),
            Decision::Upgrade { to } => format!("upgrade to {}", to.name),
            Decision::StepNeeded { first, then } => {
                let first = first.map_or("nothing".to_owned(), |first| first.name);
                format!("first {first}, then {}", then.name)
            }
            Decision::NotComparable { latest } => format!("not comparable with {}", latest.name),
            Decision::NoneSupported { reason } => format!("none, {reason:?}"),
        }
    }

    #[test]
    fn decisions() {
        for (own, offered, expected) in [
            ("v1.1.0", "v1.0.0 v1.1.0*", "up to date with v1.1.0"),
            ("1.1", "v1.0.0 v1.1.0*", "up to date with v1.1.0"),
            ("v1.2.0", "v1.0.0 v1.1.0*", "up to date with v1.1.0"),
            ("v1.1.0+k3s1", "v1.1.0+k3s2*", "up to date with v1.1.0+k3s2"),
            ("v1.0.0", "v1.1.0* v1.0.0", "upgrade to v1.1.0"),
            ("v1.1.0-rc1", "v1.1.0*", "upgrade to v1.1.0"),
            // The tag decides, not the height.
            ("v1.0.0", "v2.0.0 v1.1.0*", "upgrade to v1.1.0"),
            // Several lines of releases may have the tag.
            ("v1.0.0", "v1.1.0* v1.2.0*", "upgrade to v1.2.0"),
            ("v1.0.0", "v1.1.0 v1.2.0 v1.3.0-rc1", "upgrade to v1.2.0"),
            ("v1.0.0", "v1.1.0-rc1 v1.1.0-rc2", "upgrade to v1.1.0-rc2"),
            (
                "v1.5.0",
                "v1.6.2>v1.5.0 v1.7.1>v1.6.0 v1.8.0>v1.7.0*",
                "first v1.6.2, then v1.8.0",
            ),
            (
                "v1.6.0",
                "v1.6.2>v1.5.0 v1.7.1>v1.6.0 v1.8.0>v1.7.0*",
                "first v1.7.1, then v1.8.0",
            ),
            (
                "v1.7.0",
                "v1.6.2>v1.5.0 v1.7.1>v1.6.0 v1.8.0>v1.7.0*",
                "upgrade to v1.8.0",
            ),
            (
                "v1.0.0",
                "v1.6.2>v1.5.0 v1.8.0>v1.7.0*",
                "first nothing, then v1.8.0",
            ),
            (
                "v1.6.0",
                "v1.7.0>v1.6.0!old v1.8.0>v1.7.0*",
                "first nothing, then v1.8.0",
            ),
            (
                "v1.6.0",
                "v1.7.0-rc1>v1.6.0 v1.8.0>v1.7.0*",
                "first v1.7.0-rc1, then v1.8.0",
            ),
            ("v1.0.0", "v1.0.0 v1.1.0*!no", "up to date with v1.0.0"),
            ("v0.9.0", "v1.0.0 v1.1.0*!no", "upgrade to v1.0.0"),
            ("dev", "v1.0.0 v1.1.0*", "not comparable with v1.1.0"),
            ("", "v1.1.0*", "not comparable with v1.1.0"),
            ("v1.0.0", "next*", "not comparable with next"),
            (
                "v1.0.0",
                "v1.0.0!older v1.1.0*!newer",
                "none, Some(\"newer\")",
            ),
            ("v1.0.0", "v1.0.0!older v1.1.0*!", "none, Some(\"older\")"),
            ("v1.0.0", "v1.0.0!", "none, None"),
            ("v1.0.0", "", "none, None"),
        ] {
            let decision = Decision::of(own, &versions(offered));
            assert_eq!(short(decision), expected, "of {own:?} and {offered:?}");
        }
    }

    #[test]
    fn what_is_held_back_is_newer_and_not_supported() {
        let offered = versions("v1.0.0!old v1.1.0 v1.2.0!macOS v1.3.0*!macOS");
        let held = held_back("v1.0.0", &offered).unwrap();
        assert_eq!(
            (held.name.as_str(), held.reason.as_deref()),
            ("v1.3.0", Some("macOS"))
        );
        assert_eq!(held_back("v1.3.0", &offered), None);
        assert_eq!(held_back("dev", &offered), None);
    }
}
