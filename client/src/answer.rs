//! The server's answer as data. Keys match in any case, because operators write `name` and `Name`.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::decision::Decision;
use crate::error::CheckError;
use crate::version::{Version, lenient};

/// The server's answer, and the decision that follows from it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The versions, in the operator's order.
    pub versions: Vec<Version>,
    /// The time between two checks, 1 minute to 7 days.
    pub interval: Duration,
    /// The decision for the application's own version.
    pub decision: Decision,
    /// The highest version above the application's own that is not supported, if there is one.
    /// Its [`reason`](Version::reason) may say why.
    pub held_back: Option<Version>,
}

/// The data of an answer, without a decision.
pub(crate) struct Said {
    pub(crate) versions: Vec<Version>,
    /// The minutes between two checks, if the server gives a number.
    pub(crate) minutes: Option<f64>,
}

/// Reads an answer. Elements of the list that are not versions are left out.
pub(crate) fn read(body: &[u8]) -> Result<Said, CheckError> {
    let refused = |what: String| Err(CheckError::NotUnderstood(what));
    let answer: Value = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(error) => return refused(format!("not JSON: {error}")),
    };
    let Some(answer) = answer.as_object() else {
        return refused("not a JSON object".to_owned());
    };
    let Some(versions) = find(answer, "versions").and_then(Value::as_array) else {
        return refused("no list \"versions\"".to_owned());
    };
    Ok(Said {
        versions: versions.iter().filter_map(version).collect(),
        minutes: find(answer, "requestIntervalInMinutes").and_then(Value::as_f64),
    })
}

fn version(value: &Value) -> Option<Version> {
    let of = value.as_object()?;
    let text = |key| find(of, key).and_then(Value::as_str);
    let name = text("name")?.to_owned();
    let tags = find(of, "tags").and_then(Value::as_array);
    let tags = tags.into_iter().flatten().filter_map(Value::as_str);
    let extra = find(of, "extraInfo").and_then(Value::as_object);
    let extra = extra.into_iter().flatten().map(|(key, value)| {
        let text = value.as_str().map(str::to_owned);
        (key.clone(), text.unwrap_or_else(|| value.to_string()))
    });
    Some(Version {
        version: lenient(&name),
        name,
        release_date: text("releaseDate").unwrap_or_default().to_owned(),
        min_upgradable_version: text("minUpgradableVersion").and_then(lenient),
        tags: tags.map(str::to_owned).collect(),
        // Servers without rules do not send this key.
        supported: find(of, "supported")
            .and_then(Value::as_bool)
            .unwrap_or(true),
        reason: text("reason").map(str::to_owned),
        extra_info: extra.collect(),
    })
}

/// The value of a key, spelled in any case. The exact spelling has priority.
fn find<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let any = || object.iter().find(|(is, _)| is.eq_ignore_ascii_case(key));
    object.get(key).or_else(|| Some(any()?.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_keys() {
        let lower = r#"{"versions":[{"name":"v1.2.0","releaseDate":"2024-01-10T00:00:00Z",
            "minUpgradableVersion":"v1.1","tags":["latest"],"supported":false,"reason":"old",
            "extraInfo":{"notes":"https://example.com","n":3}}],"requestIntervalInMinutes":90}"#;
        let upper = lower.replace("\"n\"", "\"m\"");
        let upper = upper
            .replace("\"name", "\"Name")
            .replace("\"versions", "\"Versions");
        let upper = upper
            .replace("\"release", "\"Release")
            .replace("\"min", "\"Min");
        let upper = upper
            .replace("\"tags", "\"Tags")
            .replace("\"supp", "\"Supp");
        let upper = upper
            .replace("\"reason", "\"Reason")
            .replace("\"extra", "\"Extra");
        let upper = upper
            .replace("\"request", "\"Request")
            .replace("\"m\"", "\"n\"");
        assert_ne!(lower, upper);
        for body in [lower, &upper] {
            let said = read(body.as_bytes()).unwrap();
            assert_eq!(said.minutes, Some(90.0));
            let [version] = &said.versions[..] else {
                panic!("{:?}", said.versions)
            };
            assert_eq!(version.name, "v1.2.0");
            assert_eq!(version.version, Some(semver::Version::new(1, 2, 0)));
            assert_eq!(version.release_date, "2024-01-10T00:00:00Z");
            assert_eq!(
                version.min_upgradable_version,
                Some(semver::Version::new(1, 1, 0))
            );
            assert!(version.has_tag("latest") && !version.has_tag("stable"));
            assert!(!version.supported);
            assert_eq!(version.reason.as_deref(), Some("old"));
            let extra = [("n", "3"), ("notes", "https://example.com")];
            let extra = extra.map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert_eq!(version.extra_info, extra);
        }
    }

    #[test]
    fn nonsense_is_an_error_and_half_sense_is_read() {
        for body in [
            "",
            "[]",
            "{}",
            "<html>",
            r#"{"versions":3}"#,
            r#"{"versions":["#,
            "\u{0}",
        ] {
            assert!(read(body.as_bytes()).is_err(), "of {body:?}");
        }
        assert!(read(b"\xff\xfe").is_err());
        let deep = "[".repeat(100_000);
        assert!(read(deep.as_bytes()).is_err());
        let said =
            read(br#"{"versions":[1,null,{},{"name":7},{"name":"x","tags":{},"supported":"no"}]}"#);
        let said = said.unwrap();
        assert_eq!(said.minutes, None);
        assert_eq!(said.versions.len(), 1);
        assert!(said.versions[0].supported && said.versions[0].version.is_none());
    }
}
