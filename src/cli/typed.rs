//! Parses the text of one flag, and tells where it is from.

use std::ffi::OsString;
use std::path::PathBuf;

use super::flags;
use super::lowargs::{LowArgs, Source};
use super::usage::UsageError;
use super::values;
use crate::service::options::Database;

/// The state directory of the packaged service (`StateDirectory=` of the unit).
const SERVICE_STATE_DIR: &str = "/var/lib/upgrade-responder";

/// Looks up an environment variable.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The value of a flag, or its default, parsed by `parse`, whose error says what is expected.
pub(super) fn typed<T>(
    low: &LowArgs,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, UsageError> {
    let (source, found) = match low.get(name) {
        Some(setting) => (
            setting.named.clone(),
            setting.value.to_string_lossy().into_owned(),
        ),
        None => {
            let default = flags::find(name).map_or("", |flag| flag.default);
            (name.to_owned(), default.to_owned())
        }
    };
    parse(&found).map_err(|expected| UsageError::BadValue {
        source,
        found: Some(found),
        expected,
    })
}

/// Whether a switch is on.
pub(super) fn switch(low: &LowArgs, name: &'static str) -> Result<bool, UsageError> {
    match low.get(name) {
        Some(_) => typed(low, name, values::parse_bool),
        None => Ok(false),
    }
}

pub(super) fn path(low: &LowArgs, name: &str) -> Option<PathBuf> {
    low.get(name).map(|setting| PathBuf::from(&setting.value))
}

pub(super) fn text(low: &LowArgs, name: &str) -> Option<String> {
    low.get(name)
        .map(|setting| setting.value.to_string_lossy().into_owned())
}

pub(super) fn database(low: &LowArgs) -> Result<Database, UsageError> {
    match low.get("--application-name") {
        Some(_) => typed(low, "--application-name", values::application_name),
        None => Err(UsageError::Missing(
            "--application-name",
            "APPLICATION_NAME",
        )),
    }
}

/// The source of a flag's value; `None`, which is less than any source, if the flag was not given.
pub(super) fn source(low: &LowArgs, name: &str) -> Option<Source> {
    low.get(name).map(|setting| setting.source)
}

/// The state directory, and its source; `None` for the default. systemd sets `$STATE_DIRECTORY` for a unit with
/// `StateDirectory=`.
pub(super) fn state_dir(low: &LowArgs, env: Env<'_>) -> (PathBuf, Option<Source>) {
    let given = low.get("--state-dir");
    if let Some(setting) = given {
        return (PathBuf::from(&setting.value), Some(setting.source));
    }
    if let Some(dir) = env("STATE_DIRECTORY").filter(|dir| !dir.is_empty()) {
        return (PathBuf::from(dir), Some(Source::Environment));
    }
    if low.has_settings_file() {
        return (PathBuf::from(SERVICE_STATE_DIR), Some(Source::SettingsFile));
    }
    (PathBuf::from("./upgrade-responder-data"), None)
}
