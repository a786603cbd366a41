//! Release day: new files are taken as a whole, or not at all, while requests go on.
//!
//! Architecture invariant: whatever the files hold, the snapshot in use is valid.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::cli::options::ConfigSources;
use crate::config::watch::{Fingerprints, Look, SETTLED, Watch};
use crate::config::{LoadError, Snapshot, changes};
use crate::http::routes::App;
use crate::service::metrics::Metrics;
use crate::store::cardinality::Listed;

/// Problems in one line of the log; check-config shows all.
const MOST_PROBLEMS: usize = 10;

/// Keeps the snapshot of a running server up to date.
#[derive(Debug)]
pub struct Reload {
    sources: ConfigSources,
    /// How often to look; `None` for on request only.
    interval: Option<Duration>,
    /// When to look next.
    next_look: Option<Instant>,
    watch: Watch,
    /// What was said of files that were refused, and what they looked like.
    refused: Option<(Fingerprints, String)>,
    app: Arc<App>,
    listed: Arc<ArcSwap<Listed>>,
    metrics: Arc<Metrics>,
}

/// Why the files are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Signal,
    Change,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Signal => "SIGHUP",
            Why::Change => "files changed",
        })
    }
}

impl Reload {
    /// `loaded` is what the files looked like when the snapshot in use was loaded.
    pub fn new(
        sources: ConfigSources,
        interval: Option<Duration>,
        loaded: Fingerprints,
        app: Arc<App>,
        listed: Arc<ArcSwap<Listed>>,
        metrics: Arc<Metrics>,
    ) -> Reload {
        Reload {
            sources,
            interval,
            next_look: interval.map(|interval| Instant::now() + interval),
            watch: Watch::new(loaded),
            refused: None,
            app,
            listed,
            metrics,
        }
    }

    /// When to [`look`](Reload::look) next; `None` for never.
    pub fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// Loads the files if they have changed and settled.
    pub fn look(&mut self) {
        self.next_look = self.interval.map(|interval| Instant::now() + interval);
        match self.watch.look(&self.sources) {
            Look::Unchanged => {}
            Look::Settling => self.look_again_soon(),
            Look::Changed => self.load(Why::Change),
        }
    }

    /// Even where files are looked at on request only: whoever asked wants what they will be.
    fn look_again_soon(&mut self) {
        self.next_look = Some(Instant::now() + SETTLED);
    }

    /// Loads the files because the operator asks for it: now, unless they are half written.
    pub fn asked(&mut self) {
        self.load(Why::Signal);
    }

    fn load(&mut self, why: Why) {
        let files = Fingerprints::of(&self.sources);
        let current = self.app.snapshot.load_full();
        let loaded = Snapshot::load(&self.sources, &files, Some(&current));
        // Read while somebody writes: half of a file, or files that do not belong together.
        let moving = Fingerprints::of(&self.sources) != files;
        if moving || (loaded.is_err() && files.may_be_half_written()) {
            return self.look_again_soon();
        }
        match loaded {
            Ok(snapshot) => {
                self.watch.judged(files);
                self.take(snapshot, &current, why);
            }
            Err(error) => self.refuse(&error, files, why),
        }
    }

    fn take(&mut self, snapshot: Snapshot, current: &Snapshot, why: Why) {
        let counts = &self.metrics.config;
        let changes = match changes::describe(current, &snapshot).as_slice() {
            [] => "nothing changed".to_owned(),
            changes => changes.join("; "),
        };
        let listed = Listed::of(&snapshot.response, snapshot.schema.as_ref());
        self.listed.store(Arc::new(listed));
        self.app.snapshot.store(Arc::new(snapshot));
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
        counts.outdated.store(true, Ordering::Relaxed);
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
