//! The effect of a rule on the answer: which versions are supported, unsupported or hidden, and their JSON.
//!
//! A version must stay the operator's own object, byte for byte, except for three keys: `Supported`, `Reason`, and
//! the tag `latest`. Added keys are spelled like the version's own.

use super::{Rule, splice};
use crate::config::version::{LATEST_TAG, Version};

/// The way in which a version is shown to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Supported,
    Unsupported,
    Hidden,
}

impl Offer {
    /// The word used in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Offer::Supported => "supported",
            Offer::Unsupported => "unsupported",
            Offer::Hidden => "hidden",
        }
    }
}

/// The way in which a rule, or the answer without a rule, shows a version.
pub fn offer(rule: Option<&Rule>, version: &Version) -> Offer {
    match rule {
        Some(rule) if !rule.versions.is_met_by(&version.semver) && rule.hide => Offer::Hidden,
        Some(rule) if !rule.versions.is_met_by(&version.semver) => Offer::Unsupported,
        _ => Offer::Supported,
    }
}

/// The versions of an answer, separated by commas.
pub fn render(rule: Option<&Rule>, versions: &[Version]) -> String {
    let shown: Vec<&Version> = versions
        .iter()
        .filter(|version| offer(rule, version) != Offer::Hidden)
        .collect();
    // Old clients look for exactly one version tagged `latest`.
    let heir = match shown.iter().any(|version| version.is_latest()) {
        true => None,
        false => shown.iter().max_by_key(|version| &version.semver),
    };
    let rendered: Vec<String> = shown
        .iter()
        .map(|version| {
            let is_heir = heir.is_some_and(|heir| heir.name == version.name);
            render_version(rule, version, is_heir)
        })
        .collect();
    rendered.join(",")
}

fn render_version(rule: Option<&Rule>, version: &Version, is_heir: bool) -> String {
    let json = version.json();
    let keys = match splice::has_capitals(json) {
        true => ["Supported", "Reason", "Tags"],
        false => ["supported", "reason", "tags"],
    };
    let supported = offer(rule, version) == Offer::Supported;
    let mut json = splice::set(json, keys[0], if supported { "true" } else { "false" });
    if let Some(reason) = rule.and_then(|rule| rule.reason.as_deref())
        && !supported
    {
        json = splice::set(&json, keys[1], &serde_json::Value::from(reason).to_string());
    }
    if is_heir {
        json = splice::add_to_array(&json, keys[2], LATEST_TAG);
    }
    json
}
