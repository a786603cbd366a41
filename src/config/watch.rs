//! Noticing that the operator changed a file: edited in place, renamed over, or behind a symbolic
//! link that was swapped.
//!
//! Files are told apart by what stat(2) says of them, links followed, so nothing is read while
//! nothing changes.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::cli::options::ConfigSources;

/// A change is taken once the files have stayed as they are for this long: whoever writes them is
/// done by then, and a second edit cannot hide in the same tick of the file system's clock.
pub const SETTLED: Duration = Duration::from_secs(1);

/// A file that makes no sense is called wrong once it has stayed so for this long. Writers do pause:
/// a busy disk has held up the write behind a truncation for 2 s.
const HALF_WRITTEN: Duration = Duration::from_secs(3);

/// What the files of a snapshot looked like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    response: Fingerprint,
    schema: Fingerprint,
    pub(super) geodb: Fingerprint,
}

/// Device, inode, size, and times of change of content and inode; `None` for no file.
pub(super) type Fingerprint = Option<(u64, u64, u64, [i64; 4])>;

impl Fingerprints {
    /// Looks at the files as they are now.
    pub fn of(sources: &ConfigSources) -> Fingerprints {
        Fingerprints {
            response: fingerprint(&sources.response),
            schema: sources.schema.as_deref().and_then(fingerprint),
            geodb: sources.geodb.as_deref().and_then(fingerprint),
        }
    }

    /// Whether a file was changed so lately that whoever changed it may not be done. Goes by the
    /// machine's clock; after it was set back, by nothing for a while.
    pub fn may_be_half_written(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let files = [self.response, self.schema, self.geodb];
        files.iter().flatten().any(|(.., [_, _, seconds, nanos])| {
            let seconds = u64::try_from(*seconds).unwrap_or_default();
            let nanos = u32::try_from(*nanos).unwrap_or_default();
            now.checked_sub(Duration::new(seconds, nanos))
                .is_some_and(|age| age < HALF_WRITTEN)
        })
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
    /// Seen since then, and when first.
    settling: Option<(Fingerprints, Instant)>,
}

/// What a look at the files came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Unchanged,
    /// Changed, but perhaps not for the last time: look again soon.
    Settling,
    /// Changed and settled: load them.
    Changed,
}

impl Watch {
    pub fn new(judged: Fingerprints) -> Watch {
        Watch {
            judged: Some(judged),
            settling: None,
        }
    }

    /// Compares the files with what they looked like.
    pub fn look(&mut self, sources: &ConfigSources) -> Look {
        let now = Fingerprints::of(sources);
        if self.judged.as_ref() == Some(&now) {
            self.settling = None;
            return Look::Unchanged;
        }
        match &self.settling {
            Some((seen, since)) if *seen == now => {
                if since.elapsed() >= SETTLED {
                    Look::Changed
                } else {
                    Look::Settling
                }
            }
            _ => {
                self.settling = Some((now, Instant::now()));
                Look::Settling
            }
        }
    }

    /// The files were loaded or refused as they looked then.
    pub fn judged(&mut self, files: Fingerprints) {
        self.judged = Some(files);
        self.settling = None;
    }

    /// The files could not be read: they are to be loaded even if they stay as they are.
    pub fn not_judged(&mut self) {
        self.judged = None;
    }
}
