//! From the flags' texts to what each command needs to know.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::flags;
use super::influxdb::influxdb;
use super::lowargs::{LowArgs, Source};
use super::sources::sources;
use super::usage::UsageError;
use super::values;
use crate::http::client_addr::TrustedProxies;
use crate::http::public::PublicOptions;
use crate::spool::cardinality::Limits;
use crate::units::duration::QueryPeriod;

pub use super::influxdb::{Api, InfluxOptions, Password};

/// Everything `start` needs to know, checked for form but not for the state of the machine.
#[derive(Debug)]
pub struct StartOptions {
    pub debug: bool,
    pub sources: ConfigSources,
    /// How often the files are looked at for changes; `None` for SIGHUP only.
    pub reload_interval: Option<Duration>,
    pub listen: Listen,
    pub trusted_proxies: TrustedProxies,
    /// Connections served at once, 1 to 100,000.
    pub max_connections: usize,
    /// How long a client may be silent, reading or writing; 1 s to 1 h.
    pub client_timeout: Duration,
    /// `<application-name>_upgrade_responder`.
    pub database: Database,
    pub influxdb: Option<InfluxOptions>,
    /// How often records are sent, 1 s to 1 h.
    pub sync_interval: Duration,
    /// Points in one request at most, 1 to 100,000.
    pub batch_points: usize,
    /// A directory for each application.
    pub state_dir: PathBuf,
    /// How long the ledger keeps each period; at least a day.
    pub keep_periods: Duration,
    /// Bytes the waiting records may take on disk.
    pub spool_max_size: u64,
    pub limits: Limits,
    /// Where to serve metrics, if anywhere.
    pub metrics_listen: Option<Listen>,
    /// What the page for strangers shows, if there is one.
    pub public: Option<PublicOptions>,
    /// Values of a label on `/metrics/installations`.
    pub max_metric_values: usize,
    /// The original's Scarf flags were given; nothing is sent.
    pub scarf_given: bool,
}

/// What a snapshot is made from and checked against.
#[derive(Clone, Debug)]
pub struct ConfigSources {
    pub response: PathBuf,
    pub schema: Option<PathBuf>,
    pub geodb: Option<PathBuf>,
    pub query_period: QueryPeriod,
    /// Extra tags that get a down-sampled measurement of their own, in snake case.
    pub down_sample_tags: Vec<String>,
}

/// What `take-over` needs to know.
#[derive(Debug)]
pub struct TakeOverOptions {
    pub database: Database,
    pub influxdb: InfluxOptions,
    pub down_sample_tags: Vec<String>,
    /// Print what would be done, and do nothing.
    pub dry_run: bool,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(addr) => write!(f, "{addr}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
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

/// Where the packaged service has its state (`StateDirectory=` of the unit).
const SERVICE_STATE_DIR: &str = "/var/lib/upgrade-responder";

pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl StartOptions {
    pub(super) fn from(low: &LowArgs, env: Env<'_>) -> Result<StartOptions, UsageError> {
        let sources = sources(low)?;
        let sync_interval = typed(low, "--cache-sync-interval", |text| {
            values::number(text, 1, 3600, "a number of seconds")
        })?;
        Ok(StartOptions {
            debug: switch(low, "--debug")?,
            sources,
            reload_interval: typed(low, "--reload-interval", values::reload_interval)?,
            listen: listen(low)?,
            trusted_proxies: match low.get("--trusted-proxies") {
                Some(_) => typed(low, "--trusted-proxies", TrustedProxies::parse)?,
                None => TrustedProxies::default(),
            },
            max_connections: typed(low, "--max-connections", |text| {
                values::number(text, 1, 100_000, "a number of connections")
            })?,
            client_timeout: typed(low, "--client-timeout", values::client_timeout)?,
            database: database(low)?,
            influxdb: influxdb(low, env)?,
            sync_interval: Duration::from_secs(sync_interval),
            batch_points: typed(low, "--cache-size", |text| {
                values::number(text, 1, 100_000, "a number of points")
            })?,
            state_dir: state_dir(low, env).0,
            keep_periods: typed(low, "--keep-periods", values::keep_periods)?,
            spool_max_size: typed(low, "--spool-max-size", values::size)?,
            limits: Limits {
                tag_values: typed(low, "--max-tag-values", |text| {
                    values::number(text, 1, 1_000_000, "a number of values")
                })?,
                series: typed(low, "--max-series", |text| {
                    values::number(text, 1, 10_000_000, "a number of tag sets")
                })?,
            },
            max_metric_values: typed(low, "--max-metric-values", |text| {
                values::number(text, 1, 10_000, "a number of values")
            })?,
            metrics_listen: match low.get("--metrics-listen") {
                Some(_) => Some(typed(low, "--metrics-listen", values::listen)?),
                None => None,
            },
            public: public(low)?,
            scarf_given: low.get("--scarf-endpoint").is_some()
                || low.get("--scarf-timeout").is_some(),
        })
    }
}

fn public(low: &LowArgs) -> Result<Option<PublicOptions>, UsageError> {
    let at_least = typed(low, "--public-at-least", |text| {
        values::number(text, 1, 1_000_000, "a number of installations")
    })?;
    if low.get("--public-page").is_none() {
        return Ok(None);
    }
    let dimensions = typed(low, "--public-page", values::dimensions)?;
    Ok(Some(PublicOptions {
        dimensions,
        at_least,
    }))
}

impl TakeOverOptions {
    pub(super) fn from(low: &LowArgs, env: Env<'_>) -> Result<TakeOverOptions, UsageError> {
        Ok(TakeOverOptions {
            database: database(low)?,
            influxdb: influxdb(low, env)?
                .ok_or(UsageError::Missing("--influxdb-url", "INFLUXDB_URL"))?,
            down_sample_tags: typed(low, "--down-sample-tags", values::tags)?,
            dry_run: switch(low, "--dry-run")?,
        })
    }
}

/// The value of a flag, or its default, understood by `parse`, whose error says what is expected.
pub(super) fn typed<T>(
    low: &LowArgs,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, UsageError> {
    let (source, found) = match low.get(name) {
        Some(setting) => (
            setting.named.clone(),
            setting.value.to_string_lossy().into_owned(),
        ),
        None => {
            let default = flags::find(name).map_or("", |flag| flag.default);
            (name.to_owned(), default.to_owned())
        }
    };
    parse(&found).map_err(|expected| UsageError::BadValue {
        source,
        found: Some(found),
        expected,
    })
}

/// Whether a flag without a value is on.
pub(super) fn switch(low: &LowArgs, name: &'static str) -> Result<bool, UsageError> {
    match low.get(name) {
        Some(_) => typed(low, name, values::parse_bool),
        None => Ok(false),
    }
}

pub(super) fn path(low: &LowArgs, name: &str) -> Option<PathBuf> {
    low.get(name).map(|setting| PathBuf::from(&setting.value))
}

pub(super) fn text(low: &LowArgs, name: &str) -> Option<String> {
    low.get(name)
        .map(|setting| setting.value.to_string_lossy().into_owned())
}

pub(super) fn database(low: &LowArgs) -> Result<Database, UsageError> {
    match low.get("--application-name") {
        Some(_) => typed(low, "--application-name", values::application_name),
        None => Err(UsageError::Missing(
            "--application-name",
            "APPLICATION_NAME",
        )),
    }
}

/// `--listen` wins over `--port`, unless that one is from a source that wins.
fn listen(low: &LowArgs) -> Result<Listen, UsageError> {
    let port = typed(low, "--port", |text| {
        values::number(text, 1, u16::MAX, "a port number")
    })?;
    match low.get("--listen") {
        Some(_) if source(low, "--listen") >= source(low, "--port") => {
            typed(low, "--listen", values::listen)
        }
        _ => Ok(Listen::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))),
    }
}

/// Where a flag's value is from; `None`, which is less than any source, where it has none.
pub(super) fn source(low: &LowArgs, name: &str) -> Option<Source> {
    low.get(name).map(|setting| setting.source)
}

/// The state directory, and where it is from; `None`: from nobody. `$STATE_DIRECTORY` is set by systemd for a
/// unit with `StateDirectory=`.
pub(super) fn state_dir(low: &LowArgs, env: Env<'_>) -> (PathBuf, Option<Source>) {
    let given = low.get("--state-dir");
    if let Some(setting) = given {
        return (PathBuf::from(&setting.value), Some(setting.source));
    }
    if let Some(dir) = env("STATE_DIRECTORY").filter(|dir| !dir.is_empty()) {
        return (PathBuf::from(dir), Some(Source::Environment));
    }
    if low.has_settings_file() {
        return (PathBuf::from(SERVICE_STATE_DIR), Some(Source::SettingsFile));
    }
    (PathBuf::from("./upgrade-responder-data"), None)
}
