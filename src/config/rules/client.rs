//! A client as the rules see it: the values that it sent, before the request schema filters them, and its location.
//!
//! A `Client` exists for one check-in and must never be stored. Only the roll-out reads its address.

use std::cell::RefCell;
use std::net::IpAddr;

use jiff::Timestamp;
use semver::Version;

use super::Needs;
use super::constraint::Constraint;
use super::said::{Said, version};
use super::wanted::Wanted;

/// Systems: the first part of Rancher Desktop's tag `platform`.
pub const SYSTEMS: [&str; 3] = ["darwin", "linux", "win32"];
/// Architectures: the second part of `platform`.
pub const ARCHITECTURES: [&str; 2] = ["arm64", "x64"];

/// The values of a check-in, by the client's own keys.
pub trait Told {
    fn app_version(&self) -> &str;

    /// The value of the tag, or else the field, with exactly this key; the last one of a repeated key.
    fn extra(&self, key: &str) -> Option<Said<'_>>;
}

/// One client at one moment.
pub struct Client<'a> {
    told: &'a dyn Told,
    /// Values by the slot of their key, so that each is looked up and parsed once for all rules.
    heard: RefCell<Vec<Heard<'a>>>,
    pub app_version: Option<Version>,
    pub platform: Option<Platform<'a>>,
    /// The ISO code of the country, if it is known.
    pub country: Option<&'a str>,
    pub address: Option<IpAddr>,
    pub now: Timestamp,
}

/// Rancher Desktop's tags `platform` (`darwin-x64`) and `platformVersion`, both valid.
#[derive(Clone, Debug)]
pub struct Platform<'a> {
    pub system: &'a str,
    pub architecture: &'a str,
    pub version: Version,
}

impl<'a> Client<'a> {
    /// Reads the parts of the check-in that the rules need.
    pub fn new(told: &'a dyn Told, needs: Needs, place: Place<'a>, now: Timestamp) -> Client<'a> {
        Client {
            told,
            heard: RefCell::new(vec![Heard::default(); needs.keys]),
            app_version: version(told.app_version()),
            platform: needs.platform.then(|| platform(told)).flatten(),
            country: place.country,
            address: place.address,
            now,
        }
    }

    pub fn told(&self) -> &'a dyn Told {
        self.told
    }

    /// Whether the client's value of a key meets one of the wanted values.
    pub fn says(&self, key: &str, slot: usize, wanted: &[Wanted]) -> bool {
        let mut heard = self.heard.borrow_mut();
        let Some(heard) = heard.get_mut(slot) else {
            return false;
        };
        let Some(said) = *heard.said.get_or_insert_with(|| self.told.extra(key)) else {
            return false;
        };
        let read = &mut heard.version;
        let mut meets = |constraint: &Constraint, text: &str| {
            let version = read.get_or_insert_with(|| version(text)).as_ref();
            version.is_some_and(|version| constraint.is_met_by(version))
        };
        wanted
            .iter()
            .any(|wanted| wanted.accepts_by(said, &mut meets))
    }
}

/// A client's value of one key; the outer `None` means that no rule has needed it yet.
#[derive(Clone, Default)]
struct Heard<'a> {
    said: Option<Option<Said<'a>>>,
    /// The same value, parsed as a version.
    version: Option<Option<Version>>,
}

/// A client's country and address, as far as the rules need them.
#[derive(Clone, Copy, Default)]
pub struct Place<'a> {
    pub country: Option<&'a str>,
    pub address: Option<IpAddr>,
}

fn platform(told: &dyn Told) -> Option<Platform<'_>> {
    let Some(Said::Text(text)) = told.extra("platform") else {
        return None;
    };
    let (system, architecture) = text.split_once('-')?;
    let Some(Said::Text(platform_version)) = told.extra("platformVersion") else {
        return None;
    };
    let known = SYSTEMS.contains(&system) && ARCHITECTURES.contains(&architecture);
    known.then_some(Platform {
        system,
        architecture,
        version: version(platform_version)?,
    })
}
