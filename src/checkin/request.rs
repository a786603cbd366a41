//! A request's body after validation: a [`CheckIn`] holds only what the request schema, or without
//! one the hard caps, allow.

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
    /// Extra tags by their key as it stands in a line, sorted by it, none twice.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Extra fields by their key as it stands in a line, sorted by it, none twice.
    pub fields: Vec<(Cow<'a, str>, FieldValue<'a>)>,
    pub left_out: LeftOut,
    /// The keys that were left out, by name: as many as one check-in can have told about.
    pub notes: Vec<Note<'a>>,
}

impl CheckIn<'_> {
    /// What its record is made of.
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

/// Reads a body. Keys match in any case, the last of a repeated key wins, unknown keys are ignored.
pub fn parse<'a>(
    body: &'a [u8],
    schema: Option<&'a RequestSchema>,
) -> Result<CheckIn<'a>, BadRequest> {
    Ok(validate(body::read(body)?, schema))
}

/// Takes of a body what the schema allows.
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

/// Merges the deprecated `extraInfo` under `extraTagInfo`, and validates.
fn tags<'a>(
    extra_info: Pairs<'a>,
    mut extra_tags: Pairs<'a>,
    schema: Option<&'a RequestSchema>,
    left_out: &mut Noted<'a>,
) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    if !extra_info.is_empty() {
        // Of two equal keys the later one wins.
        extra_tags.splice(0..0, extra_info);
    }
    let listed = schema.map(RequestSchema::tags);
    collect(extra_tags, Part::Tag, listed, left_out, |value, rule| {
        let Json::Text(text) = value else {
            return Err(Refused::of(Reason::WrongType, &value));
        };
        // An empty tag is no tag: InfluxDB does not store one.
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
                    // An empty text says nothing, like an empty tag.
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

/// Checks a string.
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

/// What tags and fields have in common: the last of a repeated key wins, a key must be listed (or,
/// without a schema, be sound), and of two keys that meet in snake case the first in byte order stays.
fn collect<'a, T>(
    mut pairs: Pairs<'a>,
    part: Part,
    listed: Option<&'a Keys>,
    left_out: &mut Noted<'a>,
    accept: impl Fn(Json<'a>, Option<&'a KeySchema>) -> Result<Option<T>, Refused>,
) -> Vec<(Cow<'a, str>, T)> {
    // Stable, so of equal keys the client's last comes last. Go's clients send them sorted.
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

/// What is listed for a key, where keys come sorted: both lists are walked once.
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

/// The point key of a sound key, in which nothing needs to be escaped, unless it is one of the point's
/// own.
fn free_key(key: &str) -> Option<String> {
    let key = snake_case(key);
    let reserved = RESERVED_KEYS.contains(&key.as_str());
    (!reserved).then_some(key)
}

/// Where a key belongs, unless it is there already. In snake case keys come nearly sorted, so that most
/// belong to the end.
fn place<T>(accepted: &[(Cow<'_, str>, T)], line_key: &str) -> Option<usize> {
    match accepted.last() {
        Some((last, _)) if **last >= *line_key => accepted
            .binary_search_by(|(other, _)| (**other).cmp(line_key))
            .err(),
        _ => Some(accepted.len()),
    }
}

fn sound(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !key.is_empty() && key.len() <= MAX_KEY_LEN && key.bytes().all(allowed)
}
