//! Parses the values of flags. Each error says what is expected.

use std::fmt;
use std::time::Duration;

use crate::config::PLACES;
use crate::http::socket::Listen;
use crate::line::encode::RESERVED_KEYS;
use crate::service::options::Database;
use crate::totals::asked;
use crate::units::duration::{parse_go_duration, parse_span};

/// Accepts the same spellings as Go's `strconv.ParseBool`, with which the original reads `DEBUG`.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

/// Whether the write protocol is v2.
pub fn is_v2(text: &str) -> Result<bool, String> {
    match text {
        "v1" => Ok(false),
        "v2" => Ok(true),
        _ => Err("v1 (InfluxDB 1.x, VictoriaMetrics) or v2 (InfluxDB 2.x, 3.x)".to_owned()),
    }
}

pub fn number<T>(text: &str, least: T, most: T, what: &str) -> Result<T, String>
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

/// Names of dimensions in the ledger, separated by commas.
pub fn dimensions(text: &str) -> Result<Vec<String>, String> {
    let names = text.split(',').map(str::trim);
    names
        .map(|name| {
            asked::by(name).map_err(|expected| format!("names separated by commas: {expected}"))
        })
        .collect()
}

pub fn client_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_go_duration(text)?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(3600);
    if allowed.contains(&timeout) {
        Ok(timeout)
    } else {
        Err("a duration from 1s to 1h, such as 75s".to_owned())
    }
}

/// The name becomes part of a database's and of a directory's name, so it must be valid in both.
pub fn application_name(text: &str) -> Result<Database, String> {
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

/// The name of an application that is also the name of a unit's instance and of a file.
pub fn instance_name(text: &str) -> Result<String, String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    // The packaged settings file has that name.
    if !begins || text.len() > 64 || !text.chars().all(sound) || text == "upgrade-responder" {
        let expected = "1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit, and not \
                        upgrade-responder itself";
        return Err(expected.to_owned());
    }
    Ok(text.to_owned())
}

pub fn size(text: &str) -> Result<u64, String> {
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

pub fn listen(text: &str) -> Result<Listen, String> {
    match text.strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => Ok(Listen::Unix(path.into())),
        Some(_) => Err("an absolute path after 'unix:'".to_owned()),
        None => text.parse().map(Listen::Tcp).map_err(|_| {
            "ADDRESS:PORT, such as 127.0.0.1:8314 or [::]:8314, or unix:/path".to_owned()
        }),
    }
}

pub fn keep_periods(text: &str) -> Result<Duration, String> {
    let span = parse_span(text)?;
    if span < Duration::from_secs(86_400) {
        return Err("a span of at least 1d, such as 92d or 2208h".to_owned());
    }
    Ok(span)
}

/// `None` for `0`: only on SIGHUP.
pub fn reload_interval(text: &str) -> Result<Option<Duration>, String> {
    let interval = parse_go_duration(text)?;
    if interval.is_zero() {
        return Ok(None);
    }
    let allowed = Duration::from_secs(1)..=Duration::from_secs(86_400);
    if allowed.contains(&interval) {
        Ok(Some(interval))
    } else {
        Err("a duration from 1s to 24h, such as 5s, or 0 for never".to_owned())
    }
}

/// Whether records are sent to InfluxDB, not only totals.
pub fn influxdb_send(text: &str) -> Result<bool, String> {
    match text {
        "all" => Ok(true),
        "totals" => Ok(false),
        _ => Err("all or totals".to_owned()),
    }
}

/// Tags in snake case, separated by commas; each once.
pub fn tags(text: &str) -> Result<Vec<String>, String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if tag.len() > 64 || !tag.bytes().all(sound) {
            return Err("tags in snake case, such as kubernetes_version,host_arch".to_owned());
        }
        // `country_code` is in the name of the totals by country_isocode.
        let taken = RESERVED_KEYS.contains(&tag) || tag == "country_code";
        if taken && !PLACES.contains(&tag) {
            return Err(format!(
                "extra tags, city or country; {tag:?} is a reserved name and gets no totals \
                 by this flag"
            ));
        }
        if !tags.iter().any(|other| other == tag) {
            tags.push(tag.to_owned());
        }
    }
    Ok(tags)
}
