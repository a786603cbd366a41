//! Detection of changed files: edited in place, replaced by a rename, or behind a symbolic link that
//! now points elsewhere.
//!
//! Files are compared by their stat(2) data, with links followed. This module must never read a
//! file's content.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::config::sources::ConfigSources;

/// Time without a further change before a changed file is loaded. The writer is probably done by then,
/// and a second edit cannot have the same timestamp as the first.
pub const SETTLED: Duration = Duration::from_secs(1);

/// Time without a change before an invalid file is reported. A busy disk was seen to delay the write
/// after a truncation for 2 s.
const HALF_WRITTEN: Duration = Duration::from_secs(3);

/// One of the files of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    Response,
    Schema,
    /// Loaded independently of the other two, because nothing in them refers to it and writing it
    /// can take minutes.
    GeoDb,
}

impl File {
    /// All files, in the order in which they are loaded and reported.
    const ALL: [File; 3] = [File::Response, File::Schema, File::GeoDb];

    /// The flag that sets the file's path.
    pub fn flag(self) -> &'static str {
        match self {
            File::Response => "--upgrade-response-config",
            File::Schema => "--request-schema",
            File::GeoDb => "--geodb",
        }
    }

    /// The file's path; `None` where the flag is not set.
    pub fn path(self, sources: &ConfigSources) -> Option<&PathBuf> {
        match self {
            File::Response => Some(&sources.response),
            File::Schema => sources.schema.as_ref(),
            File::GeoDb => sources.geodb.as_ref(),
        }
    }
}

/// The stat(2) data of a snapshot's files, in the order of `File::ALL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints([Fingerprint; 3]);

/// Device, inode, size, mtime and ctime; `None` where there is no file.
pub(super) type Fingerprint = Option<(u64, u64, u64, [i64; 4])>;

impl Fingerprints {
    /// Calls stat(2) for each file.
    pub fn of(sources: &ConfigSources) -> Fingerprints {
        Fingerprints(File::ALL.map(|file| file.path(sources).and_then(|path| fingerprint(path))))
    }

    pub(super) fn get(&self, file: File) -> Fingerprint {
        self.0[file as usize]
    }

    /// These fingerprints, with the geo database's replaced by the one in `before`.
    pub fn with_geodb_of(mut self, before: &Fingerprints) -> Fingerprints {
        self.0[File::GeoDb as usize] = before.get(File::GeoDb);
        self
    }

    /// The first file whose fingerprint is different in `others`.
    pub fn first_other(&self, others: &Fingerprints) -> Option<File> {
        let mut files = File::ALL.into_iter();
        files.find(|file| self.get(*file) != others.get(*file))
    }

    /// Whether a file was changed so recently that its writer may not be done. Always false while
    /// the file's timestamp lies in the future, as after the machine's clock was set back.
    pub fn may_be_half_written(&self, file: File) -> bool {
        self.age(file).is_some_and(|age| age < HALF_WRITTEN)
    }

    /// Whether the geo database of `before` was overwritten in place within the last second, as by
    /// `rsync --inplace`. Validation cannot detect a partly overwritten file: its end, which holds the
    /// metadata, is still that of the old one.
    pub fn geodb_is_written_over(&self, before: &Fingerprints) -> bool {
        let (now, before) = (self.get(File::GeoDb), before.get(File::GeoDb));
        let inode = |file: Fingerprint| file.map(|(device, inode, ..)| (device, inode));
        now != before
            && inode(now) == inode(before)
            && self.age(File::GeoDb).is_some_and(|age| age < SETTLED)
    }

    /// Whether a file was changed within the last second. File system timestamps can be so coarse that
    /// another change in that time has the same one.
    pub fn changed_lately(&self) -> bool {
        let lately = |file| self.age(file).is_some_and(|age| age < SETTLED);
        File::ALL.into_iter().any(lately)
    }

    fn age(&self, file: File) -> Option<Duration> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (.., [_, _, seconds, nanos]) = self.get(file)?;
        let seconds = u64::try_from(seconds).unwrap_or_default();
        let nanos = u32::try_from(nanos).unwrap_or_default();
        now.checked_sub(Duration::new(seconds, nanos))
    }
}

fn fingerprint(path: &Path) -> Fingerprint {
    let file = std::fs::metadata(path).ok()?;
    let times = [
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    ];
    Some((file.dev(), file.ino(), file.len(), times))
}

/// The files' state at the last load, whether it succeeded or failed, and since then.
#[derive(Debug)]
pub struct Watch {
    /// Fingerprints of the files at the last load; `None` where they must be loaded again.
    judged: Option<Fingerprints>,
    /// Fingerprints at the last look.
    seen: Fingerprints,
    /// Time at which each file was first seen with that fingerprint.
    since: [Instant; 3],
}

/// The result of a look at the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Unchanged,
    /// This file has changed and may still be written to: look again soon.
    Settling(File),
    /// Files have changed, and none may still be written to: load them.
    Changed,
    /// Files have changed, and only the geo database may still be written to: load the others.
    ChangedButGeoDb,
}

impl Watch {
    pub fn new(loaded: Fingerprints) -> Watch {
        Watch {
            seen: loaded.clone(),
            since: [Instant::now(); 3],
            judged: Some(loaded),
        }
    }

    /// Compares the files with their state at the last load and at the last look.
    pub fn look(&mut self, sources: &ConfigSources) -> Look {
        let now = Fingerprints::of(sources);
        for file in File::ALL {
            if now.get(file) != self.seen.get(file) {
                self.since[file as usize] = Instant::now();
            }
        }
        self.seen = now;
        let changed = |file: &File| self.changed(&self.seen, *file);
        let settling = |file: &File| self.since[*file as usize].elapsed() < SETTLED;
        let mut changes = File::ALL.into_iter().filter(changed);
        match changes.clone().find(settling) {
            Some(File::GeoDb) if self.others_changed(&self.seen) => Look::ChangedButGeoDb,
            Some(file) => Look::Settling(file),
            None if changes.next().is_some() => Look::Changed,
            None => Look::Unchanged,
        }
    }

    /// Whether a file other than the geo database has changed since the last load.
    pub fn others_changed(&self, now: &Fingerprints) -> bool {
        [File::Response, File::Schema]
            .into_iter()
            .any(|file| self.changed(now, file))
    }

    fn changed(&self, now: &Fingerprints, file: File) -> bool {
        let judged = self.judged.as_ref();
        judged.is_none_or(|judged| judged.get(file) != now.get(file))
    }

    /// Records the fingerprints with which the files were loaded or refused.
    pub fn judged(&mut self, files: Fingerprints) {
        self.judged = Some(files);
    }

    /// Makes the next look ask for a load even if no file changes, because the last load may have
    /// failed for a passing reason or read an unfinished file.
    pub fn not_judged(&mut self) {
        self.judged = None;
    }
}
