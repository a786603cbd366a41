//! The check-ins and response configs of all benchmarks.
//!
//! The bodies are generated in the form of real ones: `realistic` is what most applications send, `longhorn` has as many
//! keys, of the same types, as Longhorn's check-ins.

// Each benchmark uses only a part of this module.
#![allow(dead_code)]

/// The clients' addresses: ten addresses of the sample geo database.
pub const ADDRESSES: [&str; 10] = [
    "192.0.2.7",
    "192.0.2.130",
    "192.0.2.230",
    "198.51.100.20",
    "198.51.100.150",
    "198.51.100.170",
    "203.0.113.7",
    "203.0.113.70",
    "203.0.113.100",
    "203.0.113.140",
];

/// Check-ins of one kind, and the server's settings for them.
pub struct Workload {
    pub name: &'static str,
    /// The bodies, which are sent repeatedly in this order.
    pub bodies: Vec<String>,
    /// The request schema, if the server has one.
    pub schema: Option<String>,
    /// Number of versions in the response config.
    pub versions: usize,
}

/// Two tags and two fields, as Harvester and most others send.
pub fn realistic() -> Workload {
    let bodies = (0..100).map(|n| {
        format!(
            r#"{{"appVersion":"v1.{}.{}","extraTagInfo":{{"kubernetesVersion":"v1.{}.2","hostOS":"linux"}},"extraFieldInfo":{{"nodeCount":{},"cpuUsage":{}.25}}}}"#,
            n % 5,
            n % 3,
            28 + n % 4,
            1 + n % 9,
            n % 16
        )
    });
    Workload {
        name: "realistic",
        bodies: bodies.collect(),
        schema: None,
        versions: 3,
    }
}

/// The same check-ins with a response config of 60 versions, whose answer has several KiB.
pub fn sixty_versions() -> Workload {
    Workload {
        name: "60 versions",
        versions: 60,
        ..realistic()
    }
}

/// 40 tags and 70 fields, listed in a schema.
pub fn longhorn() -> Workload {
    Workload {
        name: "longhorn",
        schema: Some(schema(40, 70)),
        ..extra_keys("longhorn", 40, 70)
    }
}

/// Check-ins with so many extra tags and fields, without a schema.
pub fn extra_keys(name: &'static str, tags: usize, fields: usize) -> Workload {
    let body = |n: usize| {
        let tags: Vec<String> = (0..tags).map(|k| tag(k, n)).collect();
        let fields: Vec<String> = (0..fields).map(|k| field(k, n)).collect();
        format!(
            r#"{{"appVersion":"v1.{}.0","extraTagInfo":{{{}}},"extraFieldInfo":{{{}}}}}"#,
            n % 5,
            tags.join(","),
            fields.join(",")
        )
    };
    Workload {
        name,
        bodies: (0..20).map(body).collect(),
        schema: None,
        versions: 3,
    }
}

fn tag_key(k: usize) -> String {
    format!("settingDataLocality{k}")
}

fn field_key(k: usize) -> String {
    format!("volumeAverageSizeBytes{k}")
}

fn tag(k: usize, n: usize) -> String {
    let value = ["true", "false", "best-effort", "v1.31.2+k3s1"][(k + n % 2) % 4];
    format!(r#""{}":"{value}""#, tag_key(k))
}

fn field(k: usize, n: usize) -> String {
    let key = field_key(k);
    match k % 7 {
        0 => format!(r#""{key}":true"#),
        1 => format!(r#""{key}":{}.5"#, n + k),
        _ => format!(r#""{key}":{}"#, 1_073_741_824 + n * k),
    }
}

fn schema(tags: usize, fields: usize) -> String {
    let tags: Vec<String> = (0..tags)
        .map(|k| format!(r#""{}":{{"dataType":"string","maxLen":200}}"#, tag_key(k)))
        .collect();
    let fields: Vec<String> = (0..fields)
        .map(|k| {
            let data_type = if k % 7 == 0 { "boolean" } else { "float" };
            format!(r#""{}":{{"dataType":"{data_type}"}}"#, field_key(k))
        })
        .collect();
    format!(
        r#"{{"appVersionSchema":{{"dataType":"string"}},"extraTagInfoSchema":{{{}}},"extraFieldInfoSchema":{{{}}}}}"#,
        tags.join(","),
        fields.join(",")
    )
}

/// A response config with so many versions.
pub fn response_config(versions: usize) -> String {
    let version = |n: usize| {
        let tag = if n + 1 == versions {
            "latest"
        } else {
            "stable"
        };
        format!(
            r#"{{"name":"v1.{n}.0","releaseDate":"2024-05-21T12:00:00Z","minUpgradableVersion":"v1.0.0","tags":["{tag}"]}}"#
        )
    };
    let versions: Vec<String> = (0..versions).map(version).collect();
    format!(r#"{{"versions":[{}]}}"#, versions.join(","))
}

/// A response config with so many rules, none of which fits a check-in of these workloads.
pub fn with_rules(rules: usize) -> String {
    let rule = |n: usize| {
        format!(
            r#"{{"Criteria":{{"AppVersion":">=1.0.0","kubernetesVersion":">=1.{}"}},"Constraints":{{"Version":"<1.2.0"}}}}"#,
            100 + n
        )
    };
    let rules: Vec<String> = (0..rules).map(rule).collect();
    let versions = response_config(3);
    format!("{{\"rules\":[{}],{}", rules.join(","), &versions[1..])
}
