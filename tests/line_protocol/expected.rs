//! The tags and fields to be stored for a check-in, by the documented rules and without the server's code.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use upgrade_responder::line::encode::RESERVED_KEYS;
use upgrade_responder::line::snake::snake_case;

use super::bodies::Body;
use crate::support::line_protocol::Value;

/// The tags and fields to be stored, including `value`. `None` if the version is too long, so that the check-in is not
/// recorded.
pub(super) fn expected(body: &Body) -> Option<(BTreeMap<String, String>, BTreeMap<String, Value>)> {
    let version = body.version.clone().unwrap_or_default().trim().to_owned();
    if version.len() > 200 {
        return None;
    }
    // The last of a repeated key wins, extraTagInfo over extraInfo.
    let sent: BTreeMap<_, _> = body.info.iter().chain(&body.tags).cloned().collect();
    let tags = accepted(sent, |value| match value {
        // White space around a value is removed. An empty value is left out.
        Json::String(text) => {
            let text = text.trim();
            (1..=200).contains(&text.len()).then(|| text.to_owned())
        }
        _ => None,
    });
    let sent: BTreeMap<_, _> = body.fields.iter().cloned().collect();
    let fields = accepted(sent, |value| match value {
        Json::String(text) if (1..=200).contains(&text.len()) => {
            Some(Value::Text(printable(&text)))
        }
        Json::Number(number) => number.as_f64().map(Value::Float),
        Json::Bool(value) => Some(Value::Boolean(value)),
        _ => None,
    });
    let tags = tags
        .into_iter()
        .chain([("app_version".to_string(), version)]);
    // Line protocol has no empty tags.
    let tags = tags.map(|(key, text)| (key, tag_text(&text)));
    let own = [("value".to_string(), Value::Integer(1))];
    Some((
        tags.filter(|(_, text)| !text.is_empty()).collect(),
        fields.into_iter().chain(own).collect(),
    ))
}

/// The keys and values that are stored. If two keys are the same in snake case, the first one in byte order is kept.
fn accepted<T>(
    sent: BTreeMap<String, Json>,
    accept: impl Fn(Json) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut stored = BTreeMap::new();
    for (key, value) in sent {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_valid = (1..=64).contains(&key.len()) && key.chars().all(is_allowed);
        let name = snake_case(&key);
        let free = !stored.contains_key(&name) && !RESERVED_KEYS.contains(&name.as_str());
        if !is_valid || !free || stored.len() == 64 {
            continue;
        }
        if let Some(value) = accept(value) {
            stored.insert(name, value);
        }
    }
    stored
}

/// The text as it is stored in a tag: without backslashes at its end or before a comma, an equals sign or a space.
pub(super) fn tag_text(text: &str) -> String {
    let mut kept = String::new();
    for piece in text.split_inclusive([',', '=', ' ']) {
        match piece.char_indices().next_back() {
            Some((at, special @ (',' | '=' | ' '))) => {
                kept.push_str(piece[..at].trim_end_matches('\\'));
                kept.push(special);
            }
            _ => kept.push_str(piece.trim_end_matches('\\')),
        }
    }
    printable(&kept)
}

/// The text with U+FFFD for each control character.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
