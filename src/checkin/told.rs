//! Access to a body for the rules of the response config: by the client's own keys, as sent. Rules must never see
//! the body after the request schema filtered it.

use super::body::{Json, Pairs, Raw};
use crate::config::rules::client::Told;
use crate::config::rules::said::Said;

impl Told for Raw<'_> {
    fn app_version(&self) -> &str {
        &self.app_version
    }

    /// The value of a key. `extraTagInfo` wins over the deprecated `extraInfo`, and a tag over a field. An empty
    /// string counts as missing.
    fn extra(&self, key: &str) -> Option<Said<'_>> {
        [&self.extra_tags, &self.extra_info, &self.extra_fields]
            .into_iter()
            .find_map(|pairs| last(pairs, key))
            .and_then(said)
    }
}

fn last<'a, 'b>(pairs: &'b Pairs<'a>, key: &str) -> Option<&'b Json<'a>> {
    let mut pairs = pairs.iter().rev();
    pairs.find_map(|(name, value)| (name == key).then_some(value))
}

fn said<'a>(value: &'a Json<'_>) -> Option<Said<'a>> {
    match value {
        Json::Text(text) if text.is_empty() => None,
        Json::Text(text) => Some(Said::Text(text)),
        Json::Number(number) => Some(Said::Number(*number)),
        Json::Boolean(value) => Some(Said::Boolean(*value)),
        Json::Null | Json::Object(_) | Json::Other => None,
    }
}
