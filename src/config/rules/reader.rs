//! Parsing of the operator's JSON into rules, or into a list of every problem.
//!
//! Keys match in any case. An unknown key must never be an error, because the fork ignores it; `check-config`
//! warns about it.

use serde_json::value::RawValue;

use super::criteria::{Criterion, Key};
use super::rollout::Rollout;
use super::wanted::Wanted;
use super::{MOST_RULES, Rule, Rules, client, title};
use crate::config::json::{self, Object};
use crate::config::problem::Problems;
use crate::config::rules::constraint::Constraint;
use crate::units::date::parse_date;

const KEYS: [&str; 9] = [
    "Criteria",
    "Constraints",
    "Name",
    "Reason",
    "Hide",
    "Share",
    "From",
    "Until",
    "Seed",
];

/// Reads the value of `Rules`; `None` means that the key is missing.
pub fn read(value: Option<&RawValue>, problems: &mut Problems) -> Rules {
    let Some(value) = value else {
        return Rules::default();
    };
    let elements = match json::elements(value) {
        Some(elements) if elements.len() <= MOST_RULES => elements,
        found => {
            let found = match found {
                Some(elements) => format!("{} rules", elements.len()),
                None => json::found(Some(value)),
            };
            let message = format!("found {found}, expected an array of at most {MOST_RULES} rules");
            problems.note("Rules", message);
            return Rules::default();
        }
    };
    let rules = elements.into_iter().enumerate();
    Rules::new(
        rules
            .filter_map(|(index, raw)| rule(index + 1, raw, problems))
            .collect(),
    )
}

/// Reads one rule. Problems are noted and give `None`.
fn rule(number: usize, raw: &RawValue, problems: &mut Problems) -> Option<Rule> {
    let Some(object) = Object::of(raw) else {
        let found = json::found(Some(raw));
        let message = format!("found {found}, expected an object with Criteria and Constraints");
        problems.note(&title(number, None), message);
        return None;
    };
    let name = text(object.get_non_null("Name"));
    let place = title(number, name.as_ref().ok().and_then(Option::as_deref));
    // No early return before all keys are read, so that every problem is noted.
    let criteria = criteria(&place, object.get("Criteria"), problems);
    let versions = constraints(object.get("Constraints"));
    let versions = problems.keep(&place, "Constraints.Version", versions);
    let name = problems.keep(&place, "Name", name);
    let reason = text(object.get_non_null("Reason"));
    let reason = problems.keep(&place, "Reason", reason);
    let hide = boolean(object.get_non_null("Hide"));
    let hide = problems.keep(&place, "Hide", hide);
    let rollout = rollout(&place, &object, problems);
    let name = name?;
    let rollout = rollout?.map(|rollout| Rollout {
        seed: rollout.seed.or_else(|| name.clone()).unwrap_or_default(),
        ..rollout.rollout
    });
    Some(Rule {
        number,
        name,
        criteria: criteria?,
        versions: versions?,
        reason: reason?,
        hide: hide?,
        rollout,
        without_effect: without_effect(&object),
    })
}

/// Reads the criteria; the last of a repeated key wins. Problems are noted and give `None`.
fn criteria(
    place: &str,
    value: Option<&RawValue>,
    problems: &mut Problems,
) -> Option<Vec<Criterion>> {
    let Some(object) = value.and_then(Object::of) else {
        let found = json::found(value);
        let message = format!("found {found}, expected an object, {{}} for every client");
        problems.note(&format!("{place}, Criteria"), message);
        return None;
    };
    let mut criteria: Vec<Criterion> = Vec::new();
    let mut sound = true;
    for (name, value) in &object.members {
        let key = Key::of(name);
        let read = wanted(&key, value);
        let Some(wanted) = problems.keep(place, &format!("Criteria.{name}"), read) else {
            sound = false;
            continue;
        };
        let text = json::compact(value.get());
        criteria.retain(|criterion| criterion.key != key);
        criteria.push(Criterion {
            key,
            slot: 0,
            wanted,
            text,
        });
    }
    sound.then_some(criteria)
}

fn wanted(key: &Key, value: &RawValue) -> Result<Vec<Wanted>, String> {
    let read = |value: &RawValue| match key {
        Key::AppVersion | Key::PlatformVersion => Wanted::version(value),
        Key::Platform => Wanted::one_of(value, &client::SYSTEMS),
        Key::Arch => Wanted::one_of(value, &client::ARCHITECTURES),
        Key::Country => Wanted::country(value),
        Key::Extra(_) => Wanted::extra(value),
    };
    let expected = |found: &RawValue, what: String| {
        format!("found {}, expected {what}", json::found(Some(found)))
    };
    let Some(elements) = json::elements(value) else {
        return match read(value) {
            Ok(wanted) => Ok(vec![wanted]),
            Err(what) => Err(expected(value, what)),
        };
    };
    if elements.is_empty() {
        return Err(expected(value, "at least one value".to_owned()));
    }
    let elements = elements.into_iter();
    elements
        .map(|element| read(element).map_err(|what| expected(element, what)))
        .collect()
}

fn constraints(value: Option<&RawValue>) -> Result<Constraint, String> {
    let Some(object) = value.and_then(Object::of) else {
        let found = json::found(value);
        return Err(format!(
            "found {found} as Constraints, expected {{\"Version\": \"<1.2.3\"}}"
        ));
    };
    let found = object.get("Version");
    let constraint = found
        .and_then(json::string)
        .and_then(|text| Constraint::parse(&text));
    constraint.ok_or_else(|| {
        let found = json::found(found);
        format!("found {found}, expected a constraint such as \"<1.2.3\", or \"*\"")
    })
}

/// A roll-out without its seed. Where the operator set none, the rule's name is used.
struct Seedless {
    rollout: Rollout,
    seed: Option<String>,
}

/// Reads the roll-out; `Some(None)` where the rule has none. Problems are noted and give `None`.
fn rollout(place: &str, object: &Object<'_>, problems: &mut Problems) -> Option<Option<Seedless>> {
    let share = object.get_non_null("Share").map(percent).transpose();
    let from = object.get_non_null("From").map(date).transpose();
    let until = object.get_non_null("Until").map(date).transpose();
    let seed = text(object.get_non_null("Seed"));
    let share = problems.keep(place, "Share", share);
    let from = problems.keep(place, "From", from);
    let until = problems.keep(place, "Until", until);
    let seed = problems.keep(place, "Seed", seed);
    let (share, from, until, seed) = (share?, from?, until?, seed?);
    let mut refuse = |key: &str, message: &str| {
        problems.note(&format!("{place}, {key}"), message);
        None
    };
    let Some(share) = share else {
        if from.is_some() || until.is_some() {
            return refuse(
                "Share",
                "found nothing, expected a percentage, because From or Until is set",
            );
        }
        return Some(None);
    };
    match (from, until) {
        (None, Some(_)) => refuse(
            "From",
            "found nothing, expected an RFC 3339 date, because Until is set",
        ),
        (Some(from), Some(until)) if until <= from => refuse(
            "Until",
            "found a date that is not after From, expected a later one",
        ),
        _ => {
            let rollout = Rollout {
                share,
                from,
                until,
                seed: String::new(),
            };
            Some(Some(Seedless { rollout, seed }))
        }
    }
}

fn percent(value: &RawValue) -> Result<f64, String> {
    match serde_json::from_str::<f64>(value.get()) {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => {
            let found = json::found(Some(value));
            Err(format!(
                "found {found}, expected a percentage from 0 to 100"
            ))
        }
    }
}

fn date(value: &RawValue) -> Result<jiff::Timestamp, String> {
    let date = json::string(value).and_then(|text| parse_date(&text));
    date.ok_or_else(|| {
        let found = json::found(Some(value));
        format!("found {found}, expected an RFC 3339 date such as \"2024-05-31T12:00:00Z\"")
    })
}

fn boolean(value: Option<&RawValue>) -> Result<bool, String> {
    match value.map(RawValue::get) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(format!(
            "found {}, expected true or false",
            json::found(value)
        )),
    }
}

/// Reads a string that is not empty.
fn text(value: Option<&RawValue>) -> Result<Option<String>, String> {
    let Some(value) = value else { return Ok(None) };
    match json::string(value) {
        Some(text) if !text.is_empty() => Ok(Some(text)),
        _ => Err(format!(
            "found {}, expected a string that is not empty",
            json::found(Some(value))
        )),
    }
}

fn without_effect(object: &Object<'_>) -> Vec<String> {
    let known = |name: &str, keys: &[&str]| keys.iter().any(|key| key.eq_ignore_ascii_case(name));
    let names = object.members.iter().map(|(name, _)| name.clone());
    let mut unknown: Vec<String> = names.filter(|name| !known(name, &KEYS)).collect();
    if let Some(constraints) = object.get("Constraints").and_then(Object::of) {
        let names = constraints.members.iter().map(|(name, _)| name);
        let names = names.filter(|name| !known(name, &["Version"]));
        unknown.extend(names.map(|name| format!("Constraints.{name}")));
    }
    unknown
}
