use super::*;
use crate::checkin::request;

fn read(text: &str) -> Result<RequestSchema, String> {
    RequestSchema::parse(text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        lines.join("\n")
    })
}

fn rule<'a>(keys: &'a Keys, key: &str) -> &'a KeySchema {
    &keys.iter().find(|(listed, _)| listed == key).unwrap().1
}

/// Number of extra tags of a check-in that are not in a schema.
fn not_in_schema(schema: &RequestSchema, tags: &str) -> u32 {
    let body = format!("{{\"extraTagInfo\":{tags}}}");
    let check_in = request::parse(body.as_bytes(), Some(schema)).unwrap();
    check_in.left_out.not_in_schema
}

fn names(keys: &Keys) -> Vec<&str> {
    keys.iter().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn the_sample_is_valid_and_looked_up_by_the_clients_keys() {
    let schema = read(include_str!("../../../examples/request-schema.json")).unwrap();
    assert_eq!(
        rule(schema.tags(), "kubernetesVersion"),
        &KeySchema {
            point_key: "kubernetes_version".into(),
            line_key: Some("kubernetes_version".into()),
            data_type: DataType::String,
            max_len: 64,
            allowed: None,
        }
    );
    assert_eq!(not_in_schema(&schema, r#"{"kubernetesVersion":"x"}"#), 0);
    assert_eq!(not_in_schema(&schema, r#"{"kubernetes_version":"x"}"#), 1);
    assert_eq!(not_in_schema(&schema, r#"{"KUBERNETESVERSION":"x"}"#), 1);
    assert_eq!(not_in_schema(&schema, r#"{"nodeCount":"x"}"#), 1);
    assert_eq!(
        rule(schema.fields(), "nodeCount").data_type,
        DataType::Float
    );
    assert_eq!(schema.app_version().max_len, 64);
    assert_eq!(
        names(schema.tags()),
        ["hostArch", "hostOsDistro", "kubernetesVersion"]
    );
    assert_eq!(
        names(schema.fields()),
        [
            "backupEnabled",
            "defaultFilesystem",
            "nodeCount",
            "volumeCount"
        ]
    );
}

#[test]
fn what_a_schema_leaves_out_is_the_default() {
    for text in [
        "{}",
        r#"{"appVersionSchema": null, "extraTagInfoSchema": null, "extraFieldInfoSchema": null}"#,
        r#"{"appVersionSchema": {"dataType": "string", "maxLen": 0}}"#,
        r#"{"appVersionSchema": {"dataType": "string", "maxLen": null, "pattern": "v.*"}}"#,
    ] {
        let schema = read(text).unwrap();
        assert_eq!(schema.app_version().max_len, 200, "of {text}");
        assert_eq!(&*schema.app_version().point_key, "app_version");
        assert!(schema.tags().is_empty() && schema.fields().is_empty());
    }
}

#[test]
fn the_schemas_own_keys_are_read_in_any_case() {
    let schema = read(
        r#"{"APPVERSIONSCHEMA": {"DataType": "string", "MaxLen": 7},
            "extrafieldinfoschema": {"Count": {"datatype": "float"}, "count": {"dataType": "boolean"}}}"#,
    )
    .unwrap();
    assert_eq!(schema.app_version().max_len, 7);
    assert_eq!(rule(schema.fields(), "Count").data_type, DataType::Float);
    assert_eq!(rule(schema.fields(), "count").data_type, DataType::Boolean);
}

#[test]
fn a_key_with_a_built_in_name_is_accepted_and_has_no_place_in_a_line() {
    let schema = read(r#"{"extraTagInfoSchema": {"city": {"dataType": "string"}}}"#).unwrap();
    assert_eq!(rule(schema.tags(), "city").line_key, None);
}

#[test]
fn keys_are_escaped_as_in_a_line() {
    let schema = read(r#"{"extraTagInfoSchema": {"a b,c=d": {"dataType": "string"}}}"#).unwrap();
    let rule = rule(schema.tags(), "a b,c=d");
    assert_eq!(&*rule.point_key, "a b,c=d");
    assert_eq!(rule.line_key.as_deref(), Some(r"a\ b\,c\=d"));
}

#[test]
fn each_bad_value_is_named_with_what_is_expected() {
    for (text, expected) in [
        (
            r#"{"extraFieldInfoSchema": {"nodeCount": {"dataType": "int"}}}"#,
            r#"extraFieldInfoSchema, "nodeCount", dataType: found "int", expected "string" or "float" or "boolean""#,
        ),
        (
            r#"{"extraFieldInfoSchema": {"nodeCount": {}}}"#,
            r#"extraFieldInfoSchema, "nodeCount", dataType: found nothing, expected "string" or "float" or "boolean""#,
        ),
        (
            r#"{"extraFieldInfoSchema": {"nodeCount": {"dataType": "Float"}}}"#,
            r#"extraFieldInfoSchema, "nodeCount", dataType: found "Float", expected "string" or "float" or "boolean""#,
        ),
        (
            r#"{"extraTagInfoSchema": {"arch": {"dataType": "float"}}}"#,
            r#"extraTagInfoSchema, "arch", dataType: found "float", expected "string""#,
        ),
        (
            r#"{"appVersionSchema": {"dataType": "boolean"}}"#,
            r#"appVersionSchema, dataType: found "boolean", expected "string""#,
        ),
        (
            r#"{"appVersionSchema": "string"}"#,
            r#"appVersionSchema: found "string", expected an object such as {"dataType": "string", "maxLen": 200}"#,
        ),
        (
            r#"{"extraTagInfoSchema": {"arch": null}}"#,
            r#"extraTagInfoSchema, "arch": found null, expected an object such as {"dataType": "string", "maxLen": 200}"#,
        ),
        (
            r#"{"extraTagInfoSchema": ["arch"]}"#,
            r#"extraTagInfoSchema: found ["arch"], expected an object of keys"#,
        ),
        (
            r#"{"extraTagInfoSchema": {"": {"dataType": "string"}}}"#,
            r#"extraTagInfoSchema, "": found an empty key, or one with control characters or a backslash at its end, expected a name"#,
        ),
        (
            r#"{"extraTagInfoSchema": {"a\nb": {"dataType": "string"}}}"#,
            r#"extraTagInfoSchema, "a\nb": found an empty key, or one with control characters or a backslash at its end, expected a name"#,
        ),
        (
            r#"{"extraTagInfoSchema": {"a\\": {"dataType": "string"}}}"#,
            r#"extraTagInfoSchema, "a\\": found an empty key, or one with control characters or a backslash at its end, expected a name"#,
        ),
        ("[]", "found [], expected a JSON object"),
        (
            "{\"extraTagInfoSchema\": {}\n\"x\": 1}",
            r#"line 2, column 1: expected `,` or `}`, near "\"x\": 1}""#,
        ),
    ] {
        assert_eq!(read(text).unwrap_err(), expected);
    }
}

#[test]
fn a_max_len_that_is_no_number_of_bytes_is_refused() {
    for max_len in ["-1", "1.5", "\"10\"", "true", "1e3", "99999999999999999999"] {
        let text = format!(
            r#"{{"extraTagInfoSchema": {{"arch": {{"dataType": "string", "maxLen": {max_len}}}}}}}"#
        );
        assert_eq!(
            read(&text).unwrap_err(),
            format!(
                "extraTagInfoSchema, \"arch\", maxLen: found {max_len}, \
                 expected a whole number of bytes, or 0 for the default of 200"
            )
        );
    }
}

#[test]
fn every_problem_is_told() {
    let text = r#"{"appVersionSchema": {"maxLen": -1},
        "extraTagInfoSchema": {"a": 1, "b": {"dataType": "float"}}, "extraFieldInfoSchema": 5}"#;
    assert_eq!(RequestSchema::parse(text).unwrap_err().len(), 5);
}

#[test]
fn listed_values_and_patterns_allow_nothing_else() {
    let schema = RequestSchema::parse(
        r#"{"extraTagInfoSchema": {
            "arch": {"dataType": "string", "values": ["arm64", "amd64"]},
            "kubernetesVersion": {"dataType": "string", "pattern": "v1\\.[0-9]{1,2}"}
        }}"#,
    )
    .unwrap();
    let check = |key: &str, value: &str| rule(schema.tags(), key).check(value);
    assert_eq!(check("arch", "amd64"), Ok(()));
    assert_eq!(check("arch", "amd"), Err(Invalid::NotAllowed));
    assert_eq!(check("kubernetesVersion", "v1.31"), Ok(()));
    assert_eq!(
        check("kubernetesVersion", "v1.31.2"),
        Err(Invalid::NotAllowed)
    );
    assert_eq!(
        check("kubernetesVersion", "v1.31\n"),
        Err(Invalid::NotAllowed)
    );
}

#[test]
fn bad_rules_for_values_are_named() {
    let problems = |rule: &str| {
        let text =
            format!(r#"{{"extraTagInfoSchema": {{"a": {{"dataType": "string", {rule}}}}}}}"#);
        RequestSchema::parse(&text).unwrap_err()[0].to_string()
    };
    for (rule, part) in [
        (
            r#""values": []"#,
            "values: found [], expected an array of at least one string",
        ),
        (
            r#""values": [1]"#,
            "values: found [1], expected an array of at least one string",
        ),
        (
            r#""pattern": 1"#,
            "pattern: found 1, expected a regular expression",
        ),
        (
            r#""pattern": "(""#,
            "pattern: found \"(\", expected a regular expression (error: unclosed group)",
        ),
        (
            r#""pattern": "a", "values": ["a"]"#,
            "pattern: found together with \"values\"",
        ),
    ] {
        let found = problems(rule);
        assert!(found.contains(part), "{found}");
    }
}
