//! A suggested request schema: the operator's own, with the keys added that check-ins left out. It must
//! change nothing that the operator wrote except white space and a `maxLen` that is too small.

use serde_json::value::RawValue;

use super::json::{self, Object};
use super::schema::{DEFAULT_MAX_LEN, DataType, RequestSchema};
use crate::line::encode::RESERVED_KEYS;
use crate::line::snake::snake_case;

const TAGS: &str = "extraTagInfoSchema";
const FIELDS: &str = "extraFieldInfoSchema";
const APP_VERSION: &str = "appVersionSchema";
/// Least suggested `maxLen` in bytes, so that a value a few bytes longer than those seen is still valid.
const LEAST_LENGTH: usize = 16;

/// A key that the schema should accept, with its type and length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub section: Section,
    pub key: String,
    pub data_type: DataType,
    /// Bytes of the longest string.
    pub length: usize,
}

/// The part of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    AppVersion,
    Tags,
    Fields,
}

/// A schema as text, the keys that were added to it, and the keys whose `maxLen` was raised.
#[derive(Debug)]
pub struct Suggested {
    pub text: String,
    pub added: Vec<Wanted>,
    pub lengthened: Vec<Wanted>,
}

/// Adds the wanted keys that a valid schema does not list, and raises a `maxLen` that is too small.
pub fn suggest(text: &str, schema: &RequestSchema, wanted: &[Wanted]) -> Option<Suggested> {
    let document = json::document(text).ok()?;
    let (mut added, mut lengthened) = (Vec::new(), Vec::new());
    for wanted in wanted {
        match listed(schema, wanted) {
            Some((DataType::String, max_len)) if wanted.length > max_len => {
                lengthened.push(wanted.clone());
            }
            Some(_) => {}
            None if is_free(schema, &added, wanted) => added.push(wanted.clone()),
            None => {}
        }
    }
    let of = |all: &[Wanted], section| -> Vec<Wanted> {
        let all = all.iter();
        all.filter(|w| w.section == section).cloned().collect()
    };
    let mut members: Vec<(String, String)> = Vec::new();
    for (key, value) in &document.members {
        let section = section(key);
        let rendered = match section {
            Some(Section::AppVersion) => rule(value, of(&lengthened, Section::AppVersion).first()),
            Some(section) => keys(value, &of(&lengthened, section), &of(&added, section)),
            None => value.get().to_owned(),
        };
        members.push((key.clone(), rendered));
    }
    for (name, section) in [(TAGS, Section::Tags), (FIELDS, Section::Fields)] {
        let added = of(&added, section);
        let is_there = document.get(name).is_some();
        if !is_there && !added.is_empty() {
            members.push((name.to_owned(), lines(&new_members(&added), 2)));
        }
    }
    Some(Suggested {
        text: format!("{}\n", lines(&members, 0)),
        added,
        lengthened,
    })
}

fn section(key: &str) -> Option<Section> {
    let sections = [
        (APP_VERSION, Section::AppVersion),
        (TAGS, Section::Tags),
        (FIELDS, Section::Fields),
    ];
    let found = sections
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(key));
    found.map(|(_, section)| section)
}

/// The type and `maxLen` of a key; `None` where the schema does not list it.
fn listed(schema: &RequestSchema, wanted: &Wanted) -> Option<(DataType, usize)> {
    let keys = match wanted.section {
        Section::AppVersion => {
            let rule = schema.app_version();
            return Some((rule.data_type, rule.max_len));
        }
        Section::Tags => schema.tags(),
        Section::Fields => schema.fields(),
    };
    let (_, rule) = keys.iter().find(|(key, _)| *key == wanted.key)?;
    Some((rule.data_type, rule.max_len))
}

/// Whether a key can be added: no other key is stored under the same name, and a schema accepts it.
fn is_free(schema: &RequestSchema, added: &[Wanted], wanted: &Wanted) -> bool {
    let key = &wanted.key;
    let point_key = snake_case(key);
    let taken = |section: Section| match section {
        Section::AppVersion => false,
        Section::Tags => schema
            .tags()
            .iter()
            .any(|(_, rule)| *rule.point_key == *point_key),
        Section::Fields => schema
            .fields()
            .iter()
            .any(|(_, rule)| *rule.point_key == *point_key),
    };
    let again = added
        .iter()
        .any(|other| other.section == wanted.section && snake_case(&other.key) == point_key);
    !key.is_empty()
        && !key.contains(char::is_control)
        && !key.ends_with('\\')
        && !RESERVED_KEYS.contains(&point_key.as_str())
        && !taken(wanted.section)
        && !again
}

/// A section with `added` keys, and with a greater `maxLen` for those in `lengthened`.
fn keys(value: &RawValue, lengthened: &[Wanted], added: &[Wanted]) -> String {
    let Some(object) = Object::of(value) else {
        // In a valid schema, a section that is not an object is `null`.
        return match added {
            [] => value.get().to_owned(),
            added => lines(&new_members(added), 2),
        };
    };
    if lengthened.is_empty() && added.is_empty() {
        return value.get().to_owned();
    }
    let mut members: Vec<(String, String)> = Vec::new();
    for (key, value) in &object.members {
        let longer = lengthened.iter().find(|wanted| wanted.key == *key);
        members.push((key.clone(), rule(value, longer)));
    }
    members.extend(new_members(added));
    lines(&members, 2)
}

/// The schema of a key, with a greater `maxLen` where one is wanted.
fn rule(value: &RawValue, longer: Option<&Wanted>) -> String {
    let (Some(longer), Some(object)) = (longer, Object::of(value)) else {
        return value.get().to_owned();
    };
    let kept = object.members.iter();
    let kept = kept.filter(|(key, _)| !key.eq_ignore_ascii_case("maxLen"));
    let mut members: Vec<String> = kept
        .map(|(key, value)| format!("{}: {}", quoted(key), value.get()))
        .collect();
    members.push(format!("\"maxLen\": {}", roomy(longer.length)));
    format!("{{{}}}", members.join(", "))
}

fn new_members(added: &[Wanted]) -> Vec<(String, String)> {
    let member = |wanted: &Wanted| {
        let name = wanted.data_type.name();
        let rule = match wanted.data_type {
            DataType::String => {
                let length = roomy(wanted.length);
                format!("{{\"dataType\": \"{name}\", \"maxLen\": {length}}}")
            }
            DataType::Float | DataType::Boolean => format!("{{\"dataType\": \"{name}\"}}"),
        };
        (wanted.key.clone(), rule)
    };
    added.iter().map(member).collect()
}

/// The next power of two, but at most the default for a length up to the default.
fn roomy(length: usize) -> usize {
    let power = length.max(LEAST_LENGTH).next_power_of_two();
    if length <= DEFAULT_MAX_LEN {
        power.min(DEFAULT_MAX_LEN)
    } else {
        power
    }
}

/// A JSON object with one line for each member.
fn lines(members: &[(String, String)], indent: usize) -> String {
    let (outer, inner) = (" ".repeat(indent), " ".repeat(indent + 2));
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{inner}{}: {value}", quoted(key)))
        .collect();
    format!("{{\n{}\n{outer}}}", members.join(",\n"))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
