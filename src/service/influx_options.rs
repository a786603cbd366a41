//! The options of the time-series database.

use std::fmt;
use std::path::PathBuf;

use crate::delivery::url::InfluxUrl;

/// How to reach InfluxDB.
#[derive(Debug)]
pub struct InfluxOptions {
    pub url: InfluxUrl,
    pub api: Api,
    pub ca_file: Option<PathBuf>,
    pub insecure_tls: bool,
    /// Whether records are sent, not only totals.
    pub sends_raw: bool,
}

/// The write protocol, with its login.
#[derive(Debug)]
pub enum Api {
    /// InfluxDB 1.x and VictoriaMetrics.
    V1 {
        user: Option<String>,
        password: Password,
    },
    /// InfluxDB 2.x and 3.x.
    V2 {
        token: Password,
        org: Option<String>,
        /// `None`: the name of the database.
        bucket: Option<String>,
    },
}

impl InfluxOptions {
    /// Where records go on the server.
    pub fn target(&self, database: &str) -> String {
        match &self.api {
            Api::V1 { .. } => format!("database {database:?}"),
            Api::V2 { org, bucket, .. } => {
                let bucket = bucket.as_deref().unwrap_or(database);
                let org = org.as_deref().unwrap_or("none");
                format!("api v2, organization {org:?}, bucket {bucket:?}")
            }
        }
    }

    /// Valid settings that are probably a mistake.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.insecure_tls {
            warnings.push(
                "--influxdb-insecure-tls: InfluxDB's certificate is not verified; give the certificate of its \
                 authority with --influxdb-ca-file instead",
            );
        }
        match &self.api {
            Api::V1 { user, password } => {
                let has_user = user.is_some() || self.url.has_user();
                if !has_user && !matches!(password, Password::None) {
                    warnings.push(
                        "an InfluxDB password without --influxdb-user is not used; give the user too",
                    );
                }
            }
            Api::V2 { .. } if self.url.has_user() => {
                warnings.push(
                    "the user in --influxdb-url is not used with --influxdb-api v2; give \
                     --influxdb-token-file",
                );
            }
            Api::V2 { .. } => {}
        }
        warnings
    }
}

/// The source of a password or token. It has no `Display`, and its `Debug` hides the text.
pub enum Password {
    None,
    Text(String),
    File(PathBuf),
    /// A file that systemd created for this run of the service.
    Credential(PathBuf),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::None => f.write_str("None"),
            Password::Text(_) => f.write_str("Text(…)"),
            Password::File(path) => write!(f, "File({})", path.display()),
            Password::Credential(path) => write!(f, "Credential({})", path.display()),
        }
    }
}
