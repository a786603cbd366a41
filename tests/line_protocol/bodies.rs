//! Random check-ins, many of them with text that has a meaning in JSON, in line protocol or in InfluxDB.

use proptest::prelude::*;
use serde_json::Value as Json;

/// The body of a check-in. A key may occur twice, and keys have any order.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) version: Option<String>,
    pub(super) info: Vec<(String, Json)>,
    pub(super) tags: Vec<(String, Json)>,
    pub(super) fields: Vec<(String, Json)>,
}

impl Body {
    pub(super) fn json(&self) -> String {
        let map = |pairs: &[(String, Json)]| {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(key, value)| format!("{}:{value}", Json::from(key.as_str())))
                .collect();
            format!("{{{}}}", pairs.join(","))
        };
        format!(
            r#"{{"appVersion":{},"extraInfo":{},"extraTagInfo":{},"extraFieldInfo":{}}}"#,
            Json::from(self.version.clone()),
            map(&self.info),
            map(&self.tags),
            map(&self.fields)
        )
    }
}

/// Text of special characters, of any characters, or of about the maximum length.
pub(super) fn text() -> impl Strategy<Value = String> {
    let special = [
        "\\",
        "\\\\",
        "\"",
        "=",
        ",",
        " ",
        "\n",
        "\r",
        "\t",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "é",
        "🦀",
        "a",
        "1i",
        "T",
        "value=1i 17\n",
    ];
    let pieces = prop::collection::vec(prop::sample::select(special.to_vec()), 0..12);
    prop_oneof![
        4 => pieces.prop_map(|pieces| pieces.concat()),
        2 => any::<String>(),
        1 => (195..205_usize).prop_map(|length| "x".repeat(length)),
        1 => (48..52_usize).prop_map(|length| "🦀".repeat(length)),
    ]
}

/// Keys. Many are valid, are the same as another one in snake case, or are reserved.
fn key() -> impl Strategy<Value = String> {
    let known = [
        "time",
        "Time",
        "value",
        "city",
        "appVersion",
        "app_version",
        "AppVersion",
        "xRequestId",
        "_field",
        "nodeCount",
        "NodeCount",
        "node-count",
        "node_count",
        "node_Count",
        "a",
        "A",
        "-",
        "_",
        "",
    ];
    prop_oneof![
        3 => "[a-zA-Z0-9_-]{1,12}",
        2 => prop::sample::select(known.to_vec()).prop_map(str::to_string),
        1 => "[A-Za-z]{62,66}",
        1 => text(),
    ]
}

/// A random body.
pub(super) fn body() -> impl Strategy<Value = Body> {
    let tag = || prop_oneof![9 => text().prop_map(Json::from), 1 => Just(Json::Null)];
    let field = prop_oneof![
        4 => text().prop_map(Json::from),
        2 => prop::num::f64::ANY.prop_map(Json::from),
        2 => any::<i64>().prop_map(Json::from),
        2 => any::<bool>().prop_map(Json::from),
        1 => Just(Json::Null),
        1 => Just(serde_json::json!(["a", {"b": 1}])),
    ];
    let tags = || prop::collection::vec((key(), tag()), 0..8);
    let many = prop::collection::vec(("[a-z]{1,3}", tag()), 60..90);
    (
        prop::option::of(text()),
        tags(),
        prop_oneof![8 => tags(), 1 => many],
        prop::collection::vec((key(), field), 0..8),
    )
        .prop_map(|(version, info, tags, fields)| Body {
            version,
            info,
            tags,
            fields,
        })
}
