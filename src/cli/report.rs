//! Parses the options of `report` from the flags' texts.

use std::path::PathBuf;

use super::lowargs::{LowArgs, Source};
use super::typed::{Env, source, state_dir, switch, typed};
use super::usage::UsageError;
use super::values;
use crate::service::report::{Format, ReportOptions};
use crate::totals::asked::{self, Span, moment};

pub(super) fn options(low: &LowArgs, env: Env<'_>) -> Result<ReportOptions, UsageError> {
    let (state_dir, from) = state_dir(low, env);
    let merge = switch(low, "--merge")?;
    if let (false, Some(word)) = (merge, low.operands.first()) {
        return Err(UsageError::Stray(word.clone()));
    }
    if merge && low.operands.is_empty() {
        return Err(UsageError::NoDirectories);
    }
    Ok(ReportOptions {
        application: application(low, from)?,
        state_dir,
        by: typed(low, "--by", asked::by)?,
        span: span(low)?,
        every: typed(low, "--every", asked::every)?,
        format: typed(low, "--format", format)?,
        merge: low.operands.iter().map(PathBuf::from).collect(),
        left_out: switch(low, "--left-out")?,
        colour: may_colour(env),
    })
}

/// The application's name; `None` means the only application of the state directory. A name from the settings file
/// applies only to the state directory of that file, so it is ignored with another one.
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

fn span(low: &LowArgs) -> Result<Span, UsageError> {
    let to = match low.get("--to") {
        Some(_) => Some(typed(low, "--to", moment)?),
        None => None,
    };
    if low.get("--from").is_none() {
        let last = typed(low, "--last", asked::last)?;
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

fn format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "csv" => Ok(Format::Csv),
        "json" => Ok(Format::Json),
        _ => Err("text, csv or json".to_owned()),
    }
}

/// Whether colours are allowed, following <https://no-color.org>.
fn may_colour(env: Env<'_>) -> bool {
    let unset = |name| env(name).is_none_or(|value| value.is_empty());
    unset("NO_COLOR") && env("TERM").is_none_or(|terminal| terminal != "dumb")
}
