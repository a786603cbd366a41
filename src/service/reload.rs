//! Release day: new files are taken as a whole, or not at all, while requests go on.
//!
//! Architecture invariant: whatever the files hold, the snapshot in use is valid.
//!
//! Without the care for files that are still being written: half of a response config, or a config beside the schema of
//! another release, is taken or told as an error.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::settings;
use crate::config::listed::listed;
use crate::config::sources::ConfigSources;
use crate::config::watch::{File, Fingerprints, Look, SETTLED, Watch};
use crate::config::{LoadError, Snapshot, changes};
use crate::http::routes::App;
use crate::http::served::Served;
use crate::metrics::Metrics;
use crate::spool::cardinality::Listed;

/// Problems in one line of the log; check-config shows all.
const MOST_PROBLEMS: usize = 10;

/// A file that goes on changing for this long is told of, once. Nobody writes a response config for so
/// long, but a geo database over a slow line.
const LONG: Duration = Duration::from_secs(10);

/// Keeps the snapshot of a running server up to date.
#[derive(Debug)]
pub struct Reload {
    sources: ConfigSources,
    /// How often to look; `None` for on request only.
    interval: Option<Duration>,
    /// When to look next.
    next_look: Option<Instant>,
    watch: Watch,
    /// The logged error of refused files, and their fingerprints.
    refused: Option<(Fingerprints, String)>,
    /// Since when a file has been changing, and whether that was told.
    changing: Option<(Instant, bool)>,
    /// The files were loaded so soon after a change that they are to be loaded again.
    once_more: bool,
    app: Arc<App>,
    listed: Arc<ArcSwap<Listed>>,
    metrics: Arc<Metrics>,
}

/// Why the files are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Signal,
    Change,
    /// To be sure: only a difference is worth a word.
    OnceMore,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Signal => "SIGHUP",
            Why::Change | Why::OnceMore => "files changed",
        })
    }
}

/// Whether the geo database is loaded with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GeoDb {
    Taken,
    /// The one in use stays for now.
    Kept,
}

impl Reload {
    /// `loaded` is what the files looked like when the snapshot in use was loaded; `once_more` says that
    /// they had been changed just before.
    pub fn new(
        sources: ConfigSources,
        interval: Option<Duration>,
        loaded: Fingerprints,
        once_more: bool,
        app: Arc<App>,
        listed: Arc<ArcSwap<Listed>>,
        metrics: Arc<Metrics>,
    ) -> Reload {
        let mut reload = Reload {
            sources,
            interval,
            next_look: interval.map(|interval| Instant::now() + interval),
            watch: Watch::new(loaded),
            refused: None,
            changing: None,
            once_more: false,
            app,
            listed,
            metrics,
        };
        if once_more {
            reload.load_once_more();
        }
        reload
    }

    /// When to [`look`](Reload::look) next; `None` for never.
    pub fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// Loads the files if they have changed and settled.
    pub fn look(&mut self) {
        self.next_look = self.interval.map(|interval| Instant::now() + interval);
        match self.watch.look(&self.sources) {
            Look::Unchanged => self.changing = None,
            Look::Settling(file) => self.not_yet(file, Why::Change),
            Look::Changed if self.once_more => self.load(Why::OnceMore, GeoDb::Taken),
            Look::Changed => self.load(Why::Change, GeoDb::Taken),
            Look::ChangedButGeoDb => self.load(Why::Change, GeoDb::Kept),
        }
        self.tell_whether_outdated();
    }

    /// Loads the files because the operator asks for it: now, unless they are half written. What comes
    /// of it is always told.
    pub fn asked(&mut self) {
        self.load(Why::Signal, GeoDb::Taken);
        self.tell_whether_outdated();
    }

    fn load(&mut self, why: Why, geodb: GeoDb) {
        let current = self.app.served.load_full();
        let current = &current.snapshot;
        let look = || match geodb {
            GeoDb::Taken => Fingerprints::of(&self.sources),
            GeoDb::Kept => Fingerprints::of(&self.sources).with_geodb_of(&current.files),
        };
        let files = look();
        if files.geodb_is_written_over(&current.files) {
            return self.geodb_not_yet(&files, why);
        }
        let loaded = Snapshot::load(&self.sources, &files, Some(current));
        // Read while somebody writes: half of a file, or files that do not belong together.
        let half = |error: &LoadError| error.files().find(|file| files.may_be_half_written(*file));
        let moving = look().first_other(&files);
        if let Some(file) = moving.or_else(|| loaded.as_ref().err().and_then(half)) {
            return match file {
                File::GeoDb => self.geodb_not_yet(&files, why),
                File::Response | File::Schema => self.not_yet(file, why),
            };
        }
        self.once_more = false;
        match loaded {
            Ok(snapshot) => {
                if files.changed_lately() {
                    self.load_once_more();
                } else {
                    self.watch.judged(files);
                }
                self.take(snapshot, current, why);
            }
            Err(error) => self.refuse(&error, files, why),
        }
        match geodb {
            GeoDb::Taken => self.changing = None,
            GeoDb::Kept => self.not_yet(File::GeoDb, why),
        }
    }

    /// What was changed just before it was loaded may be changed again without looking different, where
    /// the file system's clock ticks slowly. A second later that is over.
    fn load_once_more(&mut self) {
        self.once_more = true;
        self.watch.not_judged();
        self.next_look = Some(Instant::now() + SETTLED);
    }

    /// A release does not wait for a database that is being fetched.
    fn geodb_not_yet(&mut self, files: &Fingerprints, why: Why) {
        if self.watch.others_changed(files) {
            self.load(why, GeoDb::Kept);
        } else {
            self.not_yet(File::GeoDb, why);
        }
    }

    /// A file is still being written. It is looked at again soon, even where that is done on request
    /// only: whoever asked wants what it will be.
    fn not_yet(&mut self, file: File, why: Why) {
        self.next_look = Some(Instant::now() + SETTLED);
        let (since, told) = self.changing.get_or_insert((Instant::now(), false));
        let late = !*told && since.elapsed() >= LONG;
        *told |= late;
        let flag = file.flag();
        let path = file.path(&self.sources).map(|path| path.display());
        let path = path.map(|path| path.to_string()).unwrap_or_default();
        if late {
            log::warn!(
                "{flag} {path} has been changing for {} s; the one in use stays until it is left alone \
                 for a second; see what writes it, and rather rename a finished file over it",
                LONG.as_secs()
            );
        } else if why == Why::Signal {
            log::info!(
                "not taken yet ({why}): {flag} {path} is still being written; it is looked at again \
                 every second"
            );
        }
    }

    fn tell_whether_outdated(&self) {
        let outdated = self.refused.is_some() || matches!(self.changing, Some((_, true)));
        let config = &self.metrics.config;
        config.outdated.store(outdated, Ordering::Relaxed);
    }

    fn take(&mut self, snapshot: Snapshot, current: &Snapshot, why: Why) {
        let counts = &self.metrics.config;
        let changes = changes::describe(current, &snapshot);
        if why == Why::OnceMore && changes.is_empty() && self.refused.is_none() {
            return;
        }
        let changes = match changes.as_slice() {
            [] => "nothing changed".to_owned(),
            changes => changes.join("; "),
        };
        let listed = listed(
            &snapshot.response,
            snapshot.schema.as_ref(),
            &self.sources.down_sample_tags,
        );
        self.listed.store(Arc::new(listed));
        settings::warn_of_keys_without_effect(&snapshot, Some(current));
        self.metrics.rules.show(&snapshot.rule_counters);
        self.app.served.store(Arc::new(Served::new(snapshot)));
        counts.reloaded.add(1);
        counts.loaded_now();
        match self.refused.take() {
            Some(_) => log::info!("configuration is valid again, loaded ({why}): {changes}"),
            None => log::info!("configuration loaded again ({why}): {changes}"),
        }
    }

    fn refuse(&mut self, error: &LoadError, files: Fingerprints, why: Why) {
        let counts = &self.metrics.config;
        counts.refused.add(1);
        if error.may_pass() {
            self.watch.not_judged();
        } else {
            self.watch.judged(files.clone());
        }
        let refused = (files, one_line(error));
        if self.refused.as_ref() != Some(&refused) {
            log::error!(
                "configuration not taken ({why}), the one in use stays: {}",
                refused.1
            );
            self.refused = Some(refused);
        } else if why == Why::Signal {
            log::info!("configuration not taken ({why}): the files are as they were when refused");
        }
    }
}

fn one_line(error: &LoadError) -> String {
    let mut lines: Vec<String> = error.lines().collect();
    if lines.len() > MOST_PROBLEMS {
        let more = lines.len() - MOST_PROBLEMS;
        lines.truncate(MOST_PROBLEMS);
        lines.push(format!("and {more} more, which check-config shows"));
    }
    lines.join("; ")
}
