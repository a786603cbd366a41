//! `upgrade-responder new-application`: writes the files of a further application on this machine, for
//! `upgrade-responder@NAME.service`.
//!
//! It never overwrites a file, and starts nothing.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The package's files, as templates for those of an application.
const SETTINGS: &str = include_str!("../../packaging/upgrade-responder.env");
const RESPONSE: &str = include_str!("../../examples/response-config.json");
const SCHEMA: &str = include_str!("../../examples/request-schema.json");
/// The operator's port of the first application; each further one gets the next that no settings file names.
const FIRST_PORT: u16 = 8315;

/// The options of `new-application`.
#[derive(Debug)]
pub struct NewApplicationOptions {
    /// Valid in the name of a file and of a unit.
    pub name: String,
    pub directory: PathBuf,
}

/// A file that cannot be written.
#[derive(Debug)]
pub struct NotWritten {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.error.kind() {
            io::ErrorKind::AlreadyExists => {
                write!(
                    f,
                    "{path} exists already; nothing was changed; choose another name, or remove it"
                )
            }
            io::ErrorKind::PermissionDenied => {
                write!(f, "{path}: {}; run this as root", self.error)
            }
            io::ErrorKind::NotFound => {
                write!(
                    f,
                    "{path}: {}; create the directory, or give another one with --directory",
                    self.error
                )
            }
            _ => write!(f, "{path}: {}", self.error),
        }
    }
}

/// Writes settings, response config and request schema, and prints the next steps.
pub fn run(options: &NewApplicationOptions, out: &mut impl Write) -> Result<(), NotWritten> {
    let NewApplicationOptions { name, directory } = options;
    let settings = directory.join(format!("{name}.env"));
    let own = directory.join(name);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| NotWritten { path, error }
    };
    let port = free_port(directory).map_err(failed(directory))?;
    if let Some(there) = [&settings, &own].into_iter().find(|path| path.exists()) {
        return Err(failed(there)(io::ErrorKind::AlreadyExists.into()));
    }
    DirBuilder::new()
        .mode(0o755)
        .create(&own)
        .map_err(failed(&own))?;
    let response = own.join("response-config.json");
    let schema = own.join("request-schema.json");
    for (path, text) in [
        (&response, RESPONSE),
        (&schema, SCHEMA),
        (&settings, &settings_of(name, directory, port)),
    ] {
        write_new(path, text).map_err(failed(path))?;
    }
    let said = format!(
        "wrote {}, {} and {}\n\
         The page and the metrics will be on http://127.0.0.1:{port}/. Put your versions into the response config, then:\n\n\
         \x20 systemctl enable --now upgrade-responder@{name}\n\
         \x20 upgrade-responder report --application-name {name}\n",
        settings.display(),
        response.display(),
        schema.display(),
    );
    // A closed pipe is no error: the reader has seen enough.
    let _ = out.write_all(said.as_bytes());
    Ok(())
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The packaged settings with this application's name, files, unit and port.
fn settings_of(name: &str, directory: &Path, port: u16) -> String {
    let own = format!("{}/{name}", directory.display());
    let port = format!("METRICS_LISTEN=127.0.0.1:{port}");
    let unit = format!("upgrade-responder@{name}");
    let replaced = [
        ("APPLICATION_NAME=myapp", format!("APPLICATION_NAME={name}")),
        (
            "/etc/upgrade-responder/response-config.json",
            format!("{own}/response-config.json"),
        ),
        (
            "/etc/upgrade-responder/request-schema.json",
            format!("{own}/request-schema.json"),
        ),
        ("METRICS_LISTEN=127.0.0.1:8315", port),
        ("upgrade-responder.service", format!("{unit}.service")),
        ("upgrade-responder.socket", format!("{unit}.socket")),
        (
            "systemctl restart upgrade-responder",
            format!("systemctl restart {unit}"),
        ),
        (
            "/etc/credstore/influxdb-pass",
            format!("/etc/credstore/influxdb-pass.{name}"),
        ),
        (
            "/etc/credstore/influxdb-token",
            format!("/etc/credstore/influxdb-token.{name}"),
        ),
    ];
    let mut text = SETTINGS.to_owned();
    for (packaged, own) in &replaced {
        text = text.replace(packaged, own);
    }
    text
}

/// The first port from [`FIRST_PORT`] on that no settings file of the directory names.
fn free_port(directory: &Path) -> io::Result<u16> {
    let mut taken = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "env") {
            // A file that cannot be read is ignored.
            let text = fs::read_to_string(path).unwrap_or_default();
            let ports = text
                .lines()
                .filter_map(|line| line.strip_prefix("METRICS_LISTEN="));
            let ports =
                ports.filter_map(|at| at.trim_matches('"').rsplit(':').next()?.parse::<u16>().ok());
            taken.extend(ports);
        }
    }
    let mut ports = FIRST_PORT..u16::MAX;
    Ok(ports
        .find(|port| !taken.contains(port))
        .unwrap_or(FIRST_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_the_application_and_nothing_of_the_first_one() {
        let text = settings_of("harvester", Path::new("/etc/upgrade-responder"), 8316);
        for line in [
            "APPLICATION_NAME=harvester",
            "UPGRADE_RESPONSE_CONFIG=/etc/upgrade-responder/harvester/response-config.json",
            "REQUEST_SCHEMA=/etc/upgrade-responder/harvester/request-schema.json",
            "METRICS_LISTEN=127.0.0.1:8316",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in {text}"
            );
        }
        for left in [
            "APPLICATION_NAME=myapp",
            "upgrade-responder.socket",
            "restart upgrade-responder\n",
            "8315",
        ] {
            assert!(!text.contains(left), "{left} is in {text}");
        }
        assert_eq!(text.lines().count(), SETTINGS.lines().count());
    }
}
