//! Warnings about rules that are probably mistakes: never reached, never met, or without an effect.
//!
//! A config with such rules is valid and must never be refused. Not every such rule is found, but a warning must
//! never be wrong.

use jiff::Timestamp;

use super::constraint::Constraint;
use super::criteria::{Criterion, Key};
use super::effects::{Offer, offer};
use super::wanted::Wanted;
use super::{Rule, Rules, samples};
use crate::config::response::Version;

/// The warnings, one sentence each.
pub fn findings(rules: &Rules, versions: &[Version], now: Timestamp) -> Vec<String> {
    let mut findings = Vec::new();
    let rules: Vec<&Rule> = rules.iter().collect();
    for (index, rule) in rules.iter().enumerate() {
        let title = rule.title();
        let before = rules[..index].iter();
        if let Some(earlier) = before.copied().find(|earlier| shadows(earlier, rule)) {
            findings.push(format!(
                "{title} is never reached: {} decides for all of its clients",
                earlier.title()
            ));
        }
        for criterion in rule.criteria.iter().filter(|c| is_impossible(c)) {
            findings.push(format!("{title} never holds: no version meets {criterion}"));
        }
        findings.extend(effects(rule, versions).map(|what| format!("{title} {what}")));
        findings.extend(rollout(rule, now).map(|what| format!("{title} {what}")));
        findings.extend(
            rule.without_effect
                .iter()
                .map(|key| format!("{title}: the key {key:?} has no effect")),
        );
    }
    findings
}

fn effects(rule: &Rule, versions: &[Version]) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let supported = |version: &&Version| offer(Some(rule), version) == Offer::Supported;
    let (text, count) = (
        rule.versions.as_str(),
        versions.iter().filter(supported).count(),
    );
    if !samples::can_be_met(&rule.versions) {
        found.push(format!("supports nothing: no version meets {text:?}"));
    } else if count == 0 {
        found.push(format!(
            "supports nothing: no version of this file meets {text:?}"
        ));
    } else if count == versions.len() {
        found.push(format!(
            "changes nothing: every version of this file meets {text:?}"
        ));
    }
    if rule.hide && rule.reason.is_some() {
        found.push(
            "has a Reason that no client sees, because the rule hides the versions it is for"
                .into(),
        );
    }
    found.into_iter()
}

fn rollout(rule: &Rule, now: Timestamp) -> Option<String> {
    let rollout = rule.rollout.as_ref()?;
    if rollout.is_open(now) {
        return Some("never decides: it lets every client through; remove the rule".to_owned());
    }
    if rollout.seed.is_empty() && !rollout.is_closed() {
        let what = "has a Share but neither Name nor Seed: all such rules let the same clients through first; \
                    add a Seed";
        return Some(what.to_owned());
    }
    None
}

/// Whether no version can meet the criterion.
fn is_impossible(criterion: &Criterion) -> bool {
    let only_versions = matches!(criterion.key, Key::AppVersion | Key::PlatformVersion);
    let constraints = constraints(criterion);
    only_versions
        && constraints.len() == criterion.wanted.len()
        && !constraints.iter().any(|c| samples::can_be_met(c))
}

/// Whether `earlier` decides for every client that `rule` fits.
fn shadows(earlier: &Rule, rule: &Rule) -> bool {
    let takes_all = earlier
        .rollout
        .as_ref()
        .is_none_or(|rollout| rollout.is_closed());
    takes_all
        && (rule.asks_for_platform() || !earlier.asks_for_platform())
        && earlier.criteria.iter().all(|wide| is_implied(wide, rule))
}

/// Whether every client that `rule` fits meets `wide`.
fn is_implied(wide: &Criterion, rule: &Rule) -> bool {
    if wide.key.is_platform() && wide.wanted.iter().any(Wanted::is_any) {
        return true;
    }
    if wide.key == Key::PlatformVersion && is_linux_only(rule) {
        return true;
    }
    let same = rule.criteria.iter().find(|narrow| narrow.key == wide.key);
    same.is_some_and(|narrow| contains(wide, narrow))
}

/// Whether every value that meets `narrow` meets `wide`; both have the same key.
fn contains(wide: &Criterion, narrow: &Criterion) -> bool {
    let listed = narrow
        .wanted
        .iter()
        .all(|value| wide.wanted.contains(value));
    if listed || wide.wanted.iter().any(|value| matches!(value, Wanted::Any)) {
        return true;
    }
    // Only these two keys always hold versions; the string of a tag may be a version, a number or neither.
    matches!(wide.key, Key::AppVersion | Key::PlatformVersion)
        && samples::covers(&constraints(wide), &constraints(narrow))
}

fn is_linux_only(rule: &Rule) -> bool {
    let linux = |value: &Wanted| matches!(value, Wanted::Name(name) if name == "linux");
    let mut platforms = rule.criteria.iter().filter(|c| c.key == Key::Platform);
    platforms.any(|criterion| criterion.wanted.iter().all(linux))
}

fn constraints(criterion: &Criterion) -> Vec<&Constraint> {
    criterion
        .wanted
        .iter()
        .filter_map(Wanted::constraint)
        .collect()
}
