//! The location of a check-in, as stored in its record.

/// The English names of a place, and its country's ISO 3166-1 code; none of them is empty. The names are borrowed
/// from the geo database, so a look-up allocates nothing. The default is an unknown location.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Location<'a> {
    /// `city.names.en`; missing in a country database.
    pub city: Option<&'a str>,
    /// `country.names.en`: the country where the address is used, not where it is registered.
    pub country: Option<&'a str>,
    /// `country.iso_code`, two letters.
    pub country_isocode: Option<&'a str>,
}
