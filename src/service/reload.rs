//! Release day: new files are taken as a whole, or not at all, while requests go on.
//!
//! Architecture invariant: whatever the files hold, the snapshot in use is valid.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::cli::options::ConfigSources;
use crate::config::watch::{Fingerprints, Look, Watch};
use crate::config::{Snapshot, changes};
use crate::http::routes::App;
use crate::service::metrics::Metrics;
use crate::store::cardinality::Listed;

/// How soon files that changed are looked at again.
const SETTLE: Duration = Duration::from_secs(1);

/// Keeps the snapshot of a running server up to date.
#[derive(Debug)]
pub struct Reload {
    sources: ConfigSources,
    /// How often to look; `None` for on request only.
    interval: Option<Duration>,
    watch: Watch,
    settling: bool,
    app: Arc<App>,
    listed: Arc<ArcSwap<Listed>>,
    metrics: Arc<Metrics>,
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
            watch: Watch::new(loaded),
            settling: false,
            app,
            listed,
            metrics,
        }
    }

    /// How long to wait before the next [`look`](Reload::look); `None` for ever.
    pub fn next_look(&self) -> Option<Duration> {
        let interval = self.interval?;
        Some(if self.settling {
            interval.min(SETTLE)
        } else {
            interval
        })
    }

    /// Loads the files if they have changed and settled.
    pub fn look(&mut self) {
        let look = self.watch.look(&self.sources);
        self.settling = look == Look::Settling;
        if look == Look::Changed {
            self.load("files changed");
        }
    }

    /// Loads the files now.
    pub fn load(&mut self, why: &str) {
        let files = Fingerprints::of(&self.sources);
        let current = self.app.snapshot.load_full();
        let counts = &self.metrics.config;
        match Snapshot::load(&self.sources, &files, Some(&current)) {
            Ok(snapshot) => {
                match changes::describe(&current, &snapshot).as_slice() {
                    [] => log::info!("configuration loaded again ({why}): nothing changed"),
                    changes => {
                        log::info!("configuration loaded again ({why}): {}", changes.join("; "));
                    }
                }
                let listed = Listed::of(&snapshot.response, snapshot.schema.as_ref());
                self.listed.store(Arc::new(listed));
                self.app.snapshot.store(Arc::new(snapshot));
                counts.reloaded.add(1);
                counts.loaded_now();
            }
            Err(error) => {
                log::error!(
                    "configuration not taken ({why}), the one in use stays: {}",
                    error.to_string().replace('\n', "; ")
                );
                counts.refused.add(1);
                counts.outdated.store(true, Ordering::Relaxed);
            }
        }
        // Not said again before the files change again.
        self.watch.judged(files);
    }
}
