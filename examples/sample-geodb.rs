//! Writes a small city database in the MaxMind DB format, for a first look at the server and for its
//! tests: `sample-geodb PATH`.
//!
//! The networks are those reserved for documentation (RFC 5737, RFC 3849). The places are real, but
//! their networks are invented, so the file contains no real data. The records have the layout of
//! GeoLite2-City, without the GeoNames numbers. `SOURCE_DATE_EPOCH` sets the build time; with it
//! the bytes are always the same.

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ipnet::IpNet;
use mmdb_writer::{Value, Writer};

/// Networks with their places. Networks that are not listed (203.0.113.224/27,
/// 2001:db8:8000::/33) are unknown to the database.
#[rustfmt::skip]
const PLACES: &[(&str, Place)] = &[
    ("192.0.2.0/27",       City("Berlin", "Berlin", "DE")),
    ("192.0.2.32/27",      City("Nuremberg", "Nürnberg", "DE")),
    ("192.0.2.64/27",      City("Düsseldorf", "Düsseldorf", "DE")),
    ("192.0.2.96/27",      City("São Paulo", "São Paulo", "BR")),
    ("192.0.2.128/27",     City("Brasília", "Brasília", "BR")),
    ("192.0.2.160/27",     City("Reykjavík", "Reykjavík", "IS")),
    ("192.0.2.192/27",     City("Izmir", "Izmir", "TR")),
    ("192.0.2.224/27",     Country("FR")),
    ("198.51.100.0/27",    City("New York", "New York", "US")),
    ("198.51.100.32/27",   City("Washington, D.C.", "Washington, D.C.", "US")),
    ("198.51.100.64/27",   City("San José", "San José", "US")),
    ("198.51.100.96/27",   Country("US")),
    ("198.51.100.128/27",  City("Montréal", "Montreal", "CA")),
    ("198.51.100.160/27",  City("Mumbai", "Mumbai", "IN")),
    ("198.51.100.192/27",  City("Bengaluru", "Bangalore", "IN")),
    ("198.51.100.224/27",  Country("IN")),
    ("203.0.113.0/26",     City("Zürich", "Zürich", "CH")),
    ("203.0.113.64/27",    City("Geneva", "Genf", "CH")),
    ("203.0.113.96/27",    City("Tokyo", "Tokio", "JP")),
    ("203.0.113.128/27",   City("Cape Town", "Kapstadt", "ZA")),
    ("203.0.113.160/27",   Country("CI")),
    ("203.0.113.192/27",   RegisteredOnly("US")),
    ("2001:db8::/36",      City("Paris", "Paris", "FR")),
    ("2001:db8:1000::/36", City("Saint-Étienne", "Saint-Étienne", "FR")),
    ("2001:db8:2000::/36", City("Osaka", "Osaka", "JP")),
    ("2001:db8:3000::/36", City("Toronto", "Toronto", "CA")),
    ("2001:db8:4000::/36", City("Zürich", "Zürich", "CH")),
    ("2001:db8:5000::/36", Country("BR")),
    ("2001:db8:6000::/36", Country("TR")),
    ("2001:db8:7000::/36", RegisteredOnly("DE")),
];

/// Code, English and German name, the continent's code, and latitude and longitude near the centre.
#[rustfmt::skip]
const COUNTRIES: &[(&str, &str, &str, &str, f64, f64)] = &[
    ("BR", "Brazil",        "Brasilien",          "SA", -10.0,  -55.0),
    ("CA", "Canada",        "Kanada",             "NA",  60.0,  -95.0),
    ("CH", "Switzerland",   "Schweiz",            "EU",  47.0,    8.0),
    ("CI", "Côte d'Ivoire", "Elfenbeinküste",     "AF",   8.0,   -5.0),
    ("DE", "Germany",       "Deutschland",        "EU",  51.0,    9.0),
    ("FR", "France",        "Frankreich",         "EU",  46.0,    2.0),
    ("IN", "India",         "Indien",             "AS",  20.0,   77.0),
    ("IS", "Iceland",       "Island",             "EU",  65.0,  -18.0),
    ("JP", "Japan",         "Japan",              "AS",  36.0,  138.0),
    ("TR", "Türkiye",       "Türkei",             "AS",  39.0,   35.0),
    ("US", "United States", "Vereinigte Staaten", "NA",  38.0,  -97.0),
    ("ZA", "South Africa",  "Südafrika",          "AF", -29.0,   24.0),
];

const CONTINENTS: &[(&str, &str, &str)] = &[
    ("AF", "Africa", "Afrika"),
    ("AS", "Asia", "Asien"),
    ("EU", "Europe", "Europa"),
    ("NA", "North America", "Nordamerika"),
    ("SA", "South America", "Südamerika"),
];

enum Place {
    /// English name, German name, country.
    City(&'static str, &'static str, &'static str),
    /// Only a country.
    Country(&'static str),
    /// The country in which the network is registered; the place of its addresses is unknown.
    RegisteredOnly(&'static str),
}
use Place::{City, Country, RegisteredOnly};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: sample-geodb PATH");
        return ExitCode::from(2);
    };
    match write(Path::new(&path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sample-geodb: {error}");
            ExitCode::FAILURE
        }
    }
}

pub fn write(path: &Path) -> Result<(), String> {
    let database = database(build_time()?)?;
    fs::write(path, database).map_err(|error| format!("{}: {error}", path.display()))
}

/// The build time: `SOURCE_DATE_EPOCH` in seconds since 1970 if it is set, else now.
fn build_time() -> Result<SystemTime, String> {
    let Some(text) = env::var_os("SOURCE_DATE_EPOCH") else {
        return Ok(SystemTime::now());
    };
    text.to_str()
        .and_then(|text| text.parse().ok())
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .ok_or_else(|| format!("SOURCE_DATE_EPOCH is {text:?}; expected seconds since 1970"))
}

/// The file's bytes: an IPv6 tree that contains the IPv4 networks, as in the databases of all vendors.
fn database(build_time: SystemTime) -> Result<Vec<u8>, String> {
    let mut writer = Writer::builder("Sample-City")
        .description(&[("en", "Invented places for the documentation networks")])
        .languages(["de", "en"])
        .build_epoch(build_time)
        .build();
    for (network, place) in PLACES {
        let name_it = |error: &dyn std::fmt::Display| format!("{network}: {error}");
        let parsed: IpNet = network.parse().map_err(|error| name_it(&error))?;
        let record = record(place).map_err(|error| name_it(&error))?;
        writer
            .insert_value(parsed, record)
            .map_err(|error| name_it(&error))?;
    }
    writer.to_bytes().map_err(|error| error.to_string())
}

fn record(place: &Place) -> Result<Value, String> {
    let (City(_, _, code) | Country(code) | RegisteredOnly(code)) = place;
    let (_, english, german, continent, latitude, longitude) = COUNTRIES
        .iter()
        .find(|(known, ..)| known == code)
        .ok_or_else(|| format!("country {code} is not in the table"))?;
    let country = Value::map([
        ("iso_code", Value::from(*code)),
        ("names", names(english, german)),
    ]);
    let mut fields = vec![("registered_country", country.clone())];
    if !matches!(place, RegisteredOnly(_)) {
        fields.push(("country", country));
        fields.push(("continent", self::continent(continent)?));
        fields.push((
            "location",
            Value::map([
                ("latitude", Value::from(*latitude)),
                ("longitude", Value::from(*longitude)),
            ]),
        ));
    }
    if let City(english, german, _) = place {
        fields.push(("city", Value::map([("names", names(english, german))])));
    }
    Ok(Value::map(fields))
}

fn continent(code: &str) -> Result<Value, String> {
    let (_, english, german) = CONTINENTS
        .iter()
        .find(|(known, ..)| *known == code)
        .ok_or_else(|| format!("continent {code} is not in the table"))?;
    Ok(Value::map([
        ("code", Value::from(code)),
        ("names", names(english, german)),
    ]))
}

fn names(english: &str, german: &str) -> Value {
    Value::map([("de", german), ("en", english)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use upgrade_responder::geo::{GeoDb, Lookup};

    /// Opens the sample as the server does, and shows places as `city|country|code`.
    fn locate(addresses: &[&str]) -> Vec<String> {
        let name = format!("sample-geodb-test-{}.mmdb", std::process::id());
        let path = env::temp_dir().join(name);
        write(&path).unwrap();
        let db = GeoDb::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(db.database_type(), "Sample-City");
        let show = |address: &&str| match db.locate(address.parse().unwrap()) {
            Lookup::Found(place) => [place.city, place.country, place.country_isocode]
                .map(|name| name.unwrap_or_default())
                .join("|"),
            Lookup::NotFound => "not found".to_owned(),
            Lookup::Broken => "broken".to_owned(),
        };
        addresses.iter().map(show).collect()
    }

    #[test]
    fn server_finds_the_sample_places() {
        let addresses = [
            "203.0.113.7",
            "192.0.2.100",
            "198.51.100.40",
            "192.0.2.230",
            "203.0.113.161",
            "2001:db8:1fff::1",
            "::ffff:203.0.113.7",
            "203.0.113.200",
            "2001:db8:7000::1",
            "203.0.113.230",
            "2001:db8:8000::1",
            "10.0.0.1",
        ];
        let expected = [
            "Zürich|Switzerland|CH",
            "São Paulo|Brazil|BR",
            "Washington, D.C.|United States|US",
            "|France|FR",
            "|Côte d'Ivoire|CI",
            "Saint-Étienne|France|FR",
            "Zürich|Switzerland|CH",
            "not found",
            "not found",
            "not found",
            "not found",
            "not found",
        ];
        assert_eq!(locate(&addresses), expected);
    }

    #[test]
    fn same_build_time_gives_the_same_bytes() {
        assert_eq!(database(UNIX_EPOCH), database(UNIX_EPOCH));
    }
}
