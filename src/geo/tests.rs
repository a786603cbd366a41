use super::*;
use mmdb_writer::{IpVersion, Value, Writer};

fn names(english: &str) -> Value {
    Value::map([("de", "anders"), ("en", english), ("ja", "別")])
}

fn country(iso_code: &str, english: &str) -> Value {
    Value::map([
        ("iso_code", Value::from(iso_code)),
        ("names", names(english)),
    ])
}

fn place(city: &str, iso_code: &str, english: &str) -> Value {
    Value::map([
        ("city", Value::map([("names", names(city))])),
        ("country", country(iso_code, english)),
        (
            "location",
            Value::map([("latitude", 47.4), ("longitude", 8.5)]),
        ),
        ("registered_country", country("US", "United States")),
    ])
}

fn bytes(database_type: &str, records: &[(&str, Value)]) -> Vec<u8> {
    let mut writer = Writer::new(database_type);
    for (network, value) in records {
        let network: ipnet::IpNet = network.parse().unwrap();
        writer.insert_value(network, value.clone()).unwrap();
    }
    writer.to_bytes().unwrap()
}

fn city_bytes() -> Vec<u8> {
    bytes(
        "GeoLite2-City",
        &[
            ("192.0.2.0/25", place("São Paulo", "BR", "Brazil")),
            ("192.0.2.128/25", place("北京", "CN", "China")),
            ("198.51.100.0/24", place("Izmir", "TR", "Türkiye")),
            ("2001:db8::/32", place("Zürich", "CH", "Switzerland")),
        ],
    )
}

fn locate<'a>(db: &'a GeoDb, address: &str) -> Lookup<'a> {
    db.locate(address.parse().unwrap())
}

fn found<'a>(city: &'a str, country: &'a str, iso_code: &'a str) -> Lookup<'a> {
    Lookup::Found(Location {
        city: filled(Some(city)),
        country: filled(Some(country)),
        country_isocode: filled(Some(iso_code)),
    })
}

/// Looks up enough addresses to touch every record of the databases above.
fn look_around(db: &GeoDb) {
    for address in ["192.0.2.1", "192.0.2.200", "198.51.100.9", "2001:db8::1"] {
        locate(db, address);
    }
    locate(db, "9.9.9.9");
    locate(db, "::");
}

#[test]
fn ipv4_client_of_a_translator_is_found_under_its_ipv4_address() {
    let db = GeoDb::from_bytes(city_bytes()).unwrap();
    let brazil = found("São Paulo", "Brazil", "BR");
    assert_eq!(locate(&db, "64:ff9b::192.0.2.1"), brazil);
    assert_eq!(locate(&db, "::ffff:192.0.2.1"), brazil);
    // Prefixes that a network chose itself (RFC 8215) have no meaning elsewhere.
    assert_eq!(locate(&db, "64:ff9b:1::192.0.2.1"), Lookup::NotFound);
}

#[test]
fn city_database_gives_the_english_names() {
    let db = GeoDb::from_bytes(city_bytes()).unwrap();
    assert_eq!(locate(&db, "192.0.2.1"), found("São Paulo", "Brazil", "BR"));
    assert_eq!(locate(&db, "192.0.2.200"), found("北京", "China", "CN"));
    assert_eq!(locate(&db, "198.51.100.9"), found("Izmir", "Türkiye", "TR"));
    assert_eq!(
        locate(&db, "2001:db8::1"),
        found("Zürich", "Switzerland", "CH")
    );
    assert_eq!(locate(&db, "203.0.113.7"), Lookup::NotFound);
    assert_eq!(db.database_type(), "GeoLite2-City");
    assert!(db.build_time().unwrap().as_second() > 1_700_000_000);
}

#[test]
fn country_database_gives_countries_only() {
    let record = Value::map([("country", country("BR", "Brazil"))]);
    let file = bytes("DBIP-Country-Lite", &[("192.0.2.0/24", record)]);
    let db = GeoDb::from_bytes(file).unwrap();
    assert_eq!(locate(&db, "192.0.2.1"), found("", "Brazil", "BR"));
}

#[test]
fn country_of_registration_is_no_location() {
    let record = Value::map([("registered_country", country("US", "United States"))]);
    let file = bytes("GeoLite2-City", &[("192.0.2.0/24", record)]);
    let db = GeoDb::from_bytes(file).unwrap();
    assert_eq!(locate(&db, "192.0.2.1"), Lookup::NotFound);
}

#[test]
fn empty_names_and_other_languages_are_no_names() {
    let german = Value::map([("names", Value::map([("de", "Zürich")]))]);
    let records = [
        ("192.0.2.0/24", place("", "CH", "")),
        ("198.51.100.0/24", Value::map([("city", german)])),
    ];
    let db = GeoDb::from_bytes(bytes("GeoLite2-City", &records)).unwrap();
    assert_eq!(locate(&db, "192.0.2.1"), found("", "", "CH"));
    assert_eq!(locate(&db, "198.51.100.1"), Lookup::NotFound);
}

#[test]
fn mapped_address_is_looked_up_as_ipv4() {
    let mut writer = Writer::builder("GeoLite2-City")
        .ip_version(IpVersion::V4)
        .build();
    let network: ipnet::IpNet = "192.0.2.0/24".parse().unwrap();
    let record = place("Lima", "PE", "Peru");
    writer.insert_value(network, record).unwrap();
    let db = GeoDb::from_bytes(writer.to_bytes().unwrap()).unwrap();
    assert_eq!(locate(&db, "::ffff:192.0.2.1"), found("Lima", "Peru", "PE"));
    // Not `Broken`: an IPv4 database without IPv6 is not damaged.
    assert_eq!(locate(&db, "2001:db8::1"), Lookup::NotFound);
}

#[test]
fn record_of_another_layout_is_refused_with_its_network() {
    let flat = Value::map([("country", "BR")]);
    let file = bytes("Flat-Country", &[("192.0.2.0/24", flat)]);
    let error = GeoDb::from_bytes(file).unwrap_err().to_string();
    assert!(
        error.contains("record of network 192.0.2.0/24: "),
        "{error}"
    );
}

/// A copy that was cut off after its disk space was allocated has such zeros.
#[test]
fn zeros_inside_are_refused_or_change_nothing() {
    let whole = city_bytes();
    let description = whole
        .windows(3)
        .rposition(|bytes| bytes == b"\xab\xcd\xef")
        .unwrap();
    let sound = GeoDb::from_bytes(whole.clone()).unwrap();
    let addresses = ["192.0.2.1", "192.0.2.200", "198.51.100.7", "2001:db8::1"];
    let mut refused = 0;
    for length in [16, 64, 512] {
        for start in (0..description).step_by(8) {
            let mut damaged = whole.clone();
            damaged[start..description.min(start + length)].fill(0);
            match GeoDb::from_bytes(damaged) {
                Err(GeoError::Damaged(_)) => refused += 1,
                Err(other) => panic!("{other}"),
                Ok(db) => {
                    for address in addresses {
                        assert_eq!(locate(&db, address), locate(&sound, address), "{start}");
                    }
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn other_types_are_refused_by_name() {
    for name in [
        "GeoLite2-ASN",
        "GeoIP2-ISP",
        "generic_country_free.mmdb",
        "",
    ] {
        let asn = Value::map([("autonomous_system_number", 64_512_u32)]);
        let error = GeoDb::from_bytes(bytes(name, &[("192.0.2.0/24", asn)])).unwrap_err();
        assert!(matches!(&error, GeoError::WrongType { found } if found == name));
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
    for name in ["GeoIP2-City-Europe", "DBIP-Location (compat=City)"] {
        GeoDb::from_bytes(bytes(name, &[])).unwrap();
    }
}

#[test]
fn file_cut_anywhere_is_refused() {
    let whole = city_bytes();
    assert!(matches!(
        GeoDb::from_bytes(Vec::new()),
        Err(GeoError::Empty)
    ));
    for length in 1..whole.len() {
        let cut = GeoDb::from_bytes(whole[..length].to_vec());
        assert!(matches!(cut, Err(GeoError::NotADatabase(_))), "{length}");
    }
}

#[test]
fn damaged_byte_never_panics() {
    let whole = city_bytes();
    for at in 0..whole.len() {
        for damage in [0x00, 0x01, 0x20, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= damage;
            if let Ok(db) = GeoDb::from_bytes(damaged) {
                look_around(&db);
            }
        }
    }
}

#[test]
fn garbage_never_panics() {
    let whole = city_bytes();
    let metadata = whole
        .windows(3)
        .rposition(|w| w == b"\xab\xcd\xef")
        .unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..500 {
        let mut garbage: Vec<u8> = (0..metadata)
            .map(|_| {
                // Xorshift: the same garbage in every run.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        assert!(GeoDb::from_bytes(garbage.clone()).is_err());
        // With a sound description at the end, only the check of all records finds it.
        garbage.extend_from_slice(&whole[metadata..]);
        let damaged = GeoDb::from_bytes(garbage);
        assert!(matches!(damaged, Err(GeoError::Damaged(_))), "{damaged:?}");
    }
}

#[test]
fn unusable_path_is_said_not_waited_for() {
    let missing = GeoDb::open(Path::new("/nonexistent/geo.mmdb")).unwrap_err();
    assert!(missing.to_string().contains("No such file"), "{missing}");
    let directory = GeoDb::open(&std::env::temp_dir()).unwrap_err();
    let text = directory.to_string();
    assert!(text.contains("not a regular file"), "{text}");
}
