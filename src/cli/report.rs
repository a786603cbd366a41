//! What `report` needs to know, from the flags' texts.

use super::lowargs::{LowArgs, Source};
use super::options::{Env, source, state_dir, switch, typed};
use super::usage::UsageError;
use super::values;
use crate::service::report::{Format, ReportOptions, Span};
use crate::totals::report::Every;
use crate::units::date::parse_moment;
use crate::units::duration::parse_span;

const DAY: u64 = 86_400;

pub(super) fn options(low: &LowArgs, env: Env<'_>) -> Result<ReportOptions, UsageError> {
    let (state_dir, from) = state_dir(low, env);
    Ok(ReportOptions {
        application: application(low, from)?,
        state_dir,
        by: typed(low, "--by", by)?,
        span: span(low)?,
        every: typed(low, "--every", every)?,
        format: typed(low, "--format", format)?,
        left_out: switch(low, "--left-out")?,
        colour: may_colour(env),
    })
}

/// The name in the settings file belongs to the state directory there: with another one, its only application
/// is meant.
pub(super) fn application(
    low: &LowArgs,
    state: Option<Source>,
) -> Result<Option<String>, UsageError> {
    let named = source(low, "--application-name");
    if named.is_none() || (named == Some(Source::SettingsFile) && state > named) {
        return Ok(None);
    }
    let database = typed(low, "--application-name", values::application_name)?;
    Ok(Some(database.application))
}

/// As the ledger writes names. Which of them there are, only the ledger knows.
fn by(text: &str) -> Result<String, String> {
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if text.is_empty() || !text.bytes().all(sound) {
        let expected = "all, app_version, country, city, or a tag or field in snake case, such as \
                        kubernetes_version";
        return Err(expected.to_owned());
    }
    Ok(text.to_owned())
}

fn span(low: &LowArgs) -> Result<Span, UsageError> {
    let to = match low.get("--to") {
        Some(_) => Some(typed(low, "--to", moment)?),
        None => None,
    };
    if low.get("--from").is_none() {
        let last = typed(low, "--last", last)?;
        return Ok(Span::Last { seconds: last, to });
    }
    if low.get("--last").is_some() {
        return Err(UsageError::Both("--from", "--last"));
    }
    let from = typed(low, "--from", |text| match (moment(text)?, to) {
        (from, Some(to)) if from >= to => Err("a time before --to".to_owned()),
        (from, _) => Ok(from),
    })?;
    Ok(Span::From { from, to })
}

fn moment(text: &str) -> Result<i64, String> {
    parse_moment(text).ok_or_else(|| {
        "an RFC 3339 date with time, such as 2024-05-31T12:00:00Z, or a date".to_owned()
    })
}

/// In seconds.
fn last(text: &str) -> Result<i64, String> {
    let seconds = parse_span(text)?.as_secs();
    match i64::try_from(seconds) {
        Ok(seconds) if seconds >= 60 => Ok(seconds),
        _ => Err("a span of at least 1m, such as 30d, 12h or 90m".to_owned()),
    }
}

fn every(text: &str) -> Result<Every, String> {
    if text == "period" {
        return Ok(Every::Period);
    }
    let expected = || "period, or whole days, such as 1d or 7d".to_owned();
    let seconds = parse_span(text).map_err(|_| expected())?.as_secs();
    match u32::try_from(seconds / DAY) {
        Ok(days) if days > 0 && seconds % DAY == 0 => Ok(Every::Days(days)),
        _ => Err(expected()),
    }
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "csv" => Ok(Format::Csv),
        "json" => Ok(Format::Json),
        _ => Err("text, csv or json".to_owned()),
    }
}

/// As <https://no-color.org> has it.
fn may_colour(env: Env<'_>) -> bool {
    let unset = |name| env(name).is_none_or(|value| value.is_empty());
    unset("NO_COLOR") && env("TERM").is_none_or(|terminal| terminal != "dumb")
}
