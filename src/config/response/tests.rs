use super::*;

const VALID: &str = r#"{"name":"v1.2.3","releaseDate":"2024-05-31T12:00:00Z","tags":["latest"]}"#;

/// Reads a config of one valid version, in which `from` is replaced with `to`.
fn with(from: &str, to: &str) -> Result<ResponseConfig, String> {
    let version = VALID.replacen(from, to, 1);
    assert_ne!(version, VALID, "{from} is not in the version");
    read(&format!("{{\"versions\": [{version}]}}"))
}

fn read(text: &str) -> Result<ResponseConfig, String> {
    parse(text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        lines.join("\n")
    })
}

#[test]
fn the_answer_is_the_operators_own_text() {
    let text = r#"{
        "comment": "not answered",
        "Versions": [
            {"Name": "v1.8.0", "ReleaseDate": "2025-03-11T09:30:00.5+01:00", "Tags": ["latest", "x"],
             "Supported": true, "note": "a  \"b\" \u00e9é/", "size": 1.50, "more": {"B": 1, "a": [null]}},
            {"tags": null, "releaseDate": "2020-08-14T18:00:00Z", "name": "1.7"}
        ]
    }"#;
    let config = read(text).unwrap();
    let answer = String::from_utf8(config.render_answer(90)).unwrap();
    assert_eq!(
        answer,
        concat!(
            r#"{"versions":[{"Name":"v1.8.0","ReleaseDate":"2025-03-11T09:30:00.5+01:00","#,
            r#""Tags":["latest","x"],"Supported":true,"note":"a  \"b\" \u00e9é/","size":1.50,"#,
            r#""more":{"B":1,"a":[null]}},"#,
            r#"{"tags":null,"releaseDate":"2020-08-14T18:00:00Z","name":"1.7"}],"#,
            r#""requestIntervalInMinutes":90}"#
        )
    );
    let first = &config.versions()[0];
    assert_eq!((first.name.as_str(), first.tags.len()), ("v1.8.0", 2));
    assert_eq!(first.release_date.to_string(), "2025-03-11T08:30:00.5Z");
    assert_eq!(config.versions()[1].semver.to_string(), "1.7.0");
}

#[test]
fn the_latest_is_the_highest_that_is_tagged_so() {
    let version = |name: &str, tags: &str| {
        format!(r#"{{"name":"{name}","releaseDate":"2024-05-31T12:00:00Z","tags":[{tags}]}}"#)
    };
    let text = format!(
        r#"{{"versions":[{},{},{},{}]}}"#,
        version("v1.9.0", r#""latest""#),
        version("v1.10.0", r#""stable","latest""#),
        version("v1.10.0-rc1", r#""latest""#),
        version("v2.0.0", r#""Latest""#),
    );
    assert_eq!(read(&text).unwrap().latest().name, "v1.10.0");
}

#[test]
fn the_sample_is_valid() {
    let config = read(include_str!("../../../examples/response-config.json")).unwrap();
    assert_eq!(config.latest().name, "v1.8.0");
}

#[test]
fn what_may_be_missing_may_be_null_too() {
    for extra in [
        "",
        r#","minUpgradableVersion":null,"extraInfo":null"#,
        r#","minUpgradableVersion":"","extraInfo":{}"#,
        r#","MINUPGRADABLEVERSION":"v1","extraInfo":{"a":"b"}"#,
        r#","name":"v1.2.4","unknown":{"minUpgradableVersion":5}"#,
    ] {
        assert!(
            read(&format!(
                r#"{{"versions":[{}{extra}}}]}}"#,
                &VALID[..VALID.len() - 1]
            ))
            .is_ok(),
            "with {extra}"
        );
    }
}

#[test]
fn each_bad_value_is_named_with_what_is_expected() {
    let at = r#"versions[0] "v1.2.3""#;
    for (from, to, expected) in [
        (
            r#""name":"v1.2.3","#,
            "",
            r#"versions[0], name: found nothing, expected a semantic version such as "v1.2.3""#
                .to_string(),
        ),
        (
            r#""v1.2.3""#,
            "1.2",
            r#"versions[0], name: found 1.2, expected a semantic version such as "v1.2.3""#
                .to_string(),
        ),
        (
            r#""v1.2.3""#,
            r#""one""#,
            r#"versions[0] "one", name: found "one", expected a semantic version such as "v1.2.3""#
                .to_string(),
        ),
        (
            r#""2024-05-31T12:00:00Z""#,
            "null",
            format!(
                r#"{at}, releaseDate: found null, expected an RFC 3339 date such as "2024-05-31T12:00:00Z""#
            ),
        ),
        (
            r#""releaseDate":"2024-05-31T12:00:00Z","#,
            "",
            format!(
                r#"{at}, releaseDate: found nothing, expected an RFC 3339 date such as "2024-05-31T12:00:00Z""#
            ),
        ),
        (
            r#"["latest"]"#,
            r#""latest""#,
            format!(
                r#"{at}, tags: found "latest", expected an array of strings such as ["latest", "stable"]"#
            ),
        ),
        (
            r#"["latest"]"#,
            r#"["latest", 5]"#,
            format!(
                r#"{at}, tags: found ["latest",5], expected an array of strings such as ["latest", "stable"]"#
            ),
        ),
        (
            r#"["latest"]"#,
            r#"["latest"], "minUpgradableVersion": "old""#,
            format!(
                r#"{at}, minUpgradableVersion: found "old", expected "" or a semantic version such as "v1.2.3""#
            ),
        ),
        (
            r#"["latest"]"#,
            r#"["latest"], "extraInfo": {"a": 1}"#,
            format!(r#"{at}, extraInfo: found {{"a":1}}, expected an object of strings"#),
        ),
        (
            r#"["latest"]"#,
            r#"["Latest"]"#,
            r#"versions: found no version tagged "latest", expected at least one"#.to_string(),
        ),
    ] {
        assert_eq!(with(from, to).unwrap_err(), expected);
    }
}

#[test]
fn a_name_occurs_once() {
    assert_eq!(
        read(&format!(r#"{{"versions":[{VALID},{VALID}]}}"#)).unwrap_err(),
        r#"versions[1] "v1.2.3", name: found "v1.2.3", which is the name of versions[0] too, expected each name once"#
    );
}

#[test]
fn a_config_without_versions_is_refused() {
    for (text, found) in [
        ("{}", "nothing"),
        (r#"{"versions": []}"#, "[]"),
        (r#"{"versions": null}"#, "null"),
        (r#"{"versions": {"v1": {}}}"#, r#"{"v1":{}}"#),
    ] {
        assert_eq!(
            read(text).unwrap_err(),
            format!("versions: found {found}, expected an array of at least one version")
        );
    }
}

#[test]
fn a_syntax_error_is_the_only_problem() {
    assert_eq!(
        read("{\n  \"versions\": [\n    {\"name\": 1,}\n  ]\n}").unwrap_err(),
        r#"line 3, column 16: trailing comma, near "}""#
    );
}

#[test]
fn every_problem_is_told() {
    let text = r#"{"versions": [
        {"name": "x", "releaseDate": "", "tags": 1, "minUpgradableVersion": 2, "extraInfo": []},
        "v1.2.3",
        {"name": "x"}
    ]}"#;
    let message = read(text).unwrap_err();
    let places: Vec<&str> = message
        .lines()
        .filter_map(|l| l.split(": ").next())
        .collect();
    assert_eq!(
        places,
        [
            "versions[0] \"x\", name",
            "versions[0] \"x\", releaseDate",
            "versions[0] \"x\", minUpgradableVersion",
            "versions[0] \"x\", tags",
            "versions[0] \"x\", extraInfo",
            "versions[1]",
            "versions[2] \"x\", name",
            "versions[2] \"x\", releaseDate",
        ]
    );
}
