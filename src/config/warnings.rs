//! Warnings about settings that are valid but probably mistakes. They never keep a file from loading.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Snapshot;
use super::response::ResponseConfig;
use super::rules::{fit, reach};
use super::schema::{KeySchema, RequestSchema};
use crate::line::encode::RESERVED_KEYS;

/// Geo databases are published weekly or monthly, and addresses move.
const GEODB_AGE: SignedDuration = SignedDuration::from_hours(60 * 24);

/// All warnings about a snapshot, one sentence each.
pub fn warnings(snapshot: &Snapshot, now: Timestamp) -> Vec<String> {
    let mut warnings = without_effect(snapshot);
    warnings.extend(response(&snapshot.response, now));
    let (config, has_geodb) = (&snapshot.response, snapshot.geodb.is_some());
    warnings.extend(reach::findings(config.rules(), config.versions(), now));
    warnings.extend(fit::findings(
        config.rules(),
        snapshot.schema.as_ref(),
        has_geodb,
    ));
    if let Some(request_schema) = &snapshot.schema {
        warnings.extend(schema(request_schema));
    }
    if let Some(geodb) = &snapshot.geodb
        && geodb
            .build_time()
            .is_some_and(|built| now.duration_since(built) > GEODB_AGE)
    {
        warnings.push(format!(
            "the geo database is older than 60 days: {}",
            geodb.describe()
        ));
    }
    warnings
}

/// Warnings about keys of the response config and the request schema that have no effect.
pub fn without_effect(snapshot: &Snapshot) -> Vec<String> {
    let response = snapshot.response.without_effect().iter();
    let schema = snapshot.schema.iter().flat_map(|s| s.without_effect());
    let response = response.map(|key| format!("response config: {key}"));
    let schema = schema.map(|key| format!("request schema: {key}"));
    response.chain(schema).collect()
}

fn response(config: &ResponseConfig, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    for version in config.versions() {
        if version.tags.is_empty() {
            warnings.push(format!("version {:?} has no tags", version.name));
        }
        if version.release_date > now {
            warnings.push(format!(
                "version {:?} has a release date in the future, {}",
                version.name, version.release_date
            ));
        }
    }
    let highest = config
        .versions()
        .iter()
        .max_by_key(|version| &version.semver);
    if let Some(highest) = highest.filter(|v| v.semver > config.latest().semver) {
        warnings.push(format!(
            "{:?} is tagged latest, but {:?} is higher",
            config.latest().name,
            highest.name
        ));
    }
    warnings
}

/// A key of a schema, as the client spells it.
struct Spelling<'a> {
    kind: &'static str,
    key: &'a str,
    rule: &'a KeySchema,
}

fn schema(schema: &RequestSchema) -> Vec<String> {
    // Grouped by the name under which they are stored.
    let mut spellings: BTreeMap<&str, Vec<Spelling<'_>>> = BTreeMap::new();
    for (kind, keys) in [("tag", schema.tags()), ("field", schema.fields())] {
        for (key, rule) in keys {
            let spelling = Spelling { kind, key, rule };
            spellings.entry(&rule.point_key).or_default().push(spelling);
        }
    }
    let mut warnings = Vec::new();
    for (point_key, keys) in spellings {
        let shown: Vec<String> = keys
            .iter()
            .map(|Spelling { kind, key, .. }| format!("{kind} {key:?}"))
            .collect();
        let shown = shown.join(", ");
        if RESERVED_KEYS.contains(&point_key) {
            warnings.push(format!(
                "{shown} of the schema: never stored, because the name {point_key:?} is reserved"
            ));
            continue;
        }
        let tags = keys
            .iter()
            .filter(|spelling| spelling.kind == "tag")
            .count();
        let fields = keys.len() - tags;
        if tags > 1 || fields > 1 {
            warnings.push(format!(
                "{shown} of the schema: all stored as {point_key:?}; if a check-in has several, only \
                 the first is kept"
            ));
        }
        let types = field_types(&keys);
        if types.len() > 1 {
            warnings.push(format!(
                "{shown} of the schema: {point_key:?} would be {}; InfluxDB keeps the type that it \
                 gets first and refuses records with another type",
                types.join(" and ")
            ));
        }
        if tags > 0 && fields > 0 {
            warnings.push(format!(
                "{shown} of the schema: a tag and a field are both stored as {point_key:?}, which \
                 queries cannot tell apart"
            ));
        }
    }
    warnings
}

/// The distinct types of the fields among `keys`.
fn field_types(keys: &[Spelling<'_>]) -> Vec<&'static str> {
    let fields = keys.iter().filter(|spelling| spelling.kind == "field");
    let mut types: Vec<&str> = fields
        .map(|spelling| spelling.rule.data_type.name())
        .collect();
    types.sort_unstable();
    types.dedup();
    types
}
