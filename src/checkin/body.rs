//! Parsing of the body of `POST /v1/checkupgrade` into strings and scalars, or into the reason for a 400.
//!
//! An error must never quote the input, and nothing of a refused request may be stored.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Bytes of a body per pair, for the first allocation of a map. The estimate is low, so that a map rarely
/// has to grow.
const BYTES_PER_PAIR: usize = 32;
/// Pairs in the first allocation of a map at most.
const MOST_ROOM: usize = 128;

/// The body as the client sent it.
#[derive(Default)]
pub struct Raw<'a> {
    pub app_version: Cow<'a, str>,
    pub extra_info: Pairs<'a>,
    pub extra_tags: Pairs<'a>,
    pub extra_fields: Pairs<'a>,
    /// Message for the client about the first value of a wrong type.
    wrong_type: Option<&'static str>,
}

/// The keys and values of an extra map, in the client's order.
pub type Pairs<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// A JSON value. An array, or an object inside an extra map, is `Other`.
#[derive(Debug)]
pub enum Json<'a> {
    Null,
    Boolean(bool),
    Number(f64),
    Text(Cow<'a, str>),
    Object(Pairs<'a>),
    Other,
}

/// The reason why a body is refused with 400. The text is sent to the client.
#[derive(Debug, PartialEq, Eq)]
pub struct BadRequest(String);

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a body. Keys match in any case, and unknown keys are ignored. White space around the version and
/// the values of tags is removed. The body `null` means the same as `{}`.
pub fn read(body: &[u8]) -> Result<Raw<'_>, BadRequest> {
    // JSON is UTF-8 (RFC 8259, section 8.1). One check of the whole body is cheaper than one for each string.
    let text = std::str::from_utf8(body)
        .map_err(|_| BadRequest("the body is not valid JSON (not UTF-8)".to_owned()))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let visitor = RawVisitor {
        room: (body.len() / BYTES_PER_PAIR).min(MOST_ROOM),
    };
    let read = json
        .deserialize_map(visitor)
        .and_then(|raw| json.end().map(|()| raw));
    match read {
        Ok(raw) => match raw.wrong_type {
            Some(what) => Err(BadRequest(what.to_owned())),
            None => Ok(raw),
        },
        Err(_) if body.trim_ascii() == b"null" => Ok(Raw::default()),
        Err(error) => Err(BadRequest(describe(&error))),
    }
}

/// The message for the client. serde_json's own messages can quote the input, so only the kind of error and
/// its place are used.
fn describe(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        // serde_json has no category for a number that is valid JSON (RFC 8259, section 6) but exceeds a float.
        _ if error.to_string().starts_with("number out of range") => {
            "the body holds a number that is out of range for a 64-bit float"
        }
        serde_json::error::Category::Data => "the body is not a JSON object",
        serde_json::error::Category::Eof => "the body ends too early",
        _ => "the body is not valid JSON",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

impl<'a> Raw<'a> {
    fn set_app_version(&mut self, value: Json<'a>) {
        match value {
            Json::Text(mut text) => {
                trim(&mut text);
                self.app_version = text;
            }
            Json::Null => self.app_version = Cow::Borrowed(""),
            _ => self.wrong("appVersion is not a string"),
        }
    }

    /// The pairs of a map whose values are strings or `null`.
    fn strings(&mut self, value: Json<'a>, wrong: &'static str) -> Pairs<'a> {
        let mut pairs = self.object(value, wrong);
        for (_, value) in &mut pairs {
            match value {
                Json::Text(text) => trim(text),
                Json::Null => {}
                _ => self.wrong(wrong),
            }
        }
        pairs
    }

    fn object(&mut self, value: Json<'a>, wrong: &'static str) -> Pairs<'a> {
        match value {
            Json::Object(pairs) => return pairs,
            Json::Null => {}
            _ => self.wrong(wrong),
        }
        Vec::new()
    }

    fn wrong(&mut self, what: &'static str) {
        self.wrong_type.get_or_insert(what);
    }
}

/// Removes white space at both ends.
fn trim(text: &mut Cow<'_, str>) {
    let trimmed = text.trim();
    if trimmed.len() == text.len() {
        return;
    }
    *text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
}

/// Visitor of the top level of the body.
struct RawVisitor {
    /// Pairs in the first allocation of each map.
    room: usize,
}

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw<'de>, A::Error> {
        let mut raw = Raw::default();
        let object = Value {
            room: Some(self.room),
        };
        while let Some(key) = map.next_key_seed(Text)? {
            if key.eq_ignore_ascii_case("appVersion") {
                raw.set_app_version(map.next_value_seed(Value { room: None })?);
            } else if key.eq_ignore_ascii_case("extraInfo") {
                let value = map.next_value_seed(object)?;
                raw.extra_info = raw.strings(value, "extraInfo is not an object of strings");
            } else if key.eq_ignore_ascii_case("extraTagInfo") {
                let value = map.next_value_seed(object)?;
                raw.extra_tags = raw.strings(value, "extraTagInfo is not an object of strings");
            } else if key.eq_ignore_ascii_case("extraFieldInfo") {
                let value = map.next_value_seed(object)?;
                raw.extra_fields = raw.object(value, "extraFieldInfo is not an object");
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(raw)
    }
}

/// Visitor of any JSON value.
#[derive(Clone, Copy)]
struct Value {
    /// Pairs in the first allocation for an object; `None` reads an object as `Other`.
    room: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Json<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Json::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let Some(room) = self.room else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Json::Other);
        };
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key_seed(Text)? {
            if pairs.is_empty() {
                pairs.reserve(room);
            }
            pairs.push((key, map.next_value_seed(Value { room: None })?));
        }
        Ok(Json::Object(pairs))
    }
}

/// Visitor of a key, which is borrowed from the body if it has no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Cow<'de, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
