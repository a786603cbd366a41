//! From what the user typed to one text per flag: spelling, precedence and repetition, but no
//! meaning yet. The only place that sees pico-args.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};

use super::UsageError;
use super::flags::{FLAGS, Flag, For, Takes, find};

/// The command line and environment, reduced to a command word and the flags' values.
#[derive(Debug)]
pub struct LowArgs {
    /// The first word that is no flag.
    pub command: Option<String>,
    pub help: bool,
    pub version: bool,
    settings: Vec<Setting>,
}

/// The value of one flag and where it was found.
#[derive(Clone, Debug)]
pub struct Setting {
    pub flag: &'static Flag,
    /// `--port` or `PORT`, as an error message names it.
    pub source: String,
    pub value: OsString,
}

impl LowArgs {
    /// Reads the arguments (without the program's name), then the environment for the flags that
    /// are absent. An empty variable is an unset one; the last repetition of a flag wins.
    pub fn parse(
        args: Vec<OsString>,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<LowArgs, UsageError> {
        let mut parsed = pico_args::Arguments::from_vec(rewrite(args)?);
        let mut settings = Vec::new();
        for flag in FLAGS {
            settings.extend(from_args(&mut parsed, flag)?.or_else(|| from_env(env, flag)));
        }
        let help = parsed.contains("--help");
        let version = parsed.contains("--version");
        let mut words = parsed.finish().into_iter();
        let command = words.next().map(|word| word.to_string_lossy().into_owned());
        if let Some(word) = command.as_deref().filter(|word| word.starts_with('-')) {
            return Err(UsageError::UnknownFlag(word.to_owned()));
        }
        // `help start` is as good as `help`.
        if let Some(word) = words.next().filter(|_| command.as_deref() != Some("help")) {
            return Err(UsageError::Stray(word.to_string_lossy().into_owned()));
        }
        Ok(LowArgs {
            command,
            help,
            version,
            settings,
        })
    }

    /// Refuses the flags that only another command takes.
    pub fn refuse_flags_of_others(&self, command: For) -> Result<(), UsageError> {
        let wrong = |s: &&Setting| s.flag.command != For::All && s.flag.command != command;
        match self.settings.iter().find(wrong) {
            Some(setting) => {
                let (name, owner) = (setting.flag.name, setting.flag.command.name());
                Err(UsageError::WrongCommand(name.to_owned(), owner))
            }
            None => Ok(()),
        }
    }

    /// The setting of a flag, if it was given by argument or environment.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.settings
            .iter()
            .find(|setting| setting.flag.name == name)
    }
}

fn from_args(
    args: &mut pico_args::Arguments,
    flag: &'static Flag,
) -> Result<Option<Setting>, UsageError> {
    let name = flag.name;
    let found = args
        .values_from_os_str(name, |value: &OsStr| Ok::<_, Infallible>(value.to_owned()))
        .map_err(|_| UsageError::NoValue(name.to_owned()))?
        .pop();
    Ok(found.map(|value| Setting {
        flag,
        source: name.to_owned(),
        value,
    }))
}

fn from_env(env: &dyn Fn(&str) -> Option<OsString>, flag: &'static Flag) -> Option<Setting> {
    if flag.env.is_empty() {
        return None;
    }
    let value = env(flag.env).filter(|value| !value.is_empty())?;
    Some(Setting {
        flag,
        source: flag.env.to_owned(),
        value,
    })
}

/// Brings every known flag into the one spelling pico-args is asked for, `--name` and the value as
/// an argument of its own (`true` for a switch): from `-name`, `--name=value`, `-name=value`, `-d`
/// and `--debug=false`.
/// Values are not touched, which is why pico-args' own `=` support, which strips quotes, is off.
fn rewrite(args: Vec<OsString>) -> Result<Vec<OsString>, UsageError> {
    let mut rewritten = Vec::with_capacity(args.len());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some((name, inline)) = split_flag(&arg) else {
            rewritten.push(arg);
            continue;
        };
        match name {
            "help" | "h" => rewritten.push("--help".into()),
            "version" | "v" => rewritten.push("--version".into()),
            _ => {
                let Some(flag) = find(&format!("--{}", if name == "d" { "debug" } else { name }))
                else {
                    // Without its value, which may be a secret behind a misspelt name.
                    return Err(UsageError::UnknownFlag(format!("--{name}")));
                };
                let value = match (flag.takes, inline) {
                    (_, Some(inline)) => inline,
                    (Takes::Switch, None) => "true".into(),
                    (Takes::Value(_), None) => next_value(flag, args.next())?,
                };
                // Left as it is it would be taken for that flag.
                if value.to_str().is_some_and(|text| find(text).is_some()) {
                    return Err(UsageError::FlagAsValue(flag.name.to_owned()));
                }
                rewritten.push(flag.name.into());
                rewritten.push(value);
            }
        }
    }
    Ok(rewritten)
}

/// The argument behind a flag, which is no flag itself: rather the value was forgotten.
fn next_value(flag: &Flag, next: Option<OsString>) -> Result<OsString, UsageError> {
    let is_flag = |value: &OsString| value.to_str().is_some_and(|text| find(text).is_some());
    next.filter(|value| !is_flag(value))
        .ok_or_else(|| UsageError::NoValue(flag.name.to_owned()))
}

/// Splits `--name=value`, `--name`, `-name` into name and inline value; `None` for a plain word.
fn split_flag(arg: &OsStr) -> Option<(&str, Option<OsString>)> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = arg.as_bytes();
    let name_at = match bytes {
        [b'-', b'-', _, ..] => 2,
        [b'-', next, ..] if next.is_ascii_alphabetic() => 1,
        _ => return None,
    };
    let end = bytes
        .iter()
        .position(|&byte| byte == b'=')
        .unwrap_or(bytes.len());
    let name = std::str::from_utf8(bytes.get(name_at..end)?).ok()?;
    let inline = bytes
        .get(end + 1..)
        .map(|value| OsStr::from_bytes(value).to_owned());
    Some((name, inline))
}
