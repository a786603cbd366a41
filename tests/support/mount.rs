//! A file system of a test's own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::skip;

/// A mounted file system. Dropping it unmounts it.
pub struct Mount {
    pub path: PathBuf,
}

impl Mount {
    /// Makes the folder and mounts a file system of that kind (`tmpfs`, `ramfs`) there; `None` where this
    /// process may not mount and that is allowed.
    #[track_caller]
    pub fn new(path: PathBuf, kind: &str, options: &str) -> Option<Mount> {
        if !skip::is_root("mounting takes root") {
            return None;
        }
        fs::create_dir(&path).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", kind, "-o", options, kind]).arg(&path);
        match command.output() {
            Ok(output) if output.status.success() => Some(Mount { path }),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_string();
                skip::missing(&format!("{kind} cannot be mounted: {why}"));
                None
            }
            Err(error) => {
                skip::missing(&format!("mount cannot be run: {error}"));
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a server that the failed test left running still holds files in it.
        let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("cannot unmount {}", self.path.display());
        }
    }
}
