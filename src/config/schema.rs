//! The request schema: which extra tags and fields of a check-in are kept, and which values are
//! valid for them. The check-in leaves out other values. A schema with a problem is refused as a
//! whole and must never be used in part.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::allowed::Allowed;
use super::effect::{WithoutEffect, without_effect};
use super::json::{self, Object};
use super::problem::{Problem, Problems};
use crate::line::encode::{self as line, RESERVED_KEYS};
use crate::line::snake::snake_case;

/// Default of `maxLen` in bytes, also used where it is 0; the same as in the original.
pub const DEFAULT_MAX_LEN: usize = 200;

/// A sample schema of a key, for messages.
const EXAMPLE: &str = "{\"dataType\": \"string\", \"maxLen\": 200}";

/// The keys at the top of the file that have an effect.
const KEYS: &[&str] = &[
    "appVersionSchema",
    "extraTagInfoSchema",
    "extraFieldInfoSchema",
];
/// The keys in the schema of one key that have an effect.
const KEY_KEYS: &[&str] = &["dataType", "maxLen", "values", "pattern"];

/// A valid request schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSchema {
    app_version: KeySchema,
    tags: Keys,
    fields: Keys,
    without_effect: Vec<WithoutEffect>,
}

/// Distinct keys in the client's spelling, sorted, each with its schema.
pub type Keys = Vec<(String, KeySchema)>;

/// The schema of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySchema {
    /// The key in the point: snake case.
    pub point_key: Box<str>,
    /// The point key, escaped for line protocol; `None` for a reserved name, which is never stored.
    /// Computed once, because each record needs it.
    pub line_key: Option<Box<str>>,
    /// The type that a value must have.
    pub data_type: DataType,
    /// Bytes of a string value at most; unused for other types.
    pub max_len: usize,
    /// The allowed strings, if the operator limits them.
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

    /// Checks that a string is not too long, and allowed.
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

/// The reason why a string is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    TooLong,
    NotAllowed,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// `"string"`
    String,
    /// `"float"`: any JSON number.
    Float,
    /// `"boolean"`
    Boolean,
}

impl RequestSchema {
    /// Reads a request schema. The error lists every problem, at least one.
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

    /// The schema of `appVersion`, which is always a string.
    pub fn app_version(&self) -> &KeySchema {
        &self.app_version
    }

    /// The extra tags, which are always strings.
    pub fn tags(&self) -> &Keys {
        &self.tags
    }

    /// Keys of the file that have no effect.
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

/// Reads the parts of a schema and notes their problems.
#[derive(Default)]
struct Reader {
    problems: Problems,
    without_effect: Vec<WithoutEffect>,
}

impl Reader {
    /// `appVersionSchema` may be missing, because its only possible type is string. The original
    /// does not start without it.
    fn app_version(&mut self, value: Option<&RawValue>) -> Option<KeySchema> {
        let Some(value) = value else {
            return Some(KeySchema::new("appVersion", DataType::String));
        };
        self.key("appVersionSchema", "appVersion", value, &[DataType::String])
    }

    /// The keys in `section`; each must have one of `types`.
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
        // The last of a repeated key wins.
        let mut schemas = BTreeMap::new();
        for (key, value) in &object.members {
            let place = format!("{section}, {key:?}");
            // Line protocol has no way to write a key that ends in a backslash.
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

    /// Reads the schema of one key. Problems are noted and give `None`.
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

    /// Reads `values` or `pattern`; `None` where both are missing, or there is a problem, which is
    /// noted.
    fn allowed(&mut self, place: &str, object: &Object<'_>) -> Option<Allowed> {
        let values = object.get_non_null("values").map(Allowed::values);
        let pattern = object.get_non_null("pattern").map(Allowed::pattern);
        let (key, read) = match (values, pattern) {
            (None, None) => return None,
            (Some(read), None) => ("values", read),
            (None, Some(read)) => ("pattern", read),
            (Some(_), Some(_)) => (
                "pattern",
                Err("found together with \"values\", expected only one of them".into()),
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
