//! A file system that one test mounts, for full or read-only disks. It must be unmounted also when the test fails.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::skip;

/// A mounted file system. Dropping it unmounts it.
pub struct Mount {
    pub path: PathBuf,
}

impl Mount {
    /// Creates the folder and mounts a file system of that kind (`tmpfs`, `ramfs`) on it; `None` if this process may
    /// not mount and the test may be skipped.
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
        // Lazily, because a server of a failed test may still have files open.
        let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("cannot unmount {}", self.path.display());
        }
    }
}
