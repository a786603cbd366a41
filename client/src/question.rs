//! The content of a request: the application's version, its tags and its fields. Nothing else may be sent.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Number, Value};

/// The value of a field: a number, a text, `true` or `false`.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldValue(Value);

/// The content of a request.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    version: String,
    tags: BTreeMap<String, String>,
    fields: BTreeMap<String, FieldValue>,
}

impl Question {
    pub(crate) fn new(version: String) -> Question {
        Question {
            version,
            tags: BTreeMap::new(),
            fields: BTreeMap::new(),
        }
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn set_tag(&mut self, key: String, value: String) {
        self.tags.insert(key, value);
    }

    pub(crate) fn set_field(&mut self, key: String, value: FieldValue) {
        self.fields.insert(key, value);
    }

    /// The body of the request.
    pub(crate) fn body(&self) -> Value {
        let tags = self.tags.iter();
        let tags = tags.map(|(key, value)| (key.clone(), Value::from(value.clone())));
        let fields = self.fields.iter();
        // Numbers that JSON does not have are null here, and left out.
        let fields = fields.filter(|(_, value)| !value.0.is_null());
        let fields = fields.map(|(key, value)| (key.clone(), value.0.clone()));
        let body = Map::from_iter([
            ("appVersion".to_owned(), Value::from(self.version.clone())),
            ("extraTagInfo".to_owned(), Value::Object(tags.collect())),
            ("extraFieldInfo".to_owned(), Value::Object(fields.collect())),
        ]);
        Value::Object(body)
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<f64> for FieldValue {
    /// A value that is not finite is not sent, because JSON does not have it.
    fn from(value: f64) -> FieldValue {
        FieldValue(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
}

impl From<f32> for FieldValue {
    /// A value that is not finite is not sent, as with [`f64`].
    fn from(value: f32) -> FieldValue {
        FieldValue::from(f64::from(value))
    }
}

macro_rules! from {
    ($($of:ty)*) => {
        $(impl From<$of> for FieldValue {
            fn from(value: $of) -> FieldValue {
                FieldValue(Value::from(value))
            }
        })*
    };
}

from!(i32 i64 u16 u32 u64 usize bool &str String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_what_the_server_reads() {
        let mut question = Question::new("v1.2.3".to_owned());
        question.set_tag("kubernetesVersion".to_owned(), "v1.31.2".to_owned());
        question.set_field("nodeCount".to_owned(), 3.into());
        question.set_field("share".to_owned(), 0.5.into());
        question.set_field("backup".to_owned(), true.into());
        question.set_field("nothing".to_owned(), f64::NAN.into());
        assert_eq!(
            question.body().to_string(),
            r#"{"appVersion":"v1.2.3","extraFieldInfo":{"backup":true,"nodeCount":3,"share":0.5},"extraTagInfo":{"kubernetesVersion":"v1.31.2"}}"#
        );
    }
}
