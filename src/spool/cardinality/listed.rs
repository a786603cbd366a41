//! What needs no limit.

use std::collections::HashSet;

use super::APP_VERSION;
use crate::config::response::ResponseConfig;
use crate::config::schema::RequestSchema;
use crate::line::encode as line;

/// What the operator listed: always allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Tags of which the schema lists the values, as they stand in a line.
    pub tags: HashSet<Vec<u8>>,
    /// The versions of the response config, as they stand in a line.
    pub app_versions: HashSet<Vec<u8>>,
    /// A schema lists the extra keys, so that they need no limit here.
    pub keys: bool,
    /// Extra tags whose values are counted, as they are stored: those of the schema, or without one those that
    /// the operator named, since strangers choose the others.
    pub counted: Vec<String>,
}

impl Listed {
    /// What a response config, a request schema and `--down-sample-tags` list.
    pub fn of(
        response: &ResponseConfig,
        schema: Option<&RequestSchema>,
        down_sample_tags: &[String],
    ) -> Listed {
        let versions = response.versions().iter();
        Listed {
            tags: schema.map(listed_tags).unwrap_or_default(),
            app_versions: versions
                .map(|version| line::escaped(&version.name).into_bytes())
                .collect(),
            keys: schema.is_some(),
            counted: match schema {
                Some(schema) => stored_tags(schema),
                None => down_sample_tags.to_vec(),
            },
        }
    }
}

fn listed_tags(schema: &RequestSchema) -> HashSet<Vec<u8>> {
    let extra = schema.tags().iter();
    let mut tags: HashSet<Vec<u8>> = extra
        .filter(|(_, rule)| rule.allowed.is_some())
        .filter_map(|(_, rule)| rule.line_key.as_deref())
        .map(|key| key.as_bytes().to_vec())
        .collect();
    if schema.app_version().allowed.is_some() {
        tags.insert(APP_VERSION.to_vec());
    }
    tags
}

fn stored_tags(schema: &RequestSchema) -> Vec<String> {
    let tags = schema.tags().iter();
    let mut tags: Vec<String> = tags
        .filter_map(|(_, rule)| Some(rule.line_key.as_deref()?.to_owned()))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}
