//! What a rule asks of a client: criteria, all of which must hold.
//!
//! `AppVersion`, `Platform`, `Arch` and `PlatformVersion` are those of Rancher Desktop's fork, `country` is the
//! client's place, and any other key is a tag or field as the client sends it. A rule that names one of the
//! platform's three asks for a client that says `platform` and `platformVersion`, as the fork does.

use std::fmt;

use super::client::Client;
use super::said::Said;
use super::wanted::Wanted;

/// What a criterion looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    AppVersion,
    /// The first part of `platform`.
    Platform,
    /// The second part of `platform`.
    Arch,
    PlatformVersion,
    Country,
    /// A tag or field by the client's own key.
    Extra(String),
}

impl Key {
    /// Keys of the fork in any case, others exactly.
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

/// One criterion: it holds where one of the wanted values does.
#[derive(Clone, Debug)]
pub struct Criterion {
    pub key: Key,
    /// Of a tag or field: the same number for all criteria with its key.
    pub slot: usize,
    /// At least one.
    pub wanted: Vec<Wanted>,
    /// What is wanted, as the operator wrote it.
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
                    // The kernel's version says nothing of a distribution, so the fork does not look at it.
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

    /// What the client says to it, in words.
    pub fn found(&self, client: &Client<'_>) -> String {
        let said = |key: &str| match client.told().extra(key) {
            Some(said) => said.to_string(),
            None => "nothing".to_owned(),
        };
        match &self.key {
            Key::Country => match client.country {
                Some(country) => format!("{country:?}"),
                None => "no known country".to_owned(),
            },
            Key::Extra(key) => said(key),
            Key::AppVersion => {
                let version = client.told().app_version();
                match client.app_version {
                    Some(_) => format!("{version:?}"),
                    None => format!("{version:?}, which is no version"),
                }
            }
            key => match (&client.platform, key) {
                (Some(platform), Key::Platform) => format!("{:?}", platform.system),
                (Some(platform), Key::Arch) => format!("{:?}", platform.architecture),
                (Some(platform), _) if platform.system == "linux" => {
                    format!(
                        "{}, which is not looked at on linux",
                        said("platformVersion")
                    )
                }
                (Some(_), _) => said("platformVersion"),
                (None, _) => format!(
                    "platform {} and platformVersion {}, which are not both usable",
                    said("platform"),
                    said("platformVersion")
                ),
            },
        }
    }
}

/// But for the slot, which depends on other rules.
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
