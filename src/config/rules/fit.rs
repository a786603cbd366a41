//! Warnings about criteria that no check-in can meet according to the request schema and the geo database.
//!
//! Rules match the values that a client sends, even where the schema does not list them. A key that the schema does
//! not list is still most likely a typing mistake, so it is a warning and must never be an error.

use super::criteria::{Criterion, Key};
use super::said::Said;
use super::wanted::Wanted;
use super::{Rule, Rules};
use crate::config::allowed::Allowed;
use crate::config::schema::{DataType, KeySchema, RequestSchema};

/// The warnings, one sentence each.
pub fn findings(rules: &Rules, schema: Option<&RequestSchema>, has_geodb: bool) -> Vec<String> {
    let mut findings = Vec::new();
    for rule in rules.iter() {
        let title = rule.title();
        for criterion in &rule.criteria {
            if criterion.key == Key::Country && !has_geodb {
                findings.push(format!(
                    "{title} never holds: country needs a geo database (--geodb)"
                ));
            }
        }
        if let Some(schema) = schema {
            findings.extend(against(rule, schema).map(|what| format!("{title} {what}")));
        }
    }
    findings
}

fn against<'a>(rule: &'a Rule, schema: &'a RequestSchema) -> impl Iterator<Item = String> + 'a {
    let platform = rule
        .asks_for_platform()
        .then_some(["platform", "platformVersion"]);
    let missing = platform.into_iter().flatten();
    let missing = missing.filter(|key| find(schema.tags(), key).is_none());
    let missing = missing.map(|key| {
        format!(
            "never holds: the request schema has no tag {key:?}, which Platform, Arch and \
                 PlatformVersion need"
        )
    });
    let criteria = rule.criteria.iter();
    missing.chain(criteria.filter_map(|criterion| cannot(criterion, schema)))
}

fn cannot(criterion: &Criterion, schema: &RequestSchema) -> Option<String> {
    let key = match &criterion.key {
        Key::AppVersion => {
            let possible = may_say(schema.app_version(), criterion);
            let what = "never holds: no appVersion that the request schema allows meets";
            return (!possible).then(|| format!("{what} {criterion}"));
        }
        Key::Extra(key) => key,
        _ => return None,
    };
    let listed = [find(schema.tags(), key), find(schema.fields(), key)];
    let mut listed = listed.into_iter().flatten().peekable();
    if listed.peek().is_none() {
        return Some(format!(
            "never holds: the request schema has no key {key:?}"
        ));
    }
    let possible = listed.any(|rule| may_say(rule, criterion));
    (!possible).then(|| {
        format!(
            "never holds: no value that the request schema allows for {key:?} meets {criterion}"
        )
    })
}

fn find<'a>(keys: &'a [(String, KeySchema)], key: &str) -> Option<&'a KeySchema> {
    keys.iter()
        .find_map(|(name, rule)| (name == key).then_some(rule))
}

/// Whether a value that the schema allows can meet the criterion; true where that is unknown.
fn may_say(schema: &KeySchema, criterion: &Criterion) -> bool {
    match (schema.data_type, &schema.allowed) {
        (DataType::String, Some(Allowed::Values(values))) => {
            let mut values = values.iter().filter(|value| schema.check(value).is_ok());
            values.any(|value| accepted(criterion, Said::Text(value)))
        }
        (DataType::String, _) => criterion.wanted.iter().any(|wanted| match wanted {
            Wanted::Text {
                exact,
                versions: None,
                ..
            } => schema.check(exact).is_ok(),
            _ => true,
        }),
        (DataType::Boolean, _) => [true, false]
            .into_iter()
            .any(|value| accepted(criterion, Said::Boolean(value))),
        (DataType::Float, _) => criterion.wanted.iter().any(|wanted| match wanted {
            Wanted::Text {
                versions, numbers, ..
            } => versions.is_some() || numbers.is_some(),
            Wanted::Boolean(_) => false,
            _ => true,
        }),
    }
}

fn accepted(criterion: &Criterion, said: Said<'_>) -> bool {
    criterion.wanted.iter().any(|wanted| wanted.accepts(said))
}
