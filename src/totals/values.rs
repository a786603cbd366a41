//! Counts records by the values of dimensions.
//!
//! Most records repeat a few tag sets. So tag sets are counted as written in the lines, and are split into values
//! only when the counts are committed or take too much memory.

use std::collections::HashMap;

use crate::line::parse;

/// Tag with a country's name, which is stored with the country and not counted by itself.
const COUNTRY_NAME: &[u8] = b"country";
/// Tag with a country's ISO code, by which countries are counted.
const COUNTRY: &[u8] = b"country_isocode";
const CITY: &[u8] = b"city";
/// Separator between a city and the ISO code of its country. A comma within a value has a backslash before it.
const BETWEEN: u8 = b',';
/// Approximate bytes of memory of an entry, without its text.
const ENTRY: usize = 64;

/// Built-in dimensions of every ledger; the others are extra tags.
pub const APP_VERSION: &str = "app_version";
pub const COUNTRIES: &str = "country";
pub const CITIES: &str = "city";
pub const ALL: &str = "all";
/// Positions of built-in dimensions in `Dimensions::names`.
const AT_COUNTRY: usize = 1;
const AT_CITY: usize = 2;

/// Numbers of records, by text.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    numbers: HashMap<Box<[u8]>, u64>,
}

impl Numbers {
    /// Adds to the number of a text. Returns the approximate bytes of memory that this took.
    pub fn add(&mut self, text: &[u8], number: u64) -> usize {
        if let Some(present) = self.numbers.get_mut(text) {
            *present += number;
            return 0;
        }
        self.numbers.insert(text.into(), number);
        text.len() + ENTRY
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.numbers.iter().map(|(text, number)| (&**text, *number))
    }

    pub fn drain(&mut self) -> impl Iterator<Item = (Box<[u8]>, u64)> {
        std::mem::take(&mut self.numbers).into_iter()
    }
}

/// A value as stored in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    pub text: String,
    /// The ISO code of a city's country; empty otherwise.
    pub country: String,
}

/// The dimensions by which tag sets are counted.
#[derive(Debug)]
pub struct Dimensions {
    /// Names of the dimensions counted so far, built-in ones first.
    names: Vec<String>,
    /// Extra tags that are counted now, with their positions in `names`; sorted.
    tags: Vec<(Vec<u8>, usize)>,
    /// Names of countries by ISO code, both as written in the lines.
    countries: HashMap<Box<[u8]>, Box<[u8]>>,
    scratch: Vec<u8>,
}

impl Dimensions {
    pub fn new(extra: &[String]) -> Dimensions {
        let mut dimensions = Dimensions {
            names: [APP_VERSION, COUNTRIES, CITIES].map(str::to_owned).to_vec(),
            tags: Vec::new(),
            countries: HashMap::new(),
            scratch: Vec::new(),
        };
        dimensions.set(extra);
        dimensions
    }

    /// Sets the extra tags that are counted from now on; counts of other tags remain.
    pub fn set(&mut self, extra: &[String]) {
        self.tags.clear();
        for name in extra.iter().filter(|name| !is_built_in(name)) {
            let known = self.names.iter().position(|known| known == name);
            let at = known.unwrap_or_else(|| {
                self.names.push(name.clone());
                self.names.len() - 1
            });
            self.tags.push((name.clone().into_bytes(), at));
        }
        self.tags.sort();
        self.tags.dedup();
    }

    /// Clears the names of countries after a commit.
    pub fn forget(&mut self) {
        self.countries.clear();
    }

    /// Names of the dimensions, by position.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Name of a country, by its ISO code as written in the lines.
    pub fn country(&self, code: &[u8]) -> Option<String> {
        self.countries.get(code).map(|name| parse::unescaped(name))
    }

    /// Counts the values of a tag set that `number` records have; `values` is indexed by the dimensions' positions.
    /// Returns the approximate bytes of memory that this took.
    pub fn expand(&mut self, series: &[u8], number: u64, values: &mut Vec<Numbers>) -> usize {
        values.resize_with(self.names.len(), Numbers::default);
        let (mut bytes, mut name, mut code, mut city) = (0, None, None, None);
        for (key, value) in parse::tags(series) {
            match key {
                b"app_version" => bytes += values[0].add(value, number),
                COUNTRY_NAME => name = Some(value),
                COUNTRY => code = Some(value),
                CITY => city = Some(value),
                key => {
                    let found = self.tags.binary_search_by(|(tag, _)| (**tag).cmp(key));
                    if let Ok(found) = found {
                        bytes += values[self.tags[found].1].add(value, number);
                    }
                }
            }
        }
        if let Some(code) = code {
            bytes += values[AT_COUNTRY].add(code, number);
            bytes += name.map_or(0, |name| self.name_country(code, name));
        }
        if let Some(city) = city {
            self.scratch.clear();
            self.scratch.extend_from_slice(city);
            self.scratch.push(BETWEEN);
            self.scratch.extend_from_slice(code.unwrap_or_default());
            bytes += values[AT_CITY].add(&self.scratch, number);
        }
        bytes
    }

    fn name_country(&mut self, code: &[u8], name: &[u8]) -> usize {
        match self.countries.get_mut(code) {
            Some(known) if **known == *name => 0,
            Some(known) => {
                *known = name.into();
                0
            }
            None => {
                self.countries.insert(code.into(), name.into());
                code.len() + name.len() + ENTRY
            }
        }
    }
}

/// Splits a counted value: a city is followed by its country.
pub fn value(counted: &[u8]) -> Value {
    // Only a separating comma has no backslash before it.
    let text = parse::measurement(counted);
    let country = counted.get(text.len() + 1..).unwrap_or_default();
    Value {
        text: parse::unescaped(text),
        country: parse::unescaped(country),
    }
}

/// Whether the name is reserved, so that an extra tag cannot have it.
fn is_built_in(name: &str) -> bool {
    [ALL, APP_VERSION, COUNTRIES, CITIES, "country_isocode"].contains(&name)
}
