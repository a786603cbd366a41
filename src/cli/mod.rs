//! The command line: what the user typed becomes what the program needs, in one place.
//!
//! Nothing outside this module reads arguments or environment variables, and nothing in it opens
//! a socket, a spool or a response config.

mod flags;
mod lowargs;

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::duration::{QueryPeriod, parse_go_duration};
use crate::http::client_addr::TrustedProxies;
use crate::store::influx::InfluxUrl;
use lowargs::LowArgs;

pub use flags::help;

/// What the user asked for.
#[derive(Debug)]
pub enum Command {
    Help,
    Version,
    Start(Box<StartOptions>),
}

/// Everything `start` needs to know, checked for form but not for the state of the machine.
#[derive(Debug)]
pub struct StartOptions {
    pub debug: bool,
    pub files: ConfigFiles,
    pub query_period: QueryPeriod,
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
    pub spool_dir: PathBuf,
    /// Bytes the waiting records may take on disk.
    pub spool_max_size: u64,
    /// The original's Scarf flags were given; nothing is sent.
    pub scarf_given: bool,
}

/// The files that make up a snapshot.
#[derive(Clone, Debug)]
pub struct ConfigFiles {
    pub response: PathBuf,
    pub schema: Option<PathBuf>,
    pub geodb: Option<PathBuf>,
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

/// How to reach InfluxDB.
#[derive(Debug)]
pub struct InfluxOptions {
    pub url: InfluxUrl,
    pub user: Option<String>,
    pub password: Password,
    pub ca_file: Option<PathBuf>,
    pub insecure_tls: bool,
}

/// Where the InfluxDB password is to be had. Has no `Display`, and its `Debug` hides the text.
pub enum Password {
    None,
    Text(String),
    File(PathBuf),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::None => f.write_str("None"),
            Password::Text(_) => f.write_str("Text(…)"),
            Password::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// The user's mistake; the program ends with exit status 2.
#[derive(Debug, PartialEq, Eq)]
pub enum UsageError {
    NoCommand,
    UnknownCommand(String),
    UnknownFlag(String),
    Stray(String),
    NoValue(String),
    Missing(&'static str, &'static str),
    BadValue {
        source: String,
        found: String,
        expected: String,
    },
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::NoCommand => {
                f.write_str("no command given, expected 'start' (see upgrade-responder --help)")
            }
            UsageError::UnknownCommand(found) => write!(
                f,
                "unknown command {found:?}, expected 'start' (see upgrade-responder --help)"
            ),
            UsageError::UnknownFlag(found) => {
                write!(f, "unknown flag {found:?} (see upgrade-responder --help)")
            }
            UsageError::Stray(found) => {
                write!(
                    f,
                    "unexpected argument {found:?} (see upgrade-responder --help)"
                )
            }
            UsageError::NoValue(flag) => write!(f, "{flag} needs a value"),
            UsageError::Missing(flag, env) => {
                write!(f, "{flag} is required; give the flag or set {env}")
            }
            UsageError::BadValue {
                source,
                found,
                expected,
            } => {
                write!(f, "{source}: found {found:?}, expected {expected}")
            }
        }
    }
}

impl std::error::Error for UsageError {}

/// Understands the command line and the environment of this process.
pub fn from_process() -> Result<Command, UsageError> {
    parse(std::env::args_os().skip(1).collect(), &|name| {
        std::env::var_os(name)
    })
}

/// Understands `args` (without the program's name); `env` looks up environment variables.
pub fn parse(
    args: Vec<OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, UsageError> {
    let low = LowArgs::parse(args, env)?;
    match low.command.as_deref() {
        _ if low.help => Ok(Command::Help),
        _ if low.version => Ok(Command::Version),
        Some("help") => Ok(Command::Help),
        Some("start") => Ok(Command::Start(Box::new(start_options(&low, env)?))),
        Some(other) => Err(UsageError::UnknownCommand(other.to_owned())),
        None => Err(UsageError::NoCommand),
    }
}

fn start_options(
    low: &LowArgs,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<StartOptions, UsageError> {
    let sync_interval = typed(low, "--cache-sync-interval", |text| {
        number(text, 1, 3600, "a number of seconds")
    })?;
    Ok(StartOptions {
        debug: switch(low, "--debug")?,
        files: ConfigFiles {
            response: path(low, "--upgrade-response-config").ok_or(UsageError::Missing(
                "--upgrade-response-config",
                "UPGRADE_RESPONSE_CONFIG",
            ))?,
            schema: path(low, "--request-schema"),
            geodb: path(low, "--geodb"),
        },
        query_period: typed(low, "--query-period", QueryPeriod::parse)?,
        listen: listen(low)?,
        trusted_proxies: match low.get("--trusted-proxies") {
            Some(_) => typed(low, "--trusted-proxies", TrustedProxies::parse)?,
            None => TrustedProxies::default(),
        },
        max_connections: typed(low, "--max-connections", |text| {
            number(text, 1, 100_000, "a number of connections")
        })?,
        client_timeout: typed(low, "--client-timeout", client_timeout)?,
        database: match low.get("--application-name") {
            Some(_) => typed(low, "--application-name", application_name)?,
            None => {
                return Err(UsageError::Missing(
                    "--application-name",
                    "APPLICATION_NAME",
                ));
            }
        },
        influxdb: influxdb(low, env)?,
        sync_interval: Duration::from_secs(sync_interval),
        batch_points: typed(low, "--cache-size", |text| {
            number(text, 1, 100_000, "a number of points")
        })?,
        spool_dir: path(low, "--spool-dir").unwrap_or_else(|| default_spool_dir(env)),
        spool_max_size: typed(low, "--spool-max-size", size)?,
        scarf_given: low.get("--scarf-endpoint").is_some() || low.get("--scarf-timeout").is_some(),
    })
}

/// The value of a flag, or its default, understood by `parse`, whose error says what is expected.
fn typed<T>(
    low: &LowArgs,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, UsageError> {
    let (source, found) = match low.get(name) {
        Some(setting) => (
            setting.source.clone(),
            setting.value.to_string_lossy().into_owned(),
        ),
        None => {
            let default = flags::find(name).map_or("", |flag| flag.default);
            (name.to_owned(), default.to_owned())
        }
    };
    parse(&found).map_err(|expected| UsageError::BadValue {
        source,
        found,
        expected,
    })
}

fn switch(low: &LowArgs, name: &'static str) -> Result<bool, UsageError> {
    match low.get(name) {
        Some(_) => typed(low, name, parse_bool),
        None => Ok(false),
    }
}

fn path(low: &LowArgs, name: &str) -> Option<PathBuf> {
    low.get(name).map(|setting| PathBuf::from(&setting.value))
}

fn text(low: &LowArgs, name: &str) -> Option<String> {
    low.get(name)
        .map(|setting| setting.value.to_string_lossy().into_owned())
}

/// The spellings Go's `strconv.ParseBool` takes, which the original's `DEBUG` is read with.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

fn number<T>(text: &str, least: T, most: T, what: &str) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + fmt::Display + Copy,
{
    let expected = || format!("{what} from {least} to {most}");
    let number = text.parse::<T>().map_err(|_| expected())?;
    if number < least || number > most {
        Err(expected())
    } else {
        Ok(number)
    }
}

fn client_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_go_duration(text)?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(3600);
    if allowed.contains(&timeout) {
        Ok(timeout)
    } else {
        Err("a duration from 1s to 1h, such as 75s".to_owned())
    }
}

fn listen(low: &LowArgs) -> Result<Listen, UsageError> {
    if low.get("--listen").is_some() {
        return typed(low, "--listen", |text| match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Listen::Unix(PathBuf::from(path))),
            Some(_) => Err("an absolute path after 'unix:'".to_owned()),
            None => text.parse().map(Listen::Tcp).map_err(|_| {
                "ADDRESS:PORT, such as 127.0.0.1:8314 or [::]:8314, or unix:/path".to_owned()
            }),
        });
    }
    let port = typed(low, "--port", |text| {
        number(text, 1, u16::MAX, "a port number")
    })?;
    Ok(Listen::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))))
}

/// The name becomes part of a database's and of a directory's name, so it holds what both take.
fn application_name(text: &str) -> Result<Database, String> {
    let usable = !text.is_empty()
        && text.len() <= 100
        && !text.starts_with('.')
        && !text
            .chars()
            .any(|c| c.is_control() || matches!(c, '/' | '\\'));
    if !usable {
        return Err("1 to 100 bytes without slashes, control characters or a leading dot".into());
    }
    Ok(Database {
        application: text.to_owned(),
    })
}

fn size(text: &str) -> Result<u64, String> {
    let expected = || "a size of at least 64KiB, such as 500MiB or 1GiB".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(expected)?;
    if bytes < 64 * 1024 {
        Err(expected())
    } else {
        Ok(bytes)
    }
}

fn influxdb(
    low: &LowArgs,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<InfluxOptions>, UsageError> {
    if low.get("--influxdb-url").is_none() {
        return Ok(None);
    }
    // The value is not repeated in the message: a password may stand in it.
    let url = typed(low, "--influxdb-url", InfluxUrl::parse).map_err(hide_found)?;
    Ok(Some(InfluxOptions {
        url,
        user: text(low, "--influxdb-user"),
        password: password(low, env),
        ca_file: path(low, "--influxdb-ca-file"),
        insecure_tls: switch(low, "--influxdb-insecure-tls")?,
    }))
}

fn hide_found(error: UsageError) -> UsageError {
    match error {
        UsageError::BadValue {
            source, expected, ..
        } => UsageError::BadValue {
            source,
            found: "…".to_owned(),
            expected,
        },
        other => other,
    }
}

/// The password itself before a file with it, what the operator named before what systemd offers.
fn password(low: &LowArgs, env: &dyn Fn(&str) -> Option<OsString>) -> Password {
    if let Some(text) = text(low, "--influxdb-pass") {
        return Password::Text(text);
    }
    if let Some(path) = path(low, "--influxdb-pass-file") {
        return Password::File(path);
    }
    let credential =
        env("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join("influxdb-pass"));
    match credential.filter(|path| path.exists()) {
        Some(path) => Password::File(path),
        None => Password::None,
    }
}

/// `$STATE_DIRECTORY` is set by systemd for a unit with `StateDirectory=`.
fn default_spool_dir(env: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    match env("STATE_DIRECTORY").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir).join("spool"),
        None => PathBuf::from("./upgrade-responder-spool"),
    }
}
