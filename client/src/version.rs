//! A version of the application, and version numbers as operators write them: `v1.2.3`, `1.2`, `v1.8.0-rc1`.

use semver::{BuildMetadata, Prerelease};

/// A version that exists.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Version {
    /// The name as the operator wrote it, such as `v1.8.0`.
    pub name: String,
    /// The name as a semantic version, if it is one.
    pub version: Option<semver::Version>,
    /// The release date (RFC 3339); empty if the server does not give it.
    pub release_date: String,
    /// The lowest version that can be upgraded to this one; `None` if every version can.
    pub min_upgradable_version: Option<semver::Version>,
    /// The operator's tags, such as `latest` or `stable`.
    pub tags: Vec<String>,
    /// Whether the version is supported where the application runs.
    pub supported: bool,
    /// The server's reason why it is not supported, if it gives one.
    pub reason: Option<String>,
    /// The operator's further data, by key. A value that is not a string is kept as JSON.
    pub extra_info: Vec<(String, String)>,
}

impl Version {
    /// Whether it has the tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|has| has == tag)
    }
}

/// Reads a version as leniently as the server does: a leading `v`, a missing minor or patch number, and leading
/// zeros are allowed. `None` if the text is not a version.
pub(crate) fn lenient(text: &str) -> Option<semver::Version> {
    let text = text.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (numbers, pre) = match text.split_once('-') {
        Some((numbers, pre)) => (numbers, Some(pre)),
        None => (text, None),
    };
    let mut numbers = numbers.split('.').map(number);
    let version = semver::Version {
        major: numbers.next()??,
        minor: numbers.next().unwrap_or(Some(0))?,
        patch: numbers.next().unwrap_or(Some(0))?,
        pre: match pre {
            Some(pre) => pre_release(pre)?,
            None => Prerelease::EMPTY,
        },
        build: match build {
            Some("") => return None,
            Some(build) => BuildMetadata::new(build).ok()?,
            None => BuildMetadata::EMPTY,
        },
    };
    numbers.next().is_none().then_some(version)
}

fn number(digits: &str) -> Option<u64> {
    let sound = digits.bytes().all(|byte| byte.is_ascii_digit());
    sound.then(|| digits.parse().ok())?
}

fn pre_release(text: &str) -> Option<Prerelease> {
    if text.is_empty() {
        return None;
    }
    // Semantic versioning forbids leading zeros in numbers, but operators write them.
    let identifiers = text.split('.').map(|identifier| match number(identifier) {
        Some(number) => number.to_string(),
        None => identifier.to_owned(),
    });
    Prerelease::new(&identifiers.collect::<Vec<_>>().join(".")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_leniently() {
        for (text, expected) in [
            ("v1.2.3", "1.2.3"),
            ("1.2", "1.2.0"),
            (" v1 ", "1.0.0"),
            ("v01.002.0", "1.2.0"),
            ("v1.8.0-rc1", "1.8.0-rc1"),
            ("1.2-beta.01", "1.2.0-beta.1"),
            ("v1.24.3+rke2r1", "1.24.3+rke2r1"),
        ] {
            let version = lenient(text).map(|version| version.to_string());
            assert_eq!(version.as_deref(), Some(expected), "of {text:?}");
        }
    }

    #[test]
    fn other_texts_are_no_versions() {
        for text in [
            "",
            "v",
            "vv1",
            "dev",
            "1.2.3.4",
            "1..2",
            "+1",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-a..b",
            "1.-2",
            "99999999999999999999",
            "1.2.3-\u{e4}",
        ] {
            assert_eq!(lenient(text), None, "of {text:?}");
        }
    }
}
