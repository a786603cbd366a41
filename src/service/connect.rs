//! Creates the client for the time-series database from the options.

use super::error::RunError;
use crate::delivery::http::{CaFileError, Tls};
use crate::delivery::protocol::Protocol;
use crate::delivery::read_password;
use crate::delivery::v1::V1;
use crate::delivery::v2::V2;
use crate::service::influx_options::{Api, InfluxOptions, Password};
use crate::service::options::Database;

/// Creates the client. The error has a line for each problem.
pub fn connect(options: &InfluxOptions, database: &Database) -> Result<Protocol, RunError> {
    let (flag, from) = match &options.api {
        Api::V1 { password, .. } => ("--influxdb-pass-file", password),
        Api::V2 { token, .. } => ("--influxdb-token-file", token),
    };
    let secret = read(flag, from);
    // The client is created without the secret too, so that all problems are reported at once.
    let client = client(options, database, secret.clone().unwrap_or_default());
    match (secret, client) {
        (Ok(_), Ok(mut client)) => {
            // Not a credential: systemd writes it only when the service starts.
            if let Password::File(path) = from {
                client.read_secret_again_from(path.clone());
            }
            Ok(client)
        }
        (secret, client) => {
            let errors = [secret.err(), client.err().map(|error| error.to_string())];
            let errors: Vec<String> = errors.into_iter().flatten().collect();
            Err(RunError::Configuration(errors.join("\n")))
        }
    }
}

fn client(
    options: &InfluxOptions,
    database: &Database,
    secret: Option<String>,
) -> Result<Protocol, CaFileError> {
    let tls = match &options.ca_file {
        _ if options.insecure_tls => Tls::Unverified,
        Some(path) => Tls::VerifiedBy(path),
        None => Tls::Verified,
    };
    let url = options.url.clone();
    Ok(match &options.api {
        Api::V1 { user, .. } => {
            Protocol::V1(V1::new(url, user.clone(), secret, &tls, database.name())?)
        }
        Api::V2 { org, bucket, .. } => {
            let bucket = bucket.clone().unwrap_or_else(|| database.name());
            Protocol::V2(V2::new(url, secret, org.clone(), bucket, &tls)?)
        }
    })
}

fn read(flag: &str, from: &Password) -> Result<Option<String>, String> {
    match from {
        Password::None => Ok(None),
        Password::Text(text) => Ok(Some(text.clone())),
        Password::File(path) | Password::Credential(path) => {
            read_password(path).map(Some).map_err(|error| {
                let path = path.display();
                format!("{flag} {path}: {error}; expected a file with the password or token alone")
            })
        }
    }
}
