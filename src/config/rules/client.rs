//! A client as the rules see it: what it sent, before the request schema filters it, and where it is.
//!
//! It is made for one check-in and forgotten with it. The address in it is read by the roll-out alone.

use std::net::IpAddr;

use jiff::Timestamp;
use semver::Version;

use super::Needs;
use super::comparator;
use crate::units::version::parse_version;

/// The systems and architectures that Rancher Desktop's `platform` is made of.
pub const SYSTEMS: [&str; 3] = ["darwin", "linux", "win32"];
pub const ARCHITECTURES: [&str; 2] = ["arm64", "x64"];

/// What a check-in says, by the client's own keys.
pub trait Told {
    fn app_version(&self) -> &str;

    /// The value of a tag, or else of a field, of exactly this key; the last one where it is repeated.
    fn extra(&self, key: &str) -> Option<Said<'_>>;
}

/// One value that a client sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said<'a> {
    Text(&'a str),
    Number(f64),
    Boolean(bool),
}

/// One client at one moment.
pub struct Client<'a> {
    told: &'a dyn Told,
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

/// Reads a version as Masterminds/semver v3 does: a pre-release number with a leading zero is none.
pub fn version(text: &str) -> Option<Version> {
    // Release numbers are most, and cost nothing more.
    let version = parse_version(text)?;
    let sound = version.pre.is_empty() || comparator::is_sound_pre(text);
    sound.then_some(version)
}

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Said::Text(text) => write!(f, "{text:?}"),
            Said::Number(number) => number.fmt(f),
            Said::Boolean(value) => value.fmt(f),
        }
    }
}
