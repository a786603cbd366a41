//! Parses version numbers that operators write. Every version that the original accepts must be accepted, so that
//! its response configs keep working.

use semver::{BuildMetadata, Prerelease, Version};

/// Parses a semantic version as leniently as the original (Masterminds/semver v1): a leading `v`, a missing
/// minor or patch number, and leading zeros are allowed. `None` if the text is not a version.
pub fn parse_version(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = split_at_sign(text, '+');
    let (numbers, pre) = split_at_sign(text, '-');
    let mut numbers = numbers.split('.');
    let version = Version {
        major: number(numbers.next()?)?,
        minor: numbers.next().map_or(Some(0), number)?,
        patch: numbers.next().map_or(Some(0), number)?,
        pre: pre.map_or(Some(Prerelease::EMPTY), prerelease)?,
        build: build.map_or(Some(BuildMetadata::EMPTY), build_metadata)?,
    };
    numbers.next().is_none().then_some(version)
}

/// The text before `sign`, and the text after it if it occurs.
fn split_at_sign(text: &str, sign: char) -> (&str, Option<&str>) {
    match text.split_once(sign) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn number(digits: &str) -> Option<u64> {
    // `u64::from_str` alone would accept a sign too.
    let only_digits = digits.bytes().all(|b| b.is_ascii_digit());
    only_digits.then(|| digits.parse().ok()).flatten()
}

/// Removes leading zeros of numeric identifiers, which semantic versioning forbids.
fn prerelease(text: &str) -> Option<Prerelease> {
    let identifiers: Vec<&str> = text.split('.').map(without_leading_zeros).collect();
    Prerelease::new(&identifiers.join("."))
        .ok()
        .filter(|pre| !pre.is_empty())
}

fn build_metadata(text: &str) -> Option<BuildMetadata> {
    BuildMetadata::new(text)
        .ok()
        .filter(|build| !build.is_empty())
}

fn without_leading_zeros(identifier: &str) -> &str {
    if identifier.is_empty() || !identifier.bytes().all(|b| b.is_ascii_digit()) {
        return identifier;
    }
    match identifier.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_leniently_as_by_the_original() {
        for (text, expected) in [
            ("v1.2.3", "1.2.3"),
            ("1.2.3", "1.2.3"),
            ("1.2", "1.2.0"),
            ("v1", "1.0.0"),
            ("v01.002.0", "1.2.0"),
            ("v1.8.0-rc1", "1.8.0-rc1"),
            ("1.2-beta.1", "1.2.0-beta.1"),
            ("1-x", "1.0.0-x"),
            ("1.2.3-rc.01.00", "1.2.3-rc.1.0"),
            ("1.2.3--", "1.2.3--"),
            ("v1.24.3+rke2r1", "1.24.3+rke2r1"),
            ("1.2+b-c.007", "1.2.0+b-c.007"),
            ("1.2.3-rc1+k3s1", "1.2.3-rc1+k3s1"),
        ] {
            let version = parse_version(text).unwrap_or_else(|| panic!("{text} was refused"));
            assert_eq!(version.to_string(), expected, "of {text}");
        }
    }

    #[test]
    fn what_the_original_refused_is_refused() {
        for text in [
            "",
            "v",
            "vv1",
            "V1.2.3",
            " 1.2",
            "1.2 ",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4",
            "1.2.x",
            "+1",
            "-1",
            "1.+2",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-a..b",
            "1.2.3-ä",
            "1.2.3+a+b",
            "latest",
            "99999999999999999999",
        ] {
            assert_eq!(parse_version(text), None, "of {text:?}");
        }
    }
}
