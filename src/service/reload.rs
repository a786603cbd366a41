//! Reloads the configuration files while requests are served. They are loaded together, or not at all.
//!
//! Architecture invariant: whatever the files contain, the snapshot in use is valid.
//!
//! A file that is still being written must not be loaded or logged as an error: it may be half of a response config, or
//! a config beside the schema of another release.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::serving::Serving;
use super::settings;
use crate::config::listed::listed;
use crate::config::sources::ConfigSources;
use crate::config::watch::{File, Fingerprints, Look, SETTLED, Watch};
use crate::config::{LoadError, Snapshot, changes};
use crate::http::routes::App;
use crate::http::served::Served;
use crate::metrics::Metrics;
use crate::spool::cardinality::Listed;

/// The most problems in one log line; check-config shows all.
const MOST_PROBLEMS: usize = 10;

/// A file that keeps changing for this long is logged, once. Writing a response config takes less, but
/// fetching a geo database over a slow line may take longer.
const LONG: Duration = Duration::from_secs(10);

/// Keeps the snapshot of a running server up to date.
#[derive(Debug)]
pub struct Reload {
    sources: ConfigSources,
    /// How often to check the files; `None`: only on SIGHUP.
    interval: Option<Duration>,
    /// When to check the files next.
    next_look: Option<Instant>,
    watch: Watch,
    /// The fingerprints of the refused files, and the logged error.
    refused: Option<(Fingerprints, String)>,
    /// Since when a file has been changing, and whether that was logged.
    changing: Option<(Instant, bool)>,
    /// Whether the files were loaded so soon after a change that they must be loaded once more.
    once_more: bool,
    /// The names in `--public-page`.
    public: Vec<String>,
    app: Arc<App>,
    listed: Arc<ArcSwap<Listed>>,
    metrics: Arc<Metrics>,
}

/// Why the files are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Signal,
    Change,
    /// To be sure; logged only if something differs.
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

/// Whether the geo database is loaded with the other files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GeoDb {
    Taken,
    /// The one in use stays for now.
    Kept,
}

impl Reload {
    /// `loaded` has the fingerprints of the files from which the snapshot in use was loaded. `once_more` is true
    /// if the files had changed just before.
    pub(super) fn new(
        sources: ConfigSources,
        interval: Option<Duration>,
        public: Vec<String>,
        loaded: Fingerprints,
        once_more: bool,
        serving: &Serving,
    ) -> Reload {
        let mut reload = Reload {
            sources,
            interval,
            next_look: interval.map(|interval| Instant::now() + interval),
            watch: Watch::new(loaded),
            refused: None,
            changing: None,
            once_more: false,
            public,
            app: Arc::clone(&serving.app),
            listed: Arc::clone(&serving.listed),
            metrics: Arc::clone(&serving.metrics),
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

    /// Loads the files on SIGHUP: immediately, unless they are half written. The result is always logged.
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
        // A file was written during the load, so it may be half a file, or not belong to the others.
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

    /// A file that changed just before the load may change again and keep its time stamp, if the file system's
    /// clock is coarse. A load one second later finds that change.
    fn load_once_more(&mut self) {
        self.once_more = true;
        self.watch.not_judged();
        self.next_look = Some(Instant::now() + SETTLED);
    }

    /// The geo database is still being written: loads the other files without it if they have changed.
    fn geodb_not_yet(&mut self, files: &Fingerprints, why: Why) {
        if self.watch.others_changed(files) {
            self.load(why, GeoDb::Kept);
        } else {
            self.not_yet(File::GeoDb, why);
        }
    }

    /// A file is still being written. It is checked again soon, even if files are otherwise loaded only on SIGHUP:
    /// the operator wants the finished file.
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
                "{flag} {path} has been changing for {} s; the loaded one stays in use until the file has not \
                 changed for a second; find what writes it; to replace it, rename a finished file over it",
                LONG.as_secs()
            );
        } else if why == Why::Signal {
            log::info!(
                "not loaded yet ({why}): {flag} {path} is still being written; checking again every \
                 second"
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
        settings::warn_of_names_without_effect(&snapshot, Some(current), &self.public);
        self.metrics.rules.show(&snapshot.rule_counters);
        self.app.served.store(Arc::new(Served::new(snapshot)));
        counts.reloaded.add(1);
        counts.loaded_now();
        match self.refused.take() {
            Some(_) => log::info!("configuration is valid again, loaded ({why}): {changes}"),
            None => log::info!("configuration reloaded ({why}): {changes}"),
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
                "configuration not loaded ({why}), the previous one stays in use: {}",
                refused.1
            );
            self.refused = Some(refused);
        } else if why == Why::Signal {
            log::info!(
                "configuration not loaded ({why}): the files have not changed since they were refused"
            );
        }
    }
}

fn one_line(error: &LoadError) -> String {
    let mut lines: Vec<String> = error.lines().collect();
    if lines.len() > MOST_PROBLEMS {
        let more = lines.len() - MOST_PROBLEMS;
        lines.truncate(MOST_PROBLEMS);
        lines.push(format!("and {more} more (see check-config)"));
    }
    lines.join("; ")
}
