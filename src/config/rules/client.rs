//! A client as the rules see it: what it sent, before the request schema filters it, and where it is.
//!
//! It is made for one check-in and forgotten with it. The address in it is read by the roll-out alone.

use std::cell::RefCell;
use std::net::IpAddr;

use jiff::Timestamp;
use semver::Version;

use super::Needs;
use super::constraint::Constraint;
use super::said::{Said, version};
use super::wanted::Wanted;

/// The systems and architectures that Rancher Desktop's `platform` is made of.
pub const SYSTEMS: [&str; 3] = ["darwin", "linux", "win32"];
pub const ARCHITECTURES: [&str; 2] = ["arm64", "x64"];

/// What a check-in says, by the client's own keys.
pub trait Told {
    fn app_version(&self) -> &str;

    /// The value of a tag, or else of a field, of exactly this key; the last one where it is repeated.
    fn extra(&self, key: &str) -> Option<Said<'_>>;
}

/// One client at one moment.
pub struct Client<'a> {
    told: &'a dyn Told,
    /// By the slot of a key: several rules ask for the same one.
    heard: RefCell<Vec<Heard<'a>>>,
    pub app_version: Option<Version>,
    pub platform: Option<Platform<'a>>,
    /// The ISO code, where it is known.
    pub country: Option<&'a str>,
    pub address: Option<IpAddr>,
    pub now: Timestamp,
}

/// What Rancher Desktop says of the machine: `platform` (`darwin-x64`) and `platformVersion`, both usable.
#[derive(Clone, Debug)]
pub struct Platform<'a> {
    pub system: &'a str,
    pub architecture: &'a str,
    pub version: Version,
}

impl<'a> Client<'a> {
    /// Reads of the client what the rules need.
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

    /// Whether what the client says to a key is one of the values that are wanted.
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

/// What a client says to one key, and the same as a version, as far as somebody asked.
#[derive(Clone, Default)]
struct Heard<'a> {
    said: Option<Option<Said<'a>>>,
    version: Option<Option<Version>>,
}

/// Where a client is, as far as the rules ask for it.
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
