//! The state directory of one application: what the server keeps from start to start. Moving a server means
//! copying it.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// Where things are kept.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// The directory of an application in `--state-dir`; nothing is created.
    pub fn new(state_dir: &Path, application: &str) -> StateDir {
        StateDir {
            path: state_dir.join(application),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ledger.
    pub fn totals(&self) -> PathBuf {
        self.path.join("totals.db")
    }

    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// The files with lines that the database refused.
    pub fn rejected(&self) -> PathBuf {
        self.path.join("rejected")
    }

    /// The server's own name, made at the first start: several servers that write to one database tell
    /// their totals apart by it.
    pub fn instance(&self) -> io::Result<String> {
        let path = self.path.join("instance");
        match fs::read(&path).map(String::from_utf8) {
            Ok(Ok(text)) if is_name(text.trim()) => return Ok(text.trim().to_owned()),
            Ok(_) => log::warn!(
                "{}: damaged, expected a name of letters, digits and '-'; a new one is made: totals that were sent \
                 under the old one stay, and what is corrected of them is added to them; put the old name back",
                path.display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // The standard library's random state, which differs in each process.
        let name = format!("{:016x}", RandomState::new().hash_one(&path));
        fs::create_dir_all(&self.path)?;
        fs::write(&path, format!("{name}\n"))?;
        Ok(name)
    }
}

/// The name of the server that a directory of an application is of, if it has one; none is made.
pub fn instance_of(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join("instance")).ok()?;
    let name = text.trim();
    is_name(name).then(|| name.to_owned())
}

fn is_name(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(sound)
}
