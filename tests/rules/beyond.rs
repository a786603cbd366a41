//! Rules beyond those of the fork. If these tests fail, a rule about tags, fields or countries decides wrongly, or a
//! config without rules gets another answer than before.

use serde_json::Value;

use super::{SWISS, VERSIONS, check, config, explain, post, supported, with_config};
use crate::support::geodb;
use crate::support::nginx::Nginx;
use crate::support::scratch::Scratch;

#[test]
fn rules_can_test_any_tag_field_and_country() {
    for (criteria, body, holds) in [
        (
            r#""kubernetesVersion":"<1.25""#,
            r#""extraTagInfo":{"kubernetesVersion":"v1.24.3+rke2r1"}"#,
            true,
        ),
        (
            r#""kubernetesVersion":"<1.25""#,
            r#""extraTagInfo":{"kubernetesVersion":"v1.25.0"}"#,
            false,
        ),
        (r#""kubernetesVersion":"<1.25""#, r#""extraInfo":{}"#, false),
        (
            r#""kubernetesVersion":"<1.25""#,
            r#""extraTagInfo":{"kubernetesversion":"v1.24.3"}"#,
            false,
        ),
        (
            r#""nodeCount":">=100""#,
            r#""extraFieldInfo":{"nodeCount":100}"#,
            true,
        ),
        (
            r#""nodeCount":">=100""#,
            r#""extraFieldInfo":{"nodeCount":99.5}"#,
            false,
        ),
        (
            r#""nodeCount":3"#,
            r#""extraTagInfo":{"nodeCount":"3"}"#,
            true,
        ),
        (
            r#""load":"<0.8""#,
            r#""extraFieldInfo":{"load":0.75}"#,
            true,
        ),
        (
            r#""backupEnabled":true"#,
            r#""extraFieldInfo":{"backupEnabled":true}"#,
            true,
        ),
        (
            r#""backupEnabled":true"#,
            r#""extraFieldInfo":{"backupEnabled":false}"#,
            false,
        ),
        (
            r#""hostArch":["arm64","armv7"]"#,
            r#""extraTagInfo":{"hostArch":"armv7"}"#,
            true,
        ),
        (
            r#""hostArch":["arm64","armv7"]"#,
            r#""extraTagInfo":{"hostArch":"x64"}"#,
            false,
        ),
        (
            r#""hostArch":"*""#,
            r#""extraTagInfo":{"hostArch":"x64"}"#,
            true,
        ),
        (
            r#""hostArch":"*""#,
            r#""extraTagInfo":{"hostArch":null}"#,
            false,
        ),
        (
            r#""hostArch":"x64","country":"ch""#,
            r#""extraTagInfo":{"hostArch":"x64"}"#,
            true,
        ),
        (r#""country":["DE","CH"]"#, r#""extraInfo":null"#, true),
        (r#""Country":"DE""#, r#""extraInfo":null"#, false),
        (r#""APPVERSION":">=1.0.0-0""#, r#""extraInfo":null"#, true),
        ("", r#""extraInfo":null"#, true),
    ] {
        let scratch = Scratch::new();
        let rule = format!(r#"{{"CRITERIA":{{{criteria}}},"constraints":{{"version":"<1.1.0"}}}}"#);
        scratch.write("response-config.json", config(&rule));
        geodb::sample(&scratch);
        let body = format!(r#"{{"appVersion":"1.0.0-rc.1",{body}}}"#);
        let explained = explain(&scratch, &body, SWISS, &[]);
        let answer = supported(explained.lines().last().unwrap());
        assert_eq!(
            answer[1].1,
            Value::from(!holds),
            "{criteria} {body}\n{explained}"
        );
    }
}

#[test]
fn a_reason_is_shown_and_a_hidden_latest_passes_its_tag_on() {
    let scratch = Scratch::new();
    let rules = r#"
        {"Criteria":{"hostArch":"arm64"},"Constraints":{"Version":"<1.1.0"},"Reason":"no \"arm64\" build"},
        {"Criteria":{"hostArch":"x64"},"Constraints":{"Version":"<1.1.0"},"Hide":true},
        {"Criteria":{"hostArch":"s390x"},"Constraints":{"Version":">=1.1.0"},"Hide":true}"#;
    let running = with_config(&scratch, &config(rules)).start();
    let nginx = Nginx::shipped(&scratch, running.addr());
    let one = r#"{"name":"v1.0.0","releaseDate":"2024-01-10T00:00:00Z","tags":["stable"]"#;
    let two = r#"{"name":"v1.1.0","releaseDate":"2024-06-20T00:00:00Z","tags":["latest"],"note":"a \u00e9""#;
    for (arch, versions) in [
        (
            "arm64",
            format!(
                r#"{one},"supported":true}},{two},"supported":false,"reason":"no \"arm64\" build"}}"#
            ),
        ),
        (
            "x64",
            format!(
                r#"{},"supported":true}}"#,
                one.replace(r#"["stable"]"#, r#"["stable","latest"]"#)
            ),
        ),
        ("s390x", format!(r#"{two},"supported":true}}"#)),
        (
            "riscv",
            format!(r#"{one},"supported":true}},{two},"supported":true}}"#),
        ),
    ] {
        let body = format!(r#"{{"appVersion":"v1.0.0","extraTagInfo":{{"hostArch":"{arch}"}}}}"#);
        let expected = format!(r#"{{"versions":[{versions}],"requestIntervalInMinutes":60}}"#);
        check(&scratch, &nginx, &body, &expected);
    }
}

#[test]
fn without_rules_the_answer_is_unchanged() {
    // The answer that Longhorn's and Harvester's clients read.
    for empty in ["", r#""Rules":[],"#, r#""Rules":null,"#] {
        let scratch = Scratch::new();
        let running = with_config(&scratch, &format!("{{{empty}{VERSIONS}}}")).start();
        let body =
            r#"{"appVersion":"v1.0.0","extraTagInfo":{"hostArch":"x64"},"extraFieldInfo":null}"#;
        let compact: String = VERSIONS.split("\n    ").collect();
        let compact = compact.replace("\"versions\"", "{\"versions\"");
        let expected = format!("{compact},\"requestIntervalInMinutes\":60}}");
        assert_eq!(post(running.addr(), body, SWISS), expected);
        let page = explain(&scratch, body, SWISS, &[]);
        assert_eq!(
            page,
            format!("no rules: every client gets the same answer\n{expected}\n")
        );
    }
}

#[test]
fn a_check_in_that_is_not_recorded_is_answered_by_its_rule() {
    let scratch = Scratch::new();
    let schema = r#"{"appVersionSchema":{"dataType":"string","maxLen":3},"extraTagInfoSchema":{}}"#;
    let rule = r#"{"Criteria":{"country":"CH","arch2":"a"},"Constraints":{"Version":"<1.1.0"}}"#;
    let server = with_config(&scratch, &config(rule));
    let running = server
        .arg("--request-schema", scratch.write("s.json", schema))
        .start();
    let body = r#"{"appVersion":"v1.0.0","extraTagInfo":{"arch2":"a"}}"#;
    let answer = supported(&post(running.addr(), body, SWISS));
    assert_eq!(answer[1].1, Value::from(false));
    let answer = supported(&post(running.addr(), body, "127.0.0.1"));
    assert_eq!(answer[1].1, Value::from(true));
}
