//! The request schema: which extra tags and fields of a check-in are kept, and what is valid for
//! them. Values that break it are left out by the check-in; a schema itself is taken whole or not
//! at all.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::allowed::Allowed;
use super::effect::{WithoutEffect, without_effect};
use super::json::{self, Object};
use super::problem::{Problem, Problems};
use crate::line::encode::{self as line, RESERVED_KEYS};
use crate::line::snake::snake_case;

/// Bytes of a string value where the schema gives no `maxLen`, or 0: the original's default.
pub const DEFAULT_MAX_LEN: usize = 200;

/// What the schema of a key looks like, for messages.
const EXAMPLE: &str = "{\"dataType\": \"string\", \"maxLen\": 200}";

/// The keys at the top of the file that have an effect.
const KEYS: &[&str] = &[
    "appVersionSchema",
    "extraTagInfoSchema",
    "extraFieldInfoSchema",
];
/// The same of the schema of one key.
const KEY_KEYS: &[&str] = &["dataType", "maxLen", "values", "pattern"];

/// A valid request schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSchema {
    app_version: KeySchema,
    tags: Keys,
    fields: Keys,
    without_effect: Vec<WithoutEffect>,
}

/// Keys in the client's spelling, sorted, none twice, and what is valid for each.
pub type Keys = Vec<(String, KeySchema)>;

/// What is valid for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySchema {
    /// The key in the point: snake case.
    pub point_key: Box<str>,
    /// The same as it stands in a line; `None` for a name of the point's own, which is never stored.
    /// Made once here, since each record needs it.
    pub line_key: Option<Box<str>>,
    /// The type a value must have.
    pub data_type: DataType,
    /// The most bytes a string value may have; without meaning for other types.
    pub max_len: usize,
    /// The strings that are allowed, where the operator says which.
    pub allowed: Option<Allowed>,
}

impl KeySchema {
    fn new(key: &str, data_type: DataType) -> KeySchema {
        let point_key = snake_case(key);
        let line_key = match RESERVED_KEYS.contains(&point_key.as_str()) {
            true => None,
            false => Some(line::escaped(&point_key).into()),
        };
        KeySchema {
            point_key: point_key.into(),
            line_key,
            data_type,
            max_len: DEFAULT_MAX_LEN,
            allowed: None,
        }
    }

    /// Whether a string is valid: not too long, and allowed.
    pub fn check(&self, text: &str) -> Result<(), Invalid> {
        if text.len() > self.max_len {
            return Err(Invalid::TooLong);
        }
        match &self.allowed {
            Some(allowed) if !allowed.allows(text) => Err(Invalid::NotAllowed),
            _ => Ok(()),
        }
    }
}

/// Why a string is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    TooLong,
    NotAllowed,
}

/// The types of values; a float is any JSON number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// `"string"`
    String,
    /// `"float"`
    Float,
    /// `"boolean"`
    Boolean,
}

impl RequestSchema {
    /// Reads a request schema. The error holds every problem found, at least one.
    ///
    /// A key whose point key is a built-in name (`city`, `value`) is accepted, as in the original.
    pub fn parse(text: &str) -> Result<RequestSchema, Vec<Problem>> {
        let document = json::document(text).map_err(|problem| vec![problem])?;
        let mut reader = Reader::default();
        let app_version = reader.app_version(document.get_non_null("appVersionSchema"));
        let tags = reader.keys(&document, "extraTagInfoSchema", &[DataType::String]);
        let all_types = [DataType::String, DataType::Float, DataType::Boolean];
        let fields = reader.keys(&document, "extraFieldInfoSchema", &all_types);
        match app_version {
            Some(app_version) if reader.problems.0.is_empty() => {
                let mut unused = without_effect("", &document, KEYS);
                unused.append(&mut reader.without_effect);
                Ok(RequestSchema {
                    app_version,
                    tags,
                    fields,
                    without_effect: unused,
                })
            }
            _ => Err(reader.problems.0),
        }
    }

    /// What is valid for `appVersion`: always a string.
    pub fn app_version(&self) -> &KeySchema {
        &self.app_version
    }

    /// The extra tags: always strings.
    pub fn tags(&self) -> &Keys {
        &self.tags
    }

    /// Keys of the file that change nothing.
    pub fn without_effect(&self) -> &[WithoutEffect] {
        &self.without_effect
    }

    /// The extra fields.
    pub fn fields(&self) -> &Keys {
        &self.fields
    }
}

impl DataType {
    /// The type's name in a schema.
    pub fn name(self) -> &'static str {
        match self {
            DataType::String => "string",
            DataType::Float => "float",
            DataType::Boolean => "boolean",
        }
    }
}

/// Reads the parts of a schema and notes what is wrong with them.
#[derive(Default)]
struct Reader {
    problems: Problems,
    without_effect: Vec<WithoutEffect>,
}

impl Reader {
    /// A schema without it is taken, where the original did not start: there is only one thing that
    /// it could say.
    fn app_version(&mut self, value: Option<&RawValue>) -> Option<KeySchema> {
        let Some(value) = value else {
            return Some(KeySchema::new("appVersion", DataType::String));
        };
        self.key("appVersionSchema", "appVersion", value, &[DataType::String])
    }

    /// The keys below `section`, of which each must have one of `types`.
    fn keys(&mut self, document: &Object<'_>, section: &str, types: &[DataType]) -> Keys {
        let Some(value) = document.get_non_null(section) else {
            return Keys::new();
        };
        let Some(object) = Object::of(value) else {
            let found = json::found(Some(value));
            self.problems.note(
                section,
                format!("found {found}, expected an object of keys"),
            );
            return Keys::new();
        };
        // Of a repeated key the last one counts.
        let mut schemas = BTreeMap::new();
        for (key, value) in &object.members {
            let place = format!("{section}, {key:?}");
            // A backslash at its end is what line protocol cannot express of a key.
            if key.is_empty() || key.contains(char::is_control) || key.ends_with('\\') {
                let message = "found an empty key, or one with control characters or a backslash \
                               at its end, expected a name";
                self.problems.note(&place, message);
                continue;
            }
            if let Some(schema) = self.key(&place, key, value, types) {
                schemas.insert(key.clone(), schema);
            }
        }
        schemas.into_iter().collect()
    }

    /// `None` where the schema of a key has a problem, which is noted.
    fn key(
        &mut self,
        place: &str,
        key: &str,
        value: &RawValue,
        types: &[DataType],
    ) -> Option<KeySchema> {
        let Some(object) = Object::of(value) else {
            let found = json::found(Some(value));
            let message = format!("found {found}, expected an object such as {EXAMPLE}");
            self.problems.note(place, message);
            return None;
        };
        let unused = without_effect(place, &object, KEY_KEYS);
        self.without_effect.extend(unused);
        let data_type = data_type(object.get("dataType"), types);
        let max_len = max_len(object.get_non_null("maxLen"));
        let allowed = self.allowed(place, &object);
        let data_type = self.problems.keep(place, "dataType", data_type);
        let max_len = self.problems.keep(place, "maxLen", max_len);
        Some(KeySchema {
            max_len: max_len?,
            allowed,
            ..KeySchema::new(key, data_type?)
        })
    }

    /// `None` where there is no rule, or one with a problem, which is noted.
    fn allowed(&mut self, place: &str, object: &Object<'_>) -> Option<Allowed> {
        let values = object.get_non_null("values").map(Allowed::values);
        let pattern = object.get_non_null("pattern").map(Allowed::pattern);
        let (key, read) = match (values, pattern) {
            (None, None) => return None,
            (Some(read), None) => ("values", read),
            (None, Some(read)) => ("pattern", read),
            (Some(_), Some(_)) => (
                "pattern",
                Err("found beside \"values\", expected one of them".into()),
            ),
        };
        self.problems.keep(place, key, read)
    }
}

fn data_type(value: Option<&RawValue>, types: &[DataType]) -> Result<DataType, String> {
    let name = value.and_then(json::string);
    let known = types.iter().find(|t| name.as_deref() == Some(t.name()));
    known.copied().ok_or_else(|| {
        let names: Vec<String> = types.iter().map(|t| format!("{:?}", t.name())).collect();
        let (found, names) = (json::found(value), names.join(" or "));
        format!("found {found}, expected {names}")
    })
}

fn max_len(value: Option<&RawValue>) -> Result<usize, String> {
    let Some(value) = value else {
        return Ok(DEFAULT_MAX_LEN);
    };
    match serde_json::from_str::<usize>(value.get()) {
        Ok(0) => Ok(DEFAULT_MAX_LEN),
        Ok(max_len) => Ok(max_len),
        Err(_) => Err(format!(
            "found {}, expected a whole number of bytes, or 0 for the default of {DEFAULT_MAX_LEN}",
            json::found(Some(value))
        )),
    }
}

#[cfg(test)]
mod tests;
