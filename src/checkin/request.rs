//! The body of `POST /v1/checkupgrade`: from bytes to a [`CheckIn`] that holds only what the
//! request schema allows, or to the reason for a 400.
//!
//! Nothing of the input is echoed in an error, and nothing of a refused request is kept.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::line::RESERVED_KEYS;
use crate::config::schema::{DEFAULT_MAX_LEN, DataType, KeySchema, RequestSchema};
use crate::config::snake::snake_case;

/// Extra tags, and extra fields, of one check-in at most where no schema lists them.
const MAX_KEYS: usize = 64;
/// Bytes of an extra key at most where no schema lists it.
const MAX_KEY_LEN: usize = 64;

/// A check-in after validation. Texts are borrowed from the body or the schema where possible.
#[derive(Debug, PartialEq)]
pub struct CheckIn<'a> {
    pub app_version: Cow<'a, str>,
    /// False where `appVersion` breaks the schema: such a check-in is answered, not recorded.
    pub recordable: bool,
    /// Extra tags by their point key, sorted by it, none twice.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Extra fields by their point key, sorted by it, none twice.
    pub fields: Vec<(Cow<'a, str>, FieldValue<'a>)>,
    pub left_out: LeftOut,
}

/// The value of an extra field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// JSON numbers are float fields, as the original's are.
    Number(f64),
    Boolean(bool),
    Text(Cow<'a, str>),
}

/// How many extra keys were left out of a check-in, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The schema does not list the key.
    pub not_in_schema: u32,
    /// `null`, an array, an object, or not the type the schema asks for.
    pub wrong_type: u32,
    /// The value has more bytes than allowed.
    pub too_long: u32,
    /// Without a schema: the key is too long or has other characters than letters, digits,
    /// `_` and `-`, or it is the 65th.
    pub bad_key: u32,
    /// The key is one of the point's own, or another key has the same name in snake case.
    pub reserved: u32,
}

/// Why a body is refused with 400. The text goes to the client.
#[derive(Debug, PartialEq, Eq)]
pub struct BadRequest(String);

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a body. Keys match in any case, the last of a repeated key wins, unknown keys are ignored.
pub fn parse<'a>(
    body: &'a [u8],
    schema: Option<&'a RequestSchema>,
) -> Result<CheckIn<'a>, BadRequest> {
    let raw = read(body)?;
    let app_version_max = schema.map_or(DEFAULT_MAX_LEN, |schema| schema.app_version().max_len);
    let mut left_out = LeftOut::default();
    let tags = tags(raw.extra_info, raw.extra_tags, schema, &mut left_out);
    let fields = fields(raw.extra_fields, schema, &mut left_out);
    Ok(CheckIn {
        recordable: raw.app_version.len() <= app_version_max,
        app_version: raw.app_version,
        tags,
        fields,
        left_out,
    })
}

/// The keys and values of an extra map, in the client's order.
type Pairs<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

fn read(body: &[u8]) -> Result<Raw<'_>, BadRequest> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let raw = json
        .deserialize_map(RawVisitor)
        .and_then(|raw| json.end().map(|()| raw))
        .map_err(|error| BadRequest(describe(&error)))?;
    match raw.wrong_type {
        Some(what) => Err(BadRequest(what.to_owned())),
        None => Ok(raw),
    }
}

/// serde_json's own texts can quote the input, so only the place and the kind are passed on.
fn describe(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "the body is not a JSON object",
        serde_json::error::Category::Eof => "the body ends too early",
        _ => "the body is not valid JSON",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// Merges the deprecated `extraInfo` under `extraTagInfo`, validates, and sorts by point key.
fn tags<'a>(
    extra_info: Pairs<'a>,
    mut extra_tags: Pairs<'a>,
    schema: Option<&'a RequestSchema>,
    left_out: &mut LeftOut,
) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    if !extra_info.is_empty() {
        // Of two equal keys the later one wins.
        extra_tags.splice(0..0, extra_info);
    }
    let listed = |key: &str| schema.map(|schema| schema.tag(key));
    collect(extra_tags, listed, left_out, |value, rule, left_out| {
        let Json::Text(text) = value else {
            left_out.wrong_type += 1;
            return None;
        };
        if text.len() > rule.map_or(DEFAULT_MAX_LEN, |rule| rule.max_len) {
            left_out.too_long += 1;
            return None;
        }
        // An empty tag is no tag: InfluxDB does not store one.
        (!text.is_empty()).then_some(text)
    })
}

fn fields<'a>(
    extra_fields: Pairs<'a>,
    schema: Option<&'a RequestSchema>,
    left_out: &mut LeftOut,
) -> Vec<(Cow<'a, str>, FieldValue<'a>)> {
    let listed = |key: &str| schema.map(|schema| schema.field(key));
    collect(extra_fields, listed, left_out, |value, rule, left_out| {
        let allowed = |data_type| rule.is_none_or(|rule| rule.data_type == data_type);
        match value {
            Json::Text(text) if allowed(DataType::String) => {
                if text.len() > rule.map_or(DEFAULT_MAX_LEN, |rule| rule.max_len) {
                    left_out.too_long += 1;
                    return None;
                }
                Some(FieldValue::Text(text))
            }
            Json::Number(number) if allowed(DataType::Float) => Some(FieldValue::Number(number)),
            Json::Boolean(value) if allowed(DataType::Boolean) => Some(FieldValue::Boolean(value)),
            _ => {
                left_out.wrong_type += 1;
                None
            }
        }
    })
}

/// What tags and fields have in common: the last of a repeated key wins, a key must be listed (or,
/// without a schema, be sound), and of two keys that meet in snake case the first in byte order
/// stays. `listed` says `None` where there is no schema.
fn collect<'a, T>(
    mut pairs: Pairs<'a>,
    listed: impl Fn(&str) -> Option<Option<&'a KeySchema>>,
    left_out: &mut LeftOut,
    accept: impl Fn(Json<'a>, Option<&'a KeySchema>, &mut LeftOut) -> Option<T>,
) -> Vec<(Cow<'a, str>, T)> {
    // Stable, and reversed before, so the last of equal keys comes first and dedup keeps it.
    pairs.reverse();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs.dedup_by(|later, kept| later.0 == kept.0);
    let mut accepted: Vec<(Cow<'a, str>, T)> = Vec::with_capacity(pairs.len().min(MAX_KEYS));
    for (key, value) in pairs {
        let (point_key, rule) = match listed(&key) {
            Some(Some(rule)) => (Cow::Borrowed(&*rule.point_key), Some(rule)),
            Some(None) => {
                left_out.not_in_schema += 1;
                continue;
            }
            None if !sound(&key) || accepted.len() == MAX_KEYS => {
                left_out.bad_key += 1;
                continue;
            }
            None => (Cow::Owned(snake_case(&key)), None),
        };
        let place = accepted.binary_search_by(|(other, _)| (**other).cmp(&point_key));
        let (Err(place), false) = (place, RESERVED_KEYS.contains(&&*point_key)) else {
            left_out.reserved += 1;
            continue;
        };
        if let Some(value) = accept(value, rule, left_out) {
            accepted.insert(place, (point_key, value));
        }
    }
    accepted
}

fn sound(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !key.is_empty() && key.len() <= MAX_KEY_LEN && key.bytes().all(allowed)
}

/// The body as it was sent.
#[derive(Default)]
struct Raw<'a> {
    app_version: Cow<'a, str>,
    extra_info: Pairs<'a>,
    extra_tags: Pairs<'a>,
    extra_fields: Pairs<'a>,
    /// The first key with a value of a wrong type, as the client is told.
    wrong_type: Option<&'static str>,
}

impl<'a> Raw<'a> {
    fn set_app_version(&mut self, value: Json<'a>) {
        match value {
            Json::Text(text) => self.app_version = text,
            Json::Null => self.app_version = Cow::Borrowed(""),
            _ => self.wrong("appVersion is not a string"),
        }
    }

    /// The pairs of a map of strings, in which `null` may stand for a string.
    fn strings(&mut self, value: Json<'a>, wrong: &'static str) -> Pairs<'a> {
        let pairs = self.object(value, wrong);
        if !pairs
            .iter()
            .all(|(_, value)| matches!(value, Json::Text(_) | Json::Null))
        {
            self.wrong(wrong);
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

/// A JSON value, as deep as a check-in goes: an object inside an extra map comes as `Other`.
#[derive(Debug)]
enum Json<'a> {
    Null,
    Boolean(bool),
    Number(f64),
    Text(Cow<'a, str>),
    Object(Pairs<'a>),
    Other,
}

/// The top level of the body.
struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw<'de>, A::Error> {
        let mut raw = Raw::default();
        while let Some(key) = map.next_key_seed(Text)? {
            if key.eq_ignore_ascii_case("appVersion") {
                raw.set_app_version(map.next_value_seed(Value { depth: 0 })?);
            } else if key.eq_ignore_ascii_case("extraInfo") {
                let value = map.next_value_seed(Value { depth: 1 })?;
                raw.extra_info = raw.strings(value, "extraInfo is not an object of strings");
            } else if key.eq_ignore_ascii_case("extraTagInfo") {
                let value = map.next_value_seed(Value { depth: 1 })?;
                raw.extra_tags = raw.strings(value, "extraTagInfo is not an object of strings");
            } else if key.eq_ignore_ascii_case("extraFieldInfo") {
                let value = map.next_value_seed(Value { depth: 1 })?;
                raw.extra_fields = raw.object(value, "extraFieldInfo is not an object");
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(raw)
    }
}

/// Any JSON value, with `depth` levels of objects.
#[derive(Clone, Copy)]
struct Value {
    depth: u8,
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
        let Some(depth) = self.depth.checked_sub(1) else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Json::Other);
        };
        let mut pairs = Vec::new();
        while let Some(key) = map.next_key_seed(Text)? {
            pairs.push((key, map.next_value_seed(Value { depth })?));
        }
        Ok(Json::Object(pairs))
    }
}

/// A key, borrowed from the body where it holds no escapes.
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
