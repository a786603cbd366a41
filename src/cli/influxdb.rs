//! Parses the options of the time-series database from the flags' texts.

use std::path::PathBuf;

use super::flags::FLAGS;
use super::lowargs::LowArgs;
use super::typed::{Env, path, source, switch, text, typed};
use super::usage::UsageError;
use super::values;
use crate::delivery::url::InfluxUrl;
use crate::service::influx_options::{Api, InfluxOptions, Password};

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

/// The flags that were given although nothing is sent without a URL.
pub(super) fn idle(low: &LowArgs) -> Vec<&'static str> {
    if low.get("--influxdb-url").is_some() {
        return Vec::new();
    }
    let names = FLAGS.iter().map(|flag| flag.name);
    let names = names.filter(|name| name.starts_with("--influxdb-"));
    names.filter(|name| low.get(name).is_some()).collect()
}

/// The protocol of `--influxdb-api`. Without that flag, v2 if a token, organization or bucket is given, else v1.
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

/// The secret itself wins over a file with it, unless the file is from a source that wins. Both win over the
/// credential that systemd offers under the name of the flag.
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
