//! The state directory of one application: all files that the server keeps across restarts. To move a server, copy
//! this directory.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// Paths in the state directory of one application.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// The directory of an application in `--state-dir`. Creates nothing.
    pub fn new(state_dir: &Path, application: &str) -> StateDir {
        StateDir {
            path: state_dir.join(application),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the ledger.
    pub fn totals(&self) -> PathBuf {
        self.path.join("totals.db")
    }

    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// Directory of the files with rejected lines.
    pub fn rejected(&self) -> PathBuf {
        self.path.join("rejected")
    }

    /// The server's own name, created at the first start. It distinguishes the totals of several servers that write
    /// to one database.
    pub fn instance(&self) -> io::Result<String> {
        let path = self.path.join("instance");
        match fs::read(&path).map(String::from_utf8) {
            Ok(Ok(text)) if is_name(text.trim()) => return Ok(text.trim().to_owned()),
            Ok(_) => log::warn!(
                "{}: damaged, expected a name of letters, digits and '-'; created a new name; if a total that \
                 was sent under the old name is corrected, it counts twice in the database; restore the old name",
                path.display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // The standard library's random state is the source of randomness; it differs in each process.
        let name = format!("{:016x}", RandomState::new().hash_one(&path));
        fs::create_dir_all(&self.path)?;
        fs::write(&path, format!("{name}\n"))?;
        Ok(name)
    }
}

/// The name of the server to which an application's directory belongs; `None` if the directory has no valid name.
/// Creates nothing.
pub fn instance_of(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join("instance")).ok()?;
    let name = text.trim();
    is_name(name).then(|| name.to_owned())
}

/// The action that can fix an error of reading or writing in the state directory, for the end of a message.
pub fn disk_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "check that the server's user owns the directory and its files and can write to them"
        }
        io::ErrorKind::ReadOnlyFilesystem => "mount the file system writable, or repair the disk",
        _ => "free disk space or repair the disk",
    }
}

fn is_name(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_depends_on_the_error() {
        let advice = |kind: io::ErrorKind| disk_advice(&kind.into());
        assert!(advice(io::ErrorKind::PermissionDenied).contains("owns"));
        assert!(advice(io::ErrorKind::ReadOnlyFilesystem).contains("mount"));
        assert!(advice(io::ErrorKind::StorageFull).contains("free disk space"));
    }
}
