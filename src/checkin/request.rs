//! Validation of a request's body. A [`CheckIn`] must hold only what the request schema allows, or,
//! without a schema, what the fixed limits below allow.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::slice;

use super::body::{self, BadRequest, Json, Pairs, Raw};
use super::left_out::{Noted, Refused};
use crate::config::schema::{DEFAULT_MAX_LEN, DataType, Invalid, KeySchema, Keys, RequestSchema};
use crate::line::encode::RESERVED_KEYS;
use crate::line::snake::snake_case;
use crate::line::{FieldValue, Location, Parts};
use crate::metrics::LeftOut;
use crate::totals::left_out::{Note, Part, Reason, Type};

/// Extra tags of one check-in at most, and the same number of extra fields, without a schema.
const MAX_KEYS: usize = 64;
/// Bytes of an extra key at most, without a schema.
const MAX_KEY_LEN: usize = 64;

/// A check-in after validation. Strings are borrowed from the body or the schema where possible.
#[derive(Debug, PartialEq)]
pub struct CheckIn<'a> {
    pub app_version: Cow<'a, str>,
    /// Whether the check-in may be recorded. One with an invalid `appVersion` is only answered.
    pub recordable: bool,
    /// Extra tags by their key in line protocol; sorted, without duplicates.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Extra fields by their key in line protocol; sorted, without duplicates.
    pub fields: Vec<(Cow<'a, str>, FieldValue<'a>)>,
    pub left_out: LeftOut,
    /// Names of the keys that were left out, up to a limit.
    pub notes: Vec<Note<'a>>,
}

impl CheckIn<'_> {
    /// The parts of the record for this check-in.
    pub fn parts<'a>(&'a self, location: Location<'a>, request_id: Option<&'a str>) -> Parts<'a> {
        Parts {
            app_version: &self.app_version,
            tags: &self.tags,
            fields: &self.fields,
            location,
            request_id,
        }
    }
}

/// Reads and validates a body.
pub fn parse<'a>(
    body: &'a [u8],
    schema: Option<&'a RequestSchema>,
) -> Result<CheckIn<'a>, BadRequest> {
    Ok(validate(body::read(body)?, schema))
}

/// Keeps the tags and fields of a body that the schema allows.
pub fn validate<'a>(raw: Raw<'a>, schema: Option<&'a RequestSchema>) -> CheckIn<'a> {
    let mut left_out = Noted::default();
    let app_version_rule = schema.map(RequestSchema::app_version);
    let tags = tags(raw.extra_info, raw.extra_tags, schema, &mut left_out);
    let fields = fields(raw.extra_fields, schema, &mut left_out);
    let valid = check(&raw.app_version, app_version_rule);
    if let Err(refused) = &valid {
        left_out.note(Part::AppVersion, Cow::Borrowed("appVersion"), refused);
    }
    CheckIn {
        recordable: valid.is_ok(),
        app_version: raw.app_version,
        tags,
        fields,
        left_out: left_out.counts,
        notes: left_out.notes,
    }
}

/// The valid extra tags, from `extraTagInfo` and the deprecated `extraInfo`.
fn tags<'a>(
    extra_info: Pairs<'a>,
    mut extra_tags: Pairs<'a>,
    schema: Option<&'a RequestSchema>,
    left_out: &mut Noted<'a>,
) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    if !extra_info.is_empty() {
        // The last of a repeated key wins, so a key in `extraTagInfo` wins over one in `extraInfo`.
        extra_tags.splice(0..0, extra_info);
    }
    let listed = schema.map(RequestSchema::tags);
    collect(extra_tags, Part::Tag, listed, left_out, |value, rule| {
        let Json::Text(text) = value else {
            return Err(Refused::of(Reason::WrongType, &value));
        };
        // InfluxDB does not store empty tags.
        if text.is_empty() {
            return Ok(None);
        }
        check(&text, rule)?;
        Ok(Some(text))
    })
}

fn fields<'a>(
    extra_fields: Pairs<'a>,
    schema: Option<&'a RequestSchema>,
    left_out: &mut Noted<'a>,
) -> Vec<(Cow<'a, str>, FieldValue<'a>)> {
    let listed = schema.map(RequestSchema::fields);
    collect(
        extra_fields,
        Part::Field,
        listed,
        left_out,
        |value, rule| {
            let allowed = |data_type| rule.is_none_or(|rule| rule.data_type == data_type);
            match value {
                Json::Text(text) if allowed(DataType::String) => {
                    // An empty string is left out, as an empty tag is.
                    if text.is_empty() {
                        return Ok(None);
                    }
                    check(&text, rule)?;
                    Ok(Some(FieldValue::Text(text)))
                }
                Json::Number(number) if allowed(DataType::Float) => {
                    Ok(Some(FieldValue::Number(number)))
                }
                Json::Boolean(value) if allowed(DataType::Boolean) => {
                    Ok(Some(FieldValue::Boolean(value)))
                }
                _ => Err(Refused::of(Reason::WrongType, &value)),
            }
        },
    )
}

/// Checks a string against the schema of its key, or, without a schema, against the default length.
fn check(text: &str, rule: Option<&KeySchema>) -> Result<(), Refused> {
    let checked = match rule {
        Some(rule) => rule.check(text),
        None if text.len() > DEFAULT_MAX_LEN => Err(Invalid::TooLong),
        None => Ok(()),
    };
    let reason = match checked {
        Ok(()) => return Ok(()),
        Err(Invalid::TooLong) => Reason::TooLong,
        Err(Invalid::NotAllowed) => Reason::NotAllowed,
    };
    Err(Refused {
        reason,
        value_type: Type::String,
        length: text.len(),
    })
}

/// The valid tags or fields, by the rules that both have in common. The last of a repeated key wins. With
/// a schema, a key must be listed; without one, it must be sound. Of two keys with the same name in snake
/// case, the first in byte order is kept.
fn collect<'a, T>(
    mut pairs: Pairs<'a>,
    part: Part,
    listed: Option<&'a Keys>,
    left_out: &mut Noted<'a>,
    accept: impl Fn(Json<'a>, Option<&'a KeySchema>) -> Result<Option<T>, Refused>,
) -> Vec<(Cow<'a, str>, T)> {
    // The sort is stable, so the client's last of several equal keys stays last. It is cheap, because clients
    // in Go send their keys sorted.
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    let mut listed = listed.map(|keys| keys.iter().peekable());
    let mut accepted: Vec<(Cow<'a, str>, T)> = Vec::with_capacity(pairs.len().min(MAX_KEYS));
    for (key, value) in pairs {
        let (line_key, rule) = match &mut listed {
            Some(listed) => {
                let Some(rule) = walk_to(&key, listed) else {
                    left_out.add(part, key, &Refused::of(Reason::NotInSchema, &value));
                    continue;
                };
                (rule.line_key.as_deref().map(Cow::Borrowed), Some(rule))
            }
            None if !sound(&key) || accepted.len() == MAX_KEYS => {
                left_out.add(part, key, &Refused::of(Reason::BadKey, &value));
                continue;
            }
            None => (free_key(&key).map(Cow::Owned), None),
        };
        let free = line_key.and_then(|key| Some((place(&accepted, &key)?, key)));
        let Some((place, line_key)) = free else {
            left_out.add(part, key, &Refused::of(Reason::Reserved, &value));
            continue;
        };
        match accept(value, rule) {
            Ok(Some(value)) => accepted.insert(place, (line_key, value)),
            Ok(None) => {}
            Err(refused) => left_out.add(part, key, &refused),
        }
    }
    accepted
}

/// The schema of a key. Keys must be asked for in sorted order, so that `listed` is walked only once.
fn walk_to<'a>(
    key: &str,
    listed: &mut Peekable<slice::Iter<'a, (String, KeySchema)>>,
) -> Option<&'a KeySchema> {
    loop {
        let (listed_key, rule) = listed.peek()?;
        match listed_key.as_str().cmp(key) {
            Ordering::Less => listed.next(),
            Ordering::Equal => return Some(rule),
            Ordering::Greater => return None,
        };
    }
}

/// The line key of a sound key, which needs no escapes; `None` for a reserved name.
fn free_key(key: &str) -> Option<String> {
    let key = snake_case(key);
    let reserved = RESERVED_KEYS.contains(&key.as_str());
    (!reserved).then_some(key)
}

/// The index at which to insert a key; `None` where the key is there already. Most keys belong at the end,
/// because their names in snake case are nearly sorted.
fn place<T>(accepted: &[(Cow<'_, str>, T)], line_key: &str) -> Option<usize> {
    match accepted.last() {
        Some((last, _)) if **last >= *line_key => accepted
            .binary_search_by(|(other, _)| (**other).cmp(line_key))
            .err(),
        _ => Some(accepted.len()),
    }
}

/// Whether a key is short enough and has only characters that need no escapes.
fn sound(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !key.is_empty() && key.len() <= MAX_KEY_LEN && key.bytes().all(allowed)
}
