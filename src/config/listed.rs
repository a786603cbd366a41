//! The values and keys that the operator lists, which need no limit. The limits in
//! [`spool`](crate::spool) get them as a plain set and must never read the configuration themselves.

use std::collections::HashSet;

use super::response::ResponseConfig;
use super::schema::RequestSchema;
use crate::line::encode as line;
use crate::spool::cardinality::{APP_VERSION, Listed};

/// The keys and values listed in a response config, a request schema and `--down-sample-tags`.
pub fn listed(
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
