//! One version of a response config. Clients must get it as the operator wrote it.

use jiff::Timestamp;

/// The tag, in exactly this spelling, of the version that the operator recommends.
pub const LATEST_TAG: &str = "latest";

/// One version of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The name as the operator wrote it (`v1.8.0`).
    pub name: String,
    /// The name, parsed as a semantic version.
    pub semver: semver::Version,
    /// May lie in the future.
    pub release_date: Timestamp,
    /// In the operator's order; may be empty.
    pub tags: Vec<String>,
    /// The operator's own object, without white space outside strings.
    pub(super) json: Box<str>,
}

impl Version {
    /// Whether the operator tagged this version `latest`.
    pub fn is_latest(&self) -> bool {
        self.tags.iter().any(|tag| tag == LATEST_TAG)
    }

    /// The operator's own object, without white space outside strings.
    pub(super) fn json(&self) -> &str {
        &self.json
    }
}
