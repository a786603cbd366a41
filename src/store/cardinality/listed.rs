//! What needs no limit.

use std::collections::HashSet;

use crate::checkin::line;
use crate::config::response::ResponseConfig;
use crate::config::schema::RequestSchema;

/// What the operator listed: always allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Tags of which the schema lists the values, in snake case.
    pub tags: HashSet<String>,
    /// The versions of the response config, escaped as in line protocol.
    pub app_versions: HashSet<Vec<u8>>,
    /// A schema lists the extra keys, so that they need no limit here.
    pub keys: bool,
}

impl Listed {
    /// What a response config and a request schema list.
    pub fn of(response: &ResponseConfig, schema: Option<&RequestSchema>) -> Listed {
        let tags = schema.into_iter().flat_map(RequestSchema::listed_tags);
        let versions = response.versions().iter();
        Listed {
            tags: tags.map(str::to_owned).collect(),
            app_versions: versions
                .map(|version| line::tag_value(&version.name))
                .collect(),
            keys: schema.is_some(),
        }
    }
}
