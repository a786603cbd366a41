//! The response config: the versions that every check-in is answered with. The operator replaces the
//! file on release day. The server must never rewrite what the operator wrote about a version:
//! clients get it in the operator's spelling and order, including keys that are unknown here.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::effect::{WithoutEffect, without_effect};
use super::json::{self, Object};
use super::problem::{Problem, Problems};
use super::rules::{self, Rules, effects};
pub use super::version::{LATEST_TAG, Version};
use crate::units::date::parse_date;
use crate::units::version::parse_version;

/// The keys at the top of the file that have an effect.
const KEYS: &[&str] = &["versions", "rules"];
/// Keys of a version that this server reads; clients get the others too.
const VERSION_KEYS: [&str; 5] = [
    "name",
    "releaseDate",
    "minUpgradableVersion",
    "tags",
    "extraInfo",
];

/// A valid response config: at least one version is tagged `latest`, and no name occurs twice.
#[derive(Clone, Debug)]
pub struct ResponseConfig {
    versions: Vec<Version>,
    /// Index of the version that [`ResponseConfig::latest`] returns.
    latest: usize,
    without_effect: Vec<WithoutEffect>,
    rules: Rules,
}

impl ResponseConfig {
    /// All versions in the operator's order, at least one.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The version tagged `latest`; the highest one if several have the tag.
    pub fn latest(&self) -> &Version {
        &self.versions[self.latest]
    }

    /// Keys at the top of the file that have no effect.
    pub fn without_effect(&self) -> &[WithoutEffect] {
        &self.without_effect
    }

    /// The rules that decide which versions are supported for which client.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The answer's body where no rule decides; `interval_minutes` is the time until the next check-in.
    pub fn render_answer(&self, interval_minutes: u64) -> Vec<u8> {
        self.render_outcome(None, interval_minutes)
    }

    /// The answer's body; `outcome` is the index of the rule that decides, if one does.
    pub fn render_outcome(&self, outcome: Option<usize>, interval_minutes: u64) -> Vec<u8> {
        let versions = if self.rules.is_empty() {
            let versions: Vec<&str> = self.versions.iter().map(|v| &*v.json).collect();
            versions.join(",")
        } else {
            effects::render(self.rules.get(outcome), &self.versions)
        };
        format!("{{\"versions\":[{versions}],\"requestIntervalInMinutes\":{interval_minutes}}}")
            .into_bytes()
    }
}

/// Reads a response config. The error lists every problem, at least one.
pub fn parse(text: &str) -> Result<ResponseConfig, Vec<Problem>> {
    let document = json::document(text).map_err(|problem| vec![problem])?;
    let found = document.get("versions");
    let elements = match found.and_then(json::elements) {
        Some(elements) if !elements.is_empty() => elements,
        _ => {
            let message = format!(
                "found {}, expected an array of at least one version",
                json::found(found)
            );
            return Err(vec![Problem::new("versions", message)]);
        }
    };

    let mut reader = Reader::default();
    let versions: Vec<Version> = elements
        .into_iter()
        .enumerate()
        .filter_map(|(index, raw)| reader.version(index, raw))
        .collect();
    if !reader.may_have_latest {
        let message = "found no version tagged \"latest\", expected at least one";
        reader.problems.note("versions", message);
    }
    let rules = rules::read(document.get_non_null("Rules"), &mut reader.problems);
    // These checks need every version, and a version with a problem is missing from the list.
    if reader.problems.0.is_empty() {
        refuse_empty_answers(&rules, &versions, &mut reader.problems);
        refuse_large_answers(&rules, &versions, &mut reader.problems);
    }
    let latest = versions
        .iter()
        .enumerate()
        .filter(|(_, version)| version.is_latest())
        .max_by_key(|(_, version)| &version.semver)
        .map(|(index, _)| index);
    match latest {
        Some(latest) if reader.problems.0.is_empty() => Ok(ResponseConfig {
            versions,
            latest,
            without_effect: without_effect("", &document, KEYS),
            rules,
        }),
        _ => Err(reader.problems.0),
    }
}

/// Bytes of all rules' answers at most, because they are held in memory.
const MOST_ANSWERED: usize = 64 * 1024 * 1024;

/// Refuses rules whose answers, one for each rule, would take too much memory.
fn refuse_large_answers(rules: &Rules, versions: &[Version], problems: &mut Problems) {
    let one: usize = versions.iter().map(|version| version.json.len()).sum();
    let count = rules.iter().len();
    if one.saturating_mul(count) > MOST_ANSWERED {
        let message = format!(
            "found {count} rules with answers of {one} bytes each, expected at most {} MiB in all",
            MOST_ANSWERED / 1024 / 1024
        );
        problems.note("Rules", message);
    }
}

/// Refuses a rule that hides every version: a client may not expect an empty list.
fn refuse_empty_answers(rules: &Rules, versions: &[Version], problems: &mut Problems) {
    for rule in rules.iter() {
        let left = |version| effects::offer(Some(rule), version) != effects::Offer::Hidden;
        if !versions.iter().any(left) {
            let message = format!(
                "found {:?}, which hides every version, expected a constraint that one of them meets, or no Hide",
                rule.versions.as_str()
            );
            problems.note(&format!("{}, Constraints.Version", rule.title()), message);
        }
    }
}

/// The problems, and what the reader has to remember about earlier versions.
#[derive(Default)]
struct Reader {
    problems: Problems,
    /// Index of the first version with each name.
    names: HashMap<String, usize>,
    /// Whether a version is tagged `latest`, or has unreadable tags. Unreadable tags are a problem
    /// of their own and must not also be reported as a missing `latest`.
    may_have_latest: bool,
}

impl Reader {
    /// Reads one version. Problems are noted and give `None`.
    fn version(&mut self, index: usize, raw: &RawValue) -> Option<Version> {
        let Some(object) = Object::of(raw) else {
            let found = json::found(Some(raw));
            let message = format!("found {found}, expected an object that describes a version");
            self.problems.note(&format!("versions[{index}]"), message);
            self.may_have_latest = true;
            return None;
        };
        let place = match object.get("name").and_then(json::string) {
            Some(name) => format!("versions[{index}] {name:?}"),
            None => format!("versions[{index}]"),
        };
        let name = name(object.get("name")).and_then(|name| self.unique(index, name));
        let release_date = release_date(object.get("releaseDate"));
        let min_upgradable = min_upgradable_version(object.get_non_null("minUpgradableVersion"));
        let tags = tags(object.get_non_null("tags"));
        let extra_info = extra_info(object.get_non_null("extraInfo"));
        self.may_have_latest |= match &tags {
            Ok(tags) => tags.iter().any(|tag| tag == LATEST_TAG),
            Err(_) => true,
        };

        self.two_spellings(&place, &object);

        // No early return before all keys are read, so that every problem is noted.
        let name = self.problems.keep(&place, "name", name);
        let release_date = self.problems.keep(&place, "releaseDate", release_date);
        let min_upgradable = self
            .problems
            .keep(&place, "minUpgradableVersion", min_upgradable);
        let tags = self.problems.keep(&place, "tags", tags);
        let extra_info = self.problems.keep(&place, "extraInfo", extra_info);
        let (name, semver) = name?;
        min_upgradable?;
        extra_info?;
        Some(Version {
            name,
            semver,
            release_date: release_date?,
            tags: tags?,
            json: json::compact(raw.get()).into_boxed_str(),
        })
    }

    /// Refuses a key in two spellings: clients that match the case of keys would read another value
    /// than this server.
    fn two_spellings(&mut self, place: &str, object: &Object<'_>) {
        for key in VERSION_KEYS {
            let names = object.members.iter().map(|(name, _)| name.as_str());
            let mut spellings: Vec<&str> = names
                .filter(|name| name.eq_ignore_ascii_case(key))
                .collect();
            spellings.sort_unstable();
            spellings.dedup();
            if spellings.len() > 1 {
                let message = format!("found as {spellings:?}, expected one spelling of the key");
                self.problems.note(&format!("{place}, {key}"), message);
            }
        }
    }

    /// Refuses a name that an earlier version has. Names are compared as text, as in the original:
    /// `1.2` and `v1.2.0` are two names.
    fn unique(
        &mut self,
        index: usize,
        (name, semver): (String, semver::Version),
    ) -> Result<(String, semver::Version), String> {
        if let Some(first) = self.names.get(&name) {
            return Err(format!(
                "found {name:?}, which is the name of versions[{first}] too, expected each name once"
            ));
        }
        self.names.insert(name.clone(), index);
        Ok((name, semver))
    }
}

fn name(value: Option<&RawValue>) -> Result<(String, semver::Version), String> {
    let text = value.and_then(json::string);
    let parsed = text.and_then(|text| Some((parse_version(&text)?, text)));
    match parsed {
        Some((semver, text)) => Ok((text, semver)),
        None => Err(format!(
            "found {}, expected a semantic version such as \"v1.2.3\"",
            json::found(value)
        )),
    }
}

fn release_date(value: Option<&RawValue>) -> Result<Timestamp, String> {
    value
        .and_then(json::string)
        .and_then(|text| parse_date(&text))
        .ok_or_else(|| {
            let found = json::found(value);
            format!("found {found}, expected an RFC 3339 date such as \"2024-05-31T12:00:00Z\"")
        })
}

fn min_upgradable_version(value: Option<&RawValue>) -> Result<(), String> {
    let Some(value) = value else { return Ok(()) };
    match json::string(value) {
        Some(text) if text.is_empty() || parse_version(&text).is_some() => Ok(()),
        _ => Err(format!(
            "found {}, expected \"\" or a semantic version such as \"v1.2.3\"",
            json::found(Some(value))
        )),
    }
}

fn tags(value: Option<&RawValue>) -> Result<Vec<String>, String> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    serde_json::from_str(value.get()).map_err(|_| {
        let found = json::found(Some(value));
        format!("found {found}, expected an array of strings such as [\"latest\", \"stable\"]")
    })
}

fn extra_info(value: Option<&RawValue>) -> Result<(), String> {
    let Some(value) = value else { return Ok(()) };
    let all_strings = Object::of(value).is_some_and(|object| {
        let mut values = object.members.iter().map(|(_, value)| value);
        values.all(|value| json::string(value).is_some())
    });
    if all_strings {
        return Ok(());
    }
    let found = json::found(Some(value));
    Err(format!("found {found}, expected an object of strings"))
}

#[cfg(test)]
mod tests;
