//! One comparison of a constraint, such as `<1.2` or `^0.3.x`, and the test whether a version meets it.
//!
//! A missing part is a wildcard. A pre-release meets only a comparison that names one, or `!=` with a whole
//! version. Build metadata must never be compared.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version};

use super::grammar::Token;

/// The operator of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Equal,
    NotEqual,
    Greater,
    Less,
    AtLeast,
    AtMost,
    /// `~`: the same minor version, or the same major one where no minor is named.
    Tilde,
    /// `^`: no change in the first number that is not zero, nor in those before it.
    Caret,
}

/// The last number that a comparison names; wildcards are not named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// `*`
    Nothing,
    /// `1`, `1.x`
    Major,
    /// `1.2`, `1.2.x`
    Minor,
    /// `1.2.3`
    Patch,
}

#[derive(Clone, Debug)]
pub struct Comparator {
    op: Op,
    /// The named version, with zero for each number that is not named.
    version: Version,
    named: Named,
}

impl Comparator {
    /// `None` where the token is not a version: a part with digits and wildcards, a number beyond 64 bits, or a
    /// pre-release number with a leading zero. Numbers after a wildcard are ignored.
    pub fn new(op: Op, token: &Token<'_>) -> Option<Comparator> {
        let [major, minor, patch] = token.parts;
        let wild = |part: Option<&str>| part.is_none_or(|part| matches!(part, "x" | "X" | "*"));
        let (named, numbers) = if wild(major) {
            (Named::Nothing, [None, None, None])
        } else if wild(minor) {
            (Named::Major, [major, None, None])
        } else if wild(patch) {
            (Named::Minor, [major, minor, None])
        } else {
            (Named::Patch, [major, minor, patch])
        };
        let [major, minor, patch] = numbers.map(|part| part.map_or(Some(0), number));
        let version = Version {
            major: major?,
            minor: minor?,
            patch: patch?,
            pre: Prerelease::new(token.pre).ok()?,
            build: BuildMetadata::EMPTY,
        };
        Some(Comparator { op, version, named })
    }

    /// The named version.
    pub fn named(&self) -> &Version {
        &self.version
    }

    pub fn is_met_by(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        let whole = self.named == Named::Patch;
        if self.op == Op::NotEqual && whole {
            return order != Ordering::Equal;
        }
        if !version.pre.is_empty() && self.version.pre.is_empty() {
            return false;
        }
        match self.op {
            Op::Equal if whole => order == Ordering::Equal,
            Op::Equal | Op::Tilde => order != Ordering::Less && self.tilde(version),
            Op::NotEqual => self.differs(version),
            Op::Greater => self.is_below(version),
            Op::Less => order == Ordering::Less,
            Op::AtLeast => order != Ordering::Less,
            Op::AtMost if whole => order != Ordering::Greater,
            Op::AtMost => self.reaches(version),
            Op::Caret => order != Ordering::Less && self.caret(version),
        }
    }

    /// `~`, for a version that is not lower than the named one.
    fn tilde(&self, version: &Version) -> bool {
        let named = &self.version;
        let is_zero = (named.major, named.minor, named.patch) == (0, 0, 0);
        if is_zero && matches!(self.named, Named::Nothing | Named::Patch) {
            return true;
        }
        version.major == named.major && (self.named == Named::Major || version.minor == named.minor)
    }

    /// `^`, for a version that is not lower than the named one.
    fn caret(&self, version: &Version) -> bool {
        let named = &self.version;
        if version.major != named.major {
            return false;
        }
        if named.major > 0 || self.named == Named::Major {
            return true;
        }
        if version.minor != named.minor {
            return false;
        }
        named.minor > 0 || self.named == Named::Minor || version.patch == named.patch
    }

    /// `!=` with a wildcard.
    fn differs(&self, version: &Version) -> bool {
        let named = &self.version;
        if version.major != named.major {
            return true;
        }
        match self.named {
            Named::Major => false,
            _ if version.minor != named.minor => true,
            Named::Minor => version.pre != named.pre,
            Named::Nothing | Named::Patch => version.cmp_precedence(named) != Ordering::Equal,
        }
    }

    /// `>`. With a wildcard, the version must be above all versions that the wildcard includes.
    fn is_below(&self, version: &Version) -> bool {
        let named = &self.version;
        match self.named {
            Named::Major => version.major > named.major,
            Named::Minor => (version.major, version.minor) > (named.major, named.minor),
            // The library reads `>*` as `>0.0.0`.
            Named::Nothing | Named::Patch => version.cmp_precedence(named) == Ordering::Greater,
        }
    }

    /// `<=` with a wildcard: up to the last version that the wildcard includes.
    fn reaches(&self, version: &Version) -> bool {
        let named = &self.version;
        match self.named {
            Named::Major => version.major <= named.major,
            // The library reads `<=*` as `<=0.0`.
            _ => (version.major, version.minor) <= (named.major, named.minor),
        }
    }
}

fn number(digits: &str) -> Option<u64> {
    // `u64::from_str` alone would also accept a sign.
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| digits.parse().ok()).flatten()
}

/// Whether no number in the pre-release of `version` has a leading zero.
pub fn is_sound_pre(version: &str) -> bool {
    let whole = version.split('+').next().unwrap_or(version);
    whole
        .split_once('-')
        .is_none_or(|(_, pre)| Prerelease::new(pre).is_ok())
}
