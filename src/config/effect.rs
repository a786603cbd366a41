//! Keys of the operator's files that have no effect: misspelt, from another program, or written twice.
//! Such a file is valid and must not be refused; each such key becomes a warning.

use super::json::Object;

/// Least similarity (Jaro-Winkler, 0 to 1) at which a known key is suggested for an unknown one.
const SIMILAR: f64 = 0.8;

/// A key without effect, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithoutEffect {
    /// Place of the object that has the key; empty for the top of the file.
    place: String,
    key: String,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// The server does not know the key. `nearest` is a similar known key, if there is one.
    Unknown {
        nearest: Option<&'static str>,
        known: &'static [&'static str],
    },
    /// The same key is written again later in the object, in the spelling `again`.
    Repeated { again: String },
}

impl std::fmt::Display for WithoutEffect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = match self.place.as_str() {
            "" => String::new(),
            place => format!("{place}: "),
        };
        write!(f, "{place}key {:?} has no effect", self.key)?;
        match &self.why {
            Why::Unknown {
                nearest: Some(nearest),
                ..
            } => write!(f, "; the nearest known key is {nearest:?}"),
            Why::Unknown { known, .. } => {
                let known: Vec<String> = known.iter().map(|key| format!("{key:?}")).collect();
                write!(f, "; known keys are {}", known.join(", "))
            }
            Why::Repeated { again } => write!(f, "; the later {again:?} is used"),
        }
    }
}

/// The members of an object that have no effect; `known` lists the keys that have one.
pub(super) fn without_effect(
    place: &str,
    object: &Object<'_>,
    known: &'static [&'static str],
) -> Vec<WithoutEffect> {
    let mut found = Vec::new();
    for (index, (key, _)) in object.members.iter().enumerate() {
        let why = if !known.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            Why::Unknown {
                nearest: nearest(key, known),
                known,
            }
        } else if let Some((again, _)) = object.members[index + 1..]
            .iter()
            .find(|(later, _)| later.eq_ignore_ascii_case(key))
        {
            Why::Repeated {
                again: again.clone(),
            }
        } else {
            continue;
        };
        found.push(WithoutEffect {
            place: place.to_owned(),
            key: key.clone(),
            why,
        });
    }
    found
}

fn nearest(key: &str, known: &'static [&'static str]) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    let similarity = |known: &str| strsim::jaro_winkler(&key, &known.to_ascii_lowercase());
    known
        .iter()
        .map(|known| (similarity(known), *known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let object = json::document(text).unwrap();
        let known = &["versions", "rules"];
        let found = without_effect("", &object, known);
        found.iter().map(WithoutEffect::to_string).collect()
    }

    #[test]
    fn unknown_and_repeated_keys_are_told_and_others_are_not() {
        assert!(told("{\"Versions\": [], \"RULES\": []}").is_empty());
        let cases = [
            ("version", "; the nearest known key is \"versions\""),
            ("Rule", "; the nearest known key is \"rules\""),
            (
                "requestIntervalInMinutes",
                "; known keys are \"versions\", \"rules\"",
            ),
            ("", "; known keys are \"versions\", \"rules\""),
        ];
        for (key, expected) in cases {
            let text = format!("{{\"versions\": [], {key:?}: 5}}");
            let expected = format!("key {key:?} has no effect{expected}");
            assert_eq!(told(&text), [expected]);
        }
        assert_eq!(
            told("{\"versions\": [], \"Versions\": []}"),
            ["key \"versions\" has no effect; the later \"Versions\" is used"]
        );
    }
}
