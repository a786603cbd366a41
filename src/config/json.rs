//! JSON as the operator wrote it: members in their order, keys in any case, values as text. This
//! module must never change a value on its way to the client.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::problem::Problem;

/// The members of a JSON object in the file's order, repeated keys included.
pub(super) struct Object<'a> {
    pub(super) members: Vec<(String, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// `None` where `raw` is no object.
    pub(super) fn of(raw: &'a RawValue) -> Option<Object<'a>> {
        serde_json::from_str(raw.get()).ok()
    }

    /// The value of `key` in any ASCII case, `null` included. The last of a repeated key wins, as in
    /// the original.
    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.members
            .iter()
            .rfind(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| *value)
    }

    /// [`Object::get`] for keys where `null` means the same as a missing key.
    pub(super) fn get_non_null(&self, key: &str) -> Option<&'a RawValue> {
        self.get(key).filter(|value| value.get() != "null")
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'de>, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object { members })
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Parses `text` as one JSON object.
pub(super) fn document(text: &str) -> Result<Object<'_>, Problem> {
    // Decoding the whole text reports every syntax error here, with line and column. Reading a part
    // later can then fail only because its type is wrong.
    if let Err(error) = serde_json::from_str::<Value>(text) {
        return Err(syntax_problem(text, &error));
    }
    serde_json::from_str(text).map_err(|_| {
        let found = excerpt(text);
        Problem::new("", format!("found {found}, expected a JSON object"))
    })
}

/// The elements of an array; `None` where `raw` is not an array.
pub(super) fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// The text of a JSON string; `None` where `raw` is not a string.
pub(super) fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// `json` without the white space outside its strings.
pub(super) fn compact(json: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    json.chars()
        .filter(|c| {
            if !in_string {
                in_string = *c == '"';
                return !matches!(c, ' ' | '\t' | '\n' | '\r');
            }
            in_string = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
            true
        })
        .collect()
}

/// A value for an error message: on one line and cut short, or `nothing`.
pub(super) fn found(value: Option<&RawValue>) -> String {
    match value {
        Some(value) => excerpt(value.get()),
        None => "nothing".to_string(),
    }
}

fn excerpt(json: &str) -> String {
    cut(&compact(json), 60)
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

fn syntax_problem(text: &str, error: &serde_json::Error) -> Problem {
    if text.trim().is_empty() {
        return Problem::new("", "found nothing, expected a JSON object");
    }
    let (line, column) = (error.line(), error.column());
    let place = format!("line {line}, column {column}");
    let message = error.to_string();
    let message = message
        .strip_suffix(&format!(" at line {line} column {column}"))
        .unwrap_or(&message);
    match rest_of_line(text, line, column) {
        Some(rest) if !error.is_eof() => {
            Problem::new(place, format!("{message}, near {:?}", cut(rest, 30)))
        }
        _ => Problem::new(place, message),
    }
}

/// The rest of the line from the position of an error. Lines and columns count from 1, columns in
/// bytes. `None` where the column is inside a character or before the line, or nothing follows.
fn rest_of_line(text: &str, line: usize, column: usize) -> Option<&str> {
    let line = text.lines().nth(line.checked_sub(1)?)?;
    let rest = line.get(column.checked_sub(1)?..)?;
    Some(rest).filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        match document(text) {
            Ok(_) => panic!("{text:?} was taken"),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn what_is_no_json_is_shown_by_line_and_column() {
        for (text, expected) in [
            (
                "{\n  \"a\": 1\n  \"b\": 2\n}",
                "line 3, column 3: expected `,` or `}`, near \"\\\"b\\\": 2\"",
            ),
            (
                "{\"a\": 1,}",
                "line 1, column 9: trailing comma, near \"}\"",
            ),
            (
                "{\"a\": 'b'}",
                "line 1, column 7: expected value, near \"'b'}\"",
            ),
            (
                "{} and more",
                "line 1, column 4: trailing characters, near \"and more\"",
            ),
            ("{\"a\": 1", "line 1, column 7: EOF while parsing an object"),
        ] {
            assert_eq!(refusal(text), expected);
        }
    }

    #[test]
    fn a_document_that_is_no_object_is_refused() {
        for text in ["", " \n"] {
            assert_eq!(refusal(text), "found nothing, expected a JSON object");
        }
        assert_eq!(refusal("[ 1, 2 ]"), "found [1,2], expected a JSON object");
        assert_eq!(refusal("null"), "found null, expected a JSON object");
    }

    #[test]
    fn deep_nesting_is_refused_without_exhausting_the_stack() {
        let deep = format!("{{\"a\": {}", "[".repeat(1_000_000));
        assert!(refusal(&deep).contains("recursion limit exceeded"));
    }

    #[test]
    fn broken_text_of_any_kind_is_refused_without_a_panic() {
        let text = "{\"ä\": [\"\\u00e4\", \"ö\n\"], \"b\": 1.5e3}";
        for (end, _) in text.char_indices() {
            assert!(document(&text[..end]).is_err());
        }
        assert!(document("{\"a\": \"\\ud800\"}").is_err());
    }

    #[test]
    fn the_last_of_a_repeated_key_wins_in_any_case() {
        let object = document("{\"NAME\": 1, \"name\": 2, \"other\": 3, \"Name\": 4}").unwrap();
        assert_eq!(object.get("name").unwrap().get(), "4");
        assert!(object.get("nam").is_none());
    }

    #[test]
    fn white_space_goes_outside_strings_only() {
        assert_eq!(
            compact("{ \"a b\" :\t[ 1.50 ,\r\n\"c \\\" : d\\\\\" , \"\\u0020 é\" ] }"),
            "{\"a b\":[1.50,\"c \\\" : d\\\\\",\"\\u0020 é\"]}"
        );
    }

    #[test]
    fn a_long_value_is_cut_in_messages() {
        let long = format!("\"{}\"", "é".repeat(100));
        assert_eq!(excerpt(&long), format!("\"{}…", "é".repeat(59)));
    }
}
