//! Finds an application in the state directory, for `report` and `export-totals`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ReportError;
use crate::state::instance_of;

/// One application of a state directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Application {
    pub name: String,
    dir: PathBuf,
}

impl Application {
    pub fn ledger(&self) -> PathBuf {
        self.dir.join("totals.db")
    }

    pub fn spool(&self) -> PathBuf {
        self.dir.join("spool")
    }

    /// The server's instance name; a copy of the directory has the same.
    pub fn instance(&self) -> Option<String> {
        instance_of(&self.dir)
    }
}

/// Finds the application in a state directory, in its own directory, or in a copy of either.
pub fn find_copied(dir: &Path, named: Option<&str>) -> Result<Application, ReportError> {
    if dir.join("totals.db").exists() {
        return Ok(Application {
            name: named.unwrap_or_default().to_owned(),
            dir: dir.to_owned(),
        });
    }
    find(dir, named)
}

/// Finds the application `named`; without a name the only one.
pub fn find(state_dir: &Path, named: Option<&str>) -> Result<Application, ReportError> {
    let mut found = applications(state_dir).map_err(|error| unusable(state_dir, &error))?;
    let at = state_dir.display();
    match named {
        Some(name) => match found.iter().position(|application| application.name == name) {
            Some(index) => Ok(found.swap_remove(index)),
            None => Err(ReportError::Configuration(format!(
                "--application-name {name:?}: {at} has no such application, expected {}",
                list(&found)
            ))),
        },
        None if found.len() > 1 => Err(ReportError::Usage(format!(
            "--application-name is required: {at} has several, expected {}",
            list(&found)
        ))),
        None => found.pop().ok_or_else(|| {
            ReportError::Configuration(format!(
                "--state-dir {at}: no server has run with it yet, expected its state directory; start the \
                 server, or name another directory"
            ))
        }),
    }
}

/// The directories in which a server has run, by name.
fn applications(state_dir: &Path) -> io::Result<Vec<Application>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(state_dir)? {
        let entry = entry?;
        let dir = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if dir.join("totals.db").exists() || dir.join("spool").is_dir() {
            found.push(Application { name, dir });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn list(found: &[Application]) -> String {
    match found {
        [] => "that of a server that has run".to_owned(),
        found => {
            let names = found.iter().map(|found| format!("{:?}", found.name));
            names.collect::<Vec<_>>().join(" or ")
        }
    }
}

fn unusable(state_dir: &Path, error: &io::Error) -> ReportError {
    let at = state_dir.display();
    ReportError::Configuration(match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("--state-dir {at}: {error}; run this as root, or as the server's user")
        }
        _ => format!(
            "--state-dir {at}: {error}; expected the server's state directory; start the server, or \
             name another directory"
        ),
    })
}
