//! Adding and replacing members of the operator's JSON object. Every other byte must stay unchanged.

use serde_json::value::RawValue;

use crate::config::json::Object;

/// `json` with `key` set to `value`. If the object has the key in any case, its last value is replaced; else the
/// member is added at the end. `json` is an object without white space outside strings.
pub fn set(json: &str, key: &str, value: &str) -> String {
    let found = parsed(json).and_then(|object| {
        let old = object.get(key)?.get();
        // A raw value borrows from `json`, so the difference of the pointers is its position.
        let begin = (old.as_ptr() as usize).checked_sub(json.as_ptr() as usize)?;
        Some((json.get(..begin)?, json.get(begin + old.len()..)?))
    });
    if let Some((before, after)) = found {
        return format!("{before}{value}{after}");
    }
    let open = json.strip_suffix('}').unwrap_or(json);
    let comma = if open.ends_with('{') { "" } else { "," };
    format!("{open}{comma}\"{key}\":{value}}}")
}

/// `json` with `text` added to the array of `key`.
pub fn add_to_array(json: &str, key: &str, text: &str) -> String {
    let text = serde_json::Value::from(text);
    let old = parsed(json).and_then(|object| Some(object.get(key)?.get()));
    let array = match old.and_then(|old| old.strip_suffix(']')) {
        Some("[") | None => format!("[{text}]"),
        Some(open) => format!("{open},{text}]"),
    };
    set(json, key, &array)
}

/// Whether the object's `name` is spelled with a capital letter, as the keys of the original are.
pub fn has_capitals(json: &str) -> bool {
    parsed(json).is_some_and(|object| {
        let mut names = object.members.iter().rev().map(|(name, _)| name);
        let name = names.find(|name| name.eq_ignore_ascii_case("name"));
        name.is_some_and(|name| name.starts_with('N'))
    })
}

fn parsed(json: &str) -> Option<Object<'_>> {
    let raw: &RawValue = serde_json::from_str(json).ok()?;
    Object::of(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_changes() {
        for (json, expected) in [
            (
                r#"{"name":"é\u00e9"}"#,
                r#"{"name":"é\u00e9","Supported":true}"#,
            ),
            ("{}", r#"{"Supported":true}"#),
            (
                r#"{"supported":{"a":[1]},"n":1.50}"#,
                r#"{"supported":true,"n":1.50}"#,
            ),
            (
                r#"{"Supported":1,"SUPPORTED":1,"n":1}"#,
                r#"{"Supported":1,"SUPPORTED":true,"n":1}"#,
            ),
        ] {
            assert_eq!(set(json, "Supported", "true"), expected);
        }
        for (json, expected) in [
            (r#"{"tags":[]}"#, r#"{"tags":["latest"]}"#),
            (r#"{"tags":["a"]}"#, r#"{"tags":["a","latest"]}"#),
            (r#"{"tags":null}"#, r#"{"tags":["latest"]}"#),
            (r#"{"a":1}"#, r#"{"a":1,"Tags":["latest"]}"#),
        ] {
            assert_eq!(add_to_array(json, "Tags", "latest"), expected);
        }
    }
}
