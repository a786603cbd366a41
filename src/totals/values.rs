//! How many records have which value of a dimension.
//!
//! Most records repeat a few tag sets, so those are counted as they stand in the lines, and taken apart
//! once, when the counts are committed or take too much memory.

use std::collections::HashMap;

use crate::line::parse;

/// The tag of a country's name, which is not counted by itself.
const COUNTRY_NAME: &[u8] = b"country";
/// The tag of a country.
const COUNTRY: &[u8] = b"country_isocode";
const CITY: &[u8] = b"city";
/// Between a city and the ISO code of its country. No tag's value has a comma without a backslash.
const BETWEEN: u8 = b',';
/// Memory of an entry beside its text.
const ENTRY: usize = 64;

/// The dimensions that every ledger has, beside `all`; the others are extra tags.
pub const APP_VERSION: &str = "app_version";
pub const COUNTRIES: &str = "country";
pub const CITIES: &str = "city";
pub const ALL: &str = "all";
/// Positions of the built-in ones among the dimensions.
const AT_COUNTRY: usize = 1;
const AT_CITY: usize = 2;

/// A number for each text.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    numbers: HashMap<Box<[u8]>, u64>,
}

impl Numbers {
    /// Adds to the number of a text. Returns how many bytes of memory that took, about.
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

/// A value as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    pub text: String,
    /// The ISO code of a city's country; empty otherwise.
    pub country: String,
}

/// What is counted of a tag set.
#[derive(Debug)]
pub struct Dimensions {
    /// All that were counted since the last commit, the built-in ones first.
    names: Vec<String>,
    /// The extra tags that are counted now, and their positions in `names`; sorted.
    tags: Vec<(Vec<u8>, usize)>,
    /// Names of countries by ISO code, both as they stand in the lines.
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

    /// Counts these extra tags from now on. What was counted stays.
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

    /// A commit has taken what was counted.
    pub fn forget(&mut self) {
        self.countries.clear();
    }

    /// All that were counted since the last commit.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of a country, by its ISO code as it stands in the lines.
    pub fn country(&self, code: &[u8]) -> Option<String> {
        self.countries.get(code).map(|name| parse::unescaped(name))
    }

    /// Counts the values of a tag set, which so many records have, by the dimensions' positions. Returns how
    /// many bytes of memory that took, about.
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

/// A value as it was counted, taken apart: a city has its country behind it.
pub fn value(counted: &[u8]) -> Value {
    // Only a comma that separates has no backslash before it.
    let text = parse::measurement(counted);
    let country = counted.get(text.len() + 1..).unwrap_or_default();
    Value {
        text: parse::unescaped(text),
        country: parse::unescaped(country),
    }
}

/// Whether a name cannot be that of an extra tag.
fn is_built_in(name: &str) -> bool {
    [ALL, APP_VERSION, COUNTRIES, CITIES, "country_isocode"].contains(&name)
}
