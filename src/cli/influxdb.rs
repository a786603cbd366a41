//! From the flags' texts to how the time-series database is reached.

use std::fmt;
use std::path::PathBuf;

use super::lowargs::LowArgs;
use super::options::{Env, path, source, switch, text, typed};
use super::usage::UsageError;
use super::values;
use crate::delivery::url::InfluxUrl;

/// How to reach InfluxDB.
#[derive(Debug)]
pub struct InfluxOptions {
    pub url: InfluxUrl,
    pub api: Api,
    pub ca_file: Option<PathBuf>,
    pub insecure_tls: bool,
    /// Records are sent, not totals alone.
    pub sends_raw: bool,
}

/// The write protocol, and what it takes to log in.
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
        /// `None`: named as the database is.
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

    /// What is valid but probably not meant.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.insecure_tls {
            warnings.push(
                "--influxdb-insecure-tls: InfluxDB's certificate is not verified; rather give its \
                 authority with --influxdb-ca-file",
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

/// Where the InfluxDB password is to be had. Has no `Display`, and its `Debug` hides the text.
pub enum Password {
    None,
    Text(String),
    File(PathBuf),
    /// A file that systemd made for this run of the service.
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

pub(super) fn influxdb(low: &LowArgs, env: Env<'_>) -> Result<Option<InfluxOptions>, UsageError> {
    if low.get("--influxdb-url").is_none() {
        return Ok(None);
    }
    let url = typed(low, "--influxdb-url", InfluxUrl::parse).map_err(UsageError::without_value)?;
    Ok(Some(InfluxOptions {
        url,
        api: api(low, env)?,
        ca_file: path(low, "--influxdb-ca-file"),
        insecure_tls: switch(low, "--influxdb-insecure-tls")?,
        sends_raw: typed(low, "--influxdb-send", values::influxdb_send)?,
    }))
}

/// v2 where anything of it is given, v1 otherwise; `--influxdb-api` decides where it is given.
fn api(low: &LowArgs, env: Env<'_>) -> Result<Api, UsageError> {
    let token = secret(low, env, "--influxdb-token", "--influxdb-token-file");
    let org = text(low, "--influxdb-org");
    let bucket = text(low, "--influxdb-bucket");
    let is_v2 = match low.get("--influxdb-api") {
        Some(_) => typed(low, "--influxdb-api", values::is_v2)?,
        None => org.is_some() || bucket.is_some() || !matches!(token, Password::None),
    };
    Ok(match is_v2 {
        true => Api::V2 { token, org, bucket },
        false => Api::V1 {
            user: text(low, "--influxdb-user"),
            password: secret(low, env, "--influxdb-pass", "--influxdb-pass-file"),
        },
    })
}

/// A secret itself before a file with it, unless that one is from a source that wins; what the operator
/// named before what systemd offers under the name of the flag.
fn secret(low: &LowArgs, env: Env<'_>, flag: &'static str, file_flag: &'static str) -> Password {
    let text = text(low, flag);
    let file = path(low, file_flag);
    let file_wins = source(low, file_flag) > source(low, flag);
    match (text, file) {
        (Some(text), None) => return Password::Text(text),
        (Some(text), Some(_)) if !file_wins => return Password::Text(text),
        (_, Some(file)) => return Password::File(file),
        (None, None) => {}
    }
    let credential =
        env("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join(flag.trim_matches('-')));
    match credential.filter(|path| path.exists()) {
        Some(path) => Password::Credential(path),
        None => Password::None,
    }
}
