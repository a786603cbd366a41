//! The options of `start` and `take-over`, filled by the command line. Their syntax has been checked, but not whether
//! the files and addresses exist.

use std::path::PathBuf;
use std::time::Duration;

use super::influx_options::InfluxOptions;
use crate::config::sources::ConfigSources;
use crate::http::client_addr::TrustedProxies;
use crate::http::pages::PublicOptions;
use crate::http::socket::Listen;
use crate::spool::cardinality::Limits;

/// The options of `start`.
#[derive(Debug)]
pub struct StartOptions {
    pub debug: bool,
    pub sources: ConfigSources,
    /// How often the files are checked for changes; `None`: only on SIGHUP.
    pub reload_interval: Option<Duration>,
    pub listen: Listen,
    pub trusted_proxies: TrustedProxies,
    /// Connections served at once, 1 to 100,000.
    pub max_connections: usize,
    /// How long a client may be silent, reading or writing; 1 s to 1 h.
    pub client_timeout: Duration,
    pub database: Database,
    pub influxdb: Option<InfluxOptions>,
    /// How often records are sent, 1 s to 1 h.
    pub sync_interval: Duration,
    /// The most points in one request, 1 to 100,000.
    pub batch_points: usize,
    /// It has a directory for each application.
    pub state_dir: PathBuf,
    /// How long the ledger keeps each period; at least a day.
    pub keep_periods: Duration,
    /// The most bytes of waiting records on disk.
    pub spool_max_size: u64,
    pub limits: Limits,
    /// Where to serve metrics, if anywhere.
    pub metrics_listen: Option<Listen>,
    /// The contents of the public page, if there is one.
    pub public: Option<PublicOptions>,
    /// The most values of a label on `/metrics/installations`.
    pub max_metric_values: usize,
    /// Whether the original's Scarf flags were given; they have no effect.
    pub scarf_given: bool,
    /// The flags of InfluxDB that were given without `--influxdb-url`; they have no effect.
    pub idle_influxdb: Vec<&'static str>,
}

impl StartOptions {
    /// The names in `--public-page`.
    pub fn public_dimensions(&self) -> &[String] {
        let public = self.public.as_ref();
        public.map_or(&[], |public| &public.dimensions)
    }

    /// A warning if flags of InfluxDB were given without its URL.
    pub fn without_url(&self) -> Option<String> {
        (!self.idle_influxdb.is_empty()).then(|| {
            format!(
                "no effect without --influxdb-url: {}; give --influxdb-url, or remove them",
                self.idle_influxdb.join(", ")
            )
        })
    }
}

/// The options of `take-over`.
#[derive(Debug)]
pub struct TakeOverOptions {
    pub database: Database,
    pub influxdb: InfluxOptions,
    pub down_sample_tags: Vec<String>,
    /// Print what would be done, and do nothing.
    pub dry_run: bool,
}

/// The application's name and the InfluxDB database that is named after it.
#[derive(Clone, Debug)]
pub struct Database {
    pub application: String,
}

impl Database {
    /// The database's name, by the original's rule.
    pub fn name(&self) -> String {
        format!("{}_upgrade_responder", self.application)
    }
}
