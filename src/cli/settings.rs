//! Reads the settings of the packaged service, for every command but `start`, which gets them from systemd.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::environment_file;

/// The package's settings file. Those of further applications are in the same directory.
const PACKAGED: &str = "/etc/upgrade-responder/upgrade-responder.env";
/// The most bytes of a settings file. A larger file must be something else.
const LARGEST: u64 = 1024 * 1024;

/// The variables of a settings file.
#[derive(Debug)]
pub struct Settings {
    pub path: PathBuf,
    variables: Vec<(String, String)>,
}

/// A settings file that cannot be used.
#[derive(Debug)]
pub struct SettingsError {
    path: PathBuf,
    what: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "settings file {}: {}", self.path.display(), self.what)
    }
}

impl Settings {
    /// Reads the file of `--settings`, else that of the named application, else the package's; `None` if none of
    /// them exists.
    pub fn find(
        named: Option<&OsStr>,
        application: Option<&OsStr>,
    ) -> Result<Option<Settings>, SettingsError> {
        if let Some(named) = named {
            return Settings::read(Path::new(named)).map(Some);
        }
        let packaged = Path::new(PACKAGED);
        let application = application.map(|name| name.to_string_lossy());
        // A name with a slash is refused later.
        let own = application.filter(|name| !name.contains('/'));
        let own = own.map(|name| packaged.with_file_name(format!("{name}.env")));
        if let Some(path) = own.filter(|path| path.exists()) {
            return Settings::read(&path).map(Some);
        }
        match packaged.symlink_metadata() {
            Err(error) if is_absent(&error) => Ok(None),
            // Any other error also occurs on reading, and is reported there.
            _ => Settings::read(packaged).map(Some),
        }
    }

    fn read(path: &Path) -> Result<Settings, SettingsError> {
        let refused = |what| SettingsError {
            path: path.to_owned(),
            what,
        };
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text))
            .map_err(|error| refused(unreadable(&error)))?;
        if text.len() as u64 > LARGEST {
            let what = "larger than 1 MiB, expected an environment file as systemd reads it";
            return Err(refused(what.to_owned()));
        }
        let variables = environment_file::parse(&text).map_err(|error| {
            refused(format!(
                "{error}, expected an environment file as systemd reads it"
            ))
        })?;
        Ok(Settings {
            path: path.to_owned(),
            variables,
        })
    }

    /// The value of a variable. An empty variable counts as unset, as in the environment.
    pub fn get(&self, name: &str) -> Option<OsString> {
        let (_, value) = self.variables.iter().rfind(|(other, _)| other == name)?;
        (!value.is_empty()).then(|| OsString::from(value))
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "{error}; run this as root, or name a file that you can read with --settings (/dev/null \
             for no settings)"
        ),
        _ => format!("{error}; expected an environment file as systemd reads it"),
    }
}
