//! Turns the command line and the environment into one text per flag: spelling, precedence and repetition, but no
//! meaning yet. The only user of pico-args.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};

use super::UsageError;
use super::command::Name;
use super::flag::{Flag, Takes};
use super::flags::{FLAGS, find};
use super::settings::Settings;

/// The command line and environment, reduced to a command word and the flags' values.
#[derive(Debug)]
pub struct LowArgs {
    /// The first word that is not a flag.
    pub command: Option<String>,
    /// The file of `import-totals`, the name of `new-application`, the directories of `report --merge`.
    pub operands: Vec<String>,
    pub help: bool,
    pub version: bool,
    settings: Vec<Setting>,
    has_settings_file: bool,
}

/// The value of one flag and where it was found.
#[derive(Clone, Debug)]
pub struct Setting {
    pub flag: &'static Flag,
    pub source: Source,
    /// `--port` or `PORT`, as an error message names it.
    pub named: String,
    pub value: OsString,
}

/// Where a value was found; a later one wins over an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    SettingsFile,
    Environment,
    CommandLine,
}

impl LowArgs {
    /// Reads the arguments (without the program's name), then the environment for the flags that
    /// are absent. An empty variable counts as unset; the last repetition of a flag wins.
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
        let named = command.as_deref().and_then(Name::find);
        let most = named.map_or(0, Name::operands);
        let operands = words.by_ref().take(most);
        let operands = operands.map(|word| word.to_string_lossy().into_owned());
        let operands = operands.collect();
        // `help start` does the same as `help`.
        if let Some(word) = words.next().filter(|_| command.as_deref() != Some("help")) {
            return Err(UsageError::Stray(word.to_string_lossy().into_owned()));
        }
        Ok(LowArgs {
            command,
            operands,
            help,
            version,
            settings,
            has_settings_file: false,
        })
    }

    /// Refuses flags of other commands.
    pub fn refuse_flags_of_others(&self, command: Name) -> Result<(), UsageError> {
        let flags = self.settings.iter().map(|setting| setting.flag);
        match flags.into_iter().find(|flag| !flag.commands.takes(command)) {
            Some(flag) => Err(UsageError::WrongCommand(flag.name, flag.commands)),
            None => Ok(()),
        }
    }

    /// Adds the settings of the file that neither the command line nor the environment has.
    pub fn add(&mut self, settings: &Settings) {
        self.has_settings_file = true;
        for flag in FLAGS.iter().filter(|flag| !flag.env.is_empty()) {
            if let (None, Some(value)) = (self.get(flag.name), settings.get(flag.env)) {
                self.settings.push(Setting {
                    flag,
                    source: Source::SettingsFile,
                    named: format!("{} in {}", flag.env, settings.path.display()),
                    value,
                });
            }
        }
    }

    /// The value of a flag's variable, if the flag has another value.
    pub fn overridden(
        &self,
        flag: &str,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Option<OsString> {
        let given = self.get(flag)?;
        variable(given.flag.env).filter(|value| !value.is_empty() && *value != given.value)
    }

    /// Whether a settings file was read.
    pub fn has_settings_file(&self) -> bool {
        self.has_settings_file
    }

    /// The setting of a flag, if it was given.
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
        source: Source::CommandLine,
        named: name.to_owned(),
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
        source: Source::Environment,
        named: flag.env.to_owned(),
        value,
    })
}

/// Rewrites every known flag to the spelling that pico-args is used with, `--name` and the value as an argument of
/// its own (`true` for a switch): from `-name`, `--name=value`, `-name=value`, `-d` and `--debug=false`.
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
                // pico-args would take it for that flag.
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

/// The argument after a flag. If that is a flag itself, the value was forgotten.
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
