//! Noticing that the operator changed a file: edited in place, renamed over, or behind a symbolic
//! link that was swapped.
//!
//! Files are told apart by what stat(2) says of them, links followed, so nothing is read while
//! nothing changes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::config::sources::ConfigSources;

/// A change is taken once the files have stayed as they are for this long: whoever writes them is
/// done by then, and a second edit cannot hide in the same tick of the file system's clock.
pub const SETTLED: Duration = Duration::from_secs(1);

/// A file that makes no sense is called wrong once it has stayed so for this long. Writers do pause:
/// a busy disk has held up the write behind a truncation for 2 s.
const HALF_WRITTEN: Duration = Duration::from_secs(3);

/// One of the files of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    Response,
    Schema,
    /// Stands by itself: nothing in the other two refers to it, and it alone is so large that writing it
    /// takes minutes.
    GeoDb,
}

impl File {
    /// In the order in which they are loaded and told of.
    const ALL: [File; 3] = [File::Response, File::Schema, File::GeoDb];

    /// The flag that names it.
    pub fn flag(self) -> &'static str {
        match self {
            File::Response => "--upgrade-response-config",
            File::Schema => "--request-schema",
            File::GeoDb => "--geodb",
        }
    }

    /// `None` where the operator gave none.
    pub fn path(self, sources: &ConfigSources) -> Option<&PathBuf> {
        match self {
            File::Response => Some(&sources.response),
            File::Schema => sources.schema.as_ref(),
            File::GeoDb => sources.geodb.as_ref(),
        }
    }
}

/// What the files of a snapshot looked like, in the order of `File::ALL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints([Fingerprint; 3]);

/// Device, inode, size, and times of change of content and inode; `None` for no file.
pub(super) type Fingerprint = Option<(u64, u64, u64, [i64; 4])>;

impl Fingerprints {
    /// Looks at the files as they are now.
    pub fn of(sources: &ConfigSources) -> Fingerprints {
        Fingerprints(File::ALL.map(|file| file.path(sources).and_then(|path| fingerprint(path))))
    }

    pub(super) fn get(&self, file: File) -> Fingerprint {
        self.0[file as usize]
    }

    /// The same, but for the geo database, which is to stay that of `before`.
    pub fn with_geodb_of(mut self, before: &Fingerprints) -> Fingerprints {
        self.0[File::GeoDb as usize] = before.get(File::GeoDb);
        self
    }

    /// The first file that looks different in `others`.
    pub fn first_other(&self, others: &Fingerprints) -> Option<File> {
        let mut files = File::ALL.into_iter();
        files.find(|file| self.get(*file) != others.get(*file))
    }

    /// Whether a file was changed so lately that whoever changed it may not be done. Goes by the
    /// machine's clock; after it was set back, by nothing for a while.
    pub fn may_be_half_written(&self, file: File) -> bool {
        self.age(file).is_some_and(|age| age < HALF_WRITTEN)
    }

    /// Whether the geo database of `before` was written over in place a moment ago, as `rsync --inplace`
    /// does. Half of it makes sense: what says that it is whole is at its end, and that is the old one's.
    pub fn geodb_is_written_over(&self, before: &Fingerprints) -> bool {
        let (now, before) = (self.get(File::GeoDb), before.get(File::GeoDb));
        let inode = |file: Fingerprint| file.map(|(device, inode, ..)| (device, inode));
        now != before
            && inode(now) == inode(before)
            && self.age(File::GeoDb).is_some_and(|age| age < SETTLED)
    }

    /// Whether a file was changed within the last second. A file system's clock may tick so slowly that
    /// another change looks the same.
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

/// Remembers what the files looked like when they were last judged, be it good or bad.
#[derive(Debug)]
pub struct Watch {
    /// `None` where no judgement was possible.
    judged: Option<Fingerprints>,
    /// What each file looked like last, and when it was first seen so.
    seen: Fingerprints,
    since: [Instant; 3],
}

/// What a look at the files came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Unchanged,
    /// This one has changed, but perhaps not for the last time: look again soon.
    Settling(File),
    /// Changed and settled: load them.
    Changed,
    /// The same, except that the geo database goes on changing: load the others.
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

    /// Compares the files with what they looked like.
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

    /// Whether a file other than the geo database looks different from when it was judged.
    pub fn others_changed(&self, now: &Fingerprints) -> bool {
        [File::Response, File::Schema]
            .into_iter()
            .any(|file| self.changed(now, file))
    }

    fn changed(&self, now: &Fingerprints, file: File) -> bool {
        let judged = self.judged.as_ref();
        judged.is_none_or(|judged| judged.get(file) != now.get(file))
    }

    /// The files were loaded or refused as they looked then.
    pub fn judged(&mut self, files: Fingerprints) {
        self.judged = Some(files);
    }

    /// The files could not be read, or may look different the next time: they are to be loaded even if they stay as they are.
    pub fn not_judged(&mut self) {
        self.judged = None;
    }
}
