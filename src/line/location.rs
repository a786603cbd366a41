//! Where a check-in comes from, as far as its record says it.

/// The English names of a place, and its country's ISO 3166-1 code, none of them empty. Borrowed from the database, so a look-up allocates nothing; the default is a place
/// nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Location<'a> {
    /// `city.names.en`; a country database has none.
    pub city: Option<&'a str>,
    /// `country.names.en`: where the address is used, not where it is registered.
    pub country: Option<&'a str>,
    /// `country.iso_code`, two letters.
    pub country_isocode: Option<&'a str>,
}
