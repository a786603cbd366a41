//! The place of an address, looked up in a MaxMind DB file once per check-in.
//!
//! The only module that sees `maxminddb`. It must never panic, whatever bytes the file holds, and
//! never put an address into an error.

mod walk;

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use maxminddb::Reader;
use serde::Deserialize;

pub use crate::line::Location;

/// Bytes reserved for a database, so that its memory returns to the system when it is freed. glibc maps every
/// allocation from 32 MiB on separately, but smaller ones only until the first of them is freed (mallopt(3),
/// M_MMAP_THRESHOLD): two freed databases of 20 MB stayed in the heap. Unused reserved memory costs nothing.
const OWN_MAPPING: usize = 33 * 1024 * 1024;

/// A city or country database, held in memory.
///
/// The file is read, not mapped: overwriting or truncating a mapped file in place would end the process with SIGBUS.
#[derive(Debug)]
pub struct GeoDb {
    reader: Reader<Vec<u8>>,
    size: usize,
    /// Whether a failed look-up was logged.
    broken: AtomicBool,
}

/// The result of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// The address has a place.
    Found(Location<'a>),
    /// The database does not have the address, as with private networks, or its record has no place, only the
    /// country of registration.
    NotFound,
    /// The address has a record that cannot be decoded: the file is damaged, or its layout is not that of its type.
    Broken,
}

/// The cause for which a file cannot be used as the geo database. The message does not have the path; the caller
/// adds it.
#[derive(Debug)]
pub enum GeoError {
    /// The file does not exist, or cannot be read.
    Unreadable(io::Error),
    /// The file has no bytes.
    Empty,
    /// The bytes are not a whole MaxMind DB: cut off, still packed, or something else. Holds the reader's message.
    NotADatabase(String),
    /// The file has its full length and its description, but is damaged inside. Holds the place and the damage.
    Damaged(String),
    /// A sound database that does not hold places.
    WrongType {
        /// The type in the file, for instance `GeoLite2-ASN`.
        found: String,
    },
}

impl GeoDb {
    /// Reads the database at `path` into memory: about 60 MB for a GeoLite2 city database.
    ///
    /// The whole file is needed, as its description is at its end; so a file that is still being
    /// copied is refused, and one that is damaged inside as well.
    pub fn open(path: &Path) -> Result<GeoDb, GeoError> {
        GeoDb::from_bytes(read(path).map_err(GeoError::Unreadable)?)
    }

    /// Looks `address` up. An IPv6 address that stands for an IPv4 address (`::ffff:192.0.2.1`, or
    /// `64:ff9b::192.0.2.1` from a NAT64) is looked up as IPv4.
    ///
    /// Measured at 1.6 µs, on 300,000 networks with names in eight languages.
    pub fn locate(&self, address: IpAddr) -> Lookup<'_> {
        let address = ipv4_within(address);
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Lookup::NotFound;
        }
        let record = self.reader.lookup(address);
        match record.and_then(|found| found.decode::<Record>()) {
            Ok(Some(record)) => record.location().map_or(Lookup::NotFound, Lookup::Found),
            Ok(None) => Lookup::NotFound,
            Err(_) => {
                self.warn_of_broken();
                Lookup::Broken
            }
        }
    }

    /// Logs a failed look-up, once for each database: otherwise missing locations would go unnoticed.
    fn warn_of_broken(&self) {
        if !self.broken.swap(true, Ordering::Relaxed) {
            log::warn!(
                "geo database {}: a look-up failed, records of such addresses have no location; fetch the \
                 database again, and check the memory and the disk",
                self.describe()
            );
        }
    }

    /// Bytes of the database in memory.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The type in the file, for instance `GeoLite2-City`. It can be any text, so logs have to quote it.
    pub fn database_type(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// The time at which the database was built; `None` if it is after the year 9999.
    pub fn build_time(&self) -> Option<jiff::Timestamp> {
        let seconds = i64::try_from(self.reader.metadata().build_epoch).ok()?;
        jiff::Timestamp::from_second(seconds).ok()
    }

    /// Type and date for messages: `"GeoLite2-City" of 2026-11-17`.
    pub fn describe(&self) -> String {
        match self.build_time() {
            // The first ten characters of an RFC 3339 time are its date.
            Some(built) => format!("{:?} of {:.10}", self.database_type(), built.to_string()),
            None => format!("{:?} of an unknown date", self.database_type()),
        }
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<GeoDb, GeoError> {
        if bytes.is_empty() {
            return Err(GeoError::Empty);
        }
        let size = bytes.len();
        let reader = Reader::from_source(bytes)
            .map_err(|error| GeoError::NotADatabase(error.to_string()))?;
        let database_type = &reader.metadata().database_type;
        if !has_places(database_type) {
            return Err(GeoError::WrongType {
                found: database_type.clone(),
            });
        }
        walk::walk(&reader).map_err(GeoError::Damaged)?;
        Ok(GeoDb {
            reader,
            size,
            broken: AtomicBool::new(false),
        })
    }
}

/// Reads a file into memory that goes back to the system when it is freed.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    // Opening a named pipe would block the start.
    if !metadata.is_file() {
        let kind = io::ErrorKind::InvalidInput;
        return Err(io::Error::new(kind, "not a regular file"));
    }
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(size.max(OWN_MAPPING))
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    fs::File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl fmt::Display for GeoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GeoError::Unreadable(error) => write!(
                f,
                "cannot be read: {error}; expected a MaxMind DB file (.mmdb) that this user may read"
            ),
            GeoError::Empty => write!(
                f,
                "the file is empty; expected a MaxMind DB file (.mmdb), fetch it again"
            ),
            GeoError::NotADatabase(reason) => write!(
                f,
                "not a whole MaxMind DB file ({reason}); expected an unpacked .mmdb file, fetch it \
                 again if the download was cut off"
            ),
            GeoError::Damaged(what) => write!(
                f,
                "the database is damaged inside ({what}); expected records with places, fetch it again"
            ),
            GeoError::WrongType { found } => write!(
                f,
                "the database is of type {found:?}; expected a database of cities or countries, for \
                 instance GeoLite2-City or DBIP-City-Lite"
            ),
        }
    }
}

impl std::error::Error for GeoError {}

/// The IPv4 address that an IPv6 address stands for, or the address itself. Databases have IPv4 networks only under
/// their IPv4 addresses.
fn ipv4_within(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return address.to_canonical();
    };
    match v6.segments() {
        // The prefix of translators between IPv6 and IPv4 (RFC 6052, section 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Ipv4Addr::from_bits(v6.to_bits() as u32).into(),
        _ => address,
    }
}

/// Whether a database of this type is laid out as [`Record`] says.
///
/// The makers' types are `GeoLite2-City`, `GeoIP2-Country`, `GeoIP2-City-Europe`,
/// `DBIP-City-Lite`, `DBIP-Location (compat=City)`, `GeoIP2-Enterprise` and the like. The case
/// counts: flat databases of other makers (`generic_country_free`) spell theirs in lower case.
fn has_places(database_type: &str) -> bool {
    ["City", "Country", "Enterprise"]
        .iter()
        .any(|kind| database_type.contains(kind))
}

/// The parts of a record that are used; the decoder skips all others. `registered_country` is
/// left out on purpose: it says where the network's owner sits, not where the client is.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default)]
    city: City<'a>,
    #[serde(borrow, default)]
    country: Country<'a>,
}

#[derive(Deserialize, Default)]
struct City<'a> {
    #[serde(borrow, default)]
    names: Names<'a>,
}

#[derive(Deserialize, Default)]
struct Country<'a> {
    #[serde(borrow)]
    iso_code: Option<&'a str>,
    #[serde(borrow, default)]
    names: Names<'a>,
}

#[derive(Deserialize, Default)]
struct Names<'a> {
    #[serde(borrow)]
    en: Option<&'a str>,
}

impl<'a> Record<'a> {
    fn location(&self) -> Option<Location<'a>> {
        let location = Location {
            city: filled(self.city.names.en),
            country: filled(self.country.names.en),
            country_isocode: filled(self.country.iso_code),
        };
        (location != Location::default()).then_some(location)
    }
}

fn filled(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
