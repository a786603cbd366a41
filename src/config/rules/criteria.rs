//! The criteria of a rule, all of which must hold for a client. A criterion must never depend on the address itself.
//!
//! `AppVersion`, `Platform`, `Arch` and `PlatformVersion` are those of Rancher Desktop's fork. `country` is the
//! client's country, and any other key is a tag or field as the client sends it. As in the fork, a rule with
//! `Platform`, `Arch` or `PlatformVersion` needs a client that sends both `platform` and `platformVersion`.

use std::fmt;

use super::client::Client;
use super::said::Said;
use super::wanted::Wanted;

/// The part of a check-in that a criterion tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    AppVersion,
    /// The first part of `platform`.
    Platform,
    /// The second part of `platform`.
    Arch,
    PlatformVersion,
    Country,
    /// A tag or field, by the client's own key.
    Extra(String),
}

impl Key {
    /// Reads a key: built-in names match in any case, and any other text is the exact key of a tag or field.
    pub fn of(text: &str) -> Key {
        let known = [
            ("AppVersion", Key::AppVersion),
            ("Platform", Key::Platform),
            ("Arch", Key::Arch),
            ("PlatformVersion", Key::PlatformVersion),
            ("country", Key::Country),
        ];
        let found = known
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map_or_else(|| Key::Extra(text.to_owned()), |(_, key)| key)
    }

    pub fn is_platform(&self) -> bool {
        matches!(self, Key::Platform | Key::Arch | Key::PlatformVersion)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Key::AppVersion => "AppVersion",
            Key::Platform => "Platform",
            Key::Arch => "Arch",
            Key::PlatformVersion => "PlatformVersion",
            Key::Country => "country",
            Key::Extra(key) => key,
        })
    }
}

/// One criterion. It holds where the client's value meets one of the wanted values.
#[derive(Clone, Debug)]
pub struct Criterion {
    pub key: Key,
    /// Number of the tag's or field's key, the same for all criteria with this key; unused for other keys.
    pub slot: usize,
    /// The wanted values, at least one.
    pub wanted: Vec<Wanted>,
    /// The wanted values as the operator wrote them.
    pub text: String,
}

impl Criterion {
    pub fn holds(&self, client: &Client<'_>) -> bool {
        match &self.key {
            Key::Country => self.any(client.country.map(Said::Text)),
            Key::Extra(key) => client.says(key, self.slot, &self.wanted),
            Key::AppVersion => {
                let version = client.app_version.as_ref();
                version.is_some_and(|version| self.wanted.iter().any(|w| w.is_met_by(version)))
            }
            key => {
                let Some(platform) = &client.platform else {
                    return false;
                };
                match key {
                    Key::Platform => self.any(Some(Said::Text(platform.system))),
                    Key::Arch => self.any(Some(Said::Text(platform.architecture))),
                    // As in the fork: on linux this is the kernel's version, which does not tell the distribution.
                    _ if platform.system == "linux" => true,
                    _ => self
                        .wanted
                        .iter()
                        .any(|wanted| wanted.is_any() || wanted.is_met_by(&platform.version)),
                }
            }
        }
    }

    fn any(&self, said: Option<Said<'_>>) -> bool {
        said.is_some_and(|said| self.wanted.iter().any(|wanted| wanted.accepts(said)))
    }

    /// The client's value for this criterion, in words.
    pub fn found(&self, client: &Client<'_>) -> String {
        let said = |key: &str| match client.told().extra(key) {
            Some(said) => said.to_string(),
            None => "nothing".to_owned(),
        };
        match &self.key {
            Key::Country => match client.country {
                Some(country) => format!("{country:?}"),
                None => "an unknown country".to_owned(),
            },
            Key::Extra(key) => said(key),
            Key::AppVersion => {
                let version = client.told().app_version();
                match client.app_version {
                    Some(_) => format!("{version:?}"),
                    None => format!("{version:?}, which is not a version"),
                }
            }
            key => match (&client.platform, key) {
                (Some(platform), Key::Platform) => format!("{:?}", platform.system),
                (Some(platform), Key::Arch) => format!("{:?}", platform.architecture),
                (Some(platform), _) if platform.system == "linux" => {
                    format!("{}, which is ignored on linux", said("platformVersion"))
                }
                (Some(_), _) => said("platformVersion"),
                (None, _) => format!(
                    "platform {} and platformVersion {}, at least one of which is not usable",
                    said("platform"),
                    said("platformVersion")
                ),
            },
        }
    }
}

/// Compares all fields except `slot`, which depends on the other rules.
impl PartialEq for Criterion {
    fn eq(&self, other: &Criterion) -> bool {
        self.key == other.key && self.wanted == other.wanted && self.text == other.text
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.text)
    }
}
