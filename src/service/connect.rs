//! From what the flags say of InfluxDB to a client for it.

use super::run::RunError;
use crate::cli::options::{InfluxOptions, Password};
use crate::delivery::influx::{Influx, Tls, read_password};

/// A client for what the flags say of InfluxDB. The error has a line for each problem.
pub fn connect(options: &InfluxOptions, database: &str) -> Result<Influx, RunError> {
    let password = match &options.password {
        Password::None => Ok(None),
        Password::Text(text) => Ok(Some(text.clone())),
        Password::File(path) | Password::Credential(path) => {
            read_password(path).map(Some).map_err(|error| {
                format!(
                    "--influxdb-pass-file {}: {error}; expected a file with the password",
                    path.display()
                )
            })
        }
    };
    let tls = match &options.ca_file {
        _ if options.insecure_tls => Tls::Unverified,
        Some(path) => Tls::VerifiedBy(path),
        None => Tls::Verified,
    };
    // A password that cannot be read is no reason to keep back what else is wrong.
    let given = password.clone().unwrap_or_default();
    let influx = Influx::new(
        options.url.clone(),
        options.user.clone(),
        given,
        &tls,
        database.to_owned(),
    );
    match (password, influx) {
        (Ok(_), Ok(mut influx)) => {
            // systemd writes a credential at the start of the service only.
            if let Password::File(path) = &options.password {
                influx.read_password_again_from(path.clone());
            }
            Ok(influx)
        }
        (password, influx) => {
            let errors = [password.err(), influx.err().map(|error| error.to_string())];
            let errors: Vec<String> = errors.into_iter().flatten().collect();
            Err(RunError::Configuration(errors.join("\n")))
        }
    }
}
