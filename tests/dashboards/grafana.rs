//! Grafana's expansion of queries: values of variables, and their use with the time range in the text of a query.
//!
//! As in Grafana 10 to 13: the formats `regex`, `raw` and `csv` of a variable, `$timeFilter`,
//! `__from` and `__to` in milliseconds, the values of a query variable taken from the second column of an answer, or the only
//! one, and from the first one of SHOW FIELD KEYS.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fancy_regex::Regex;
use serde_json::Value;

/// Reads a dashboard.
#[track_caller]
pub fn load(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("dashboards")
        .join(name);
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The members of an array. Other values have none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// All panels. Those of a collapsed row follow their row.
pub fn panels(dashboard: &Value) -> Vec<&Value> {
    let outer = list(&dashboard["panels"]);
    outer
        .iter()
        .flat_map(|panel| [panel].into_iter().chain(list(&panel["panels"])))
        .collect()
}

/// The variables and macros in a text, as name and format.
pub fn references(text: &str) -> Vec<(String, String)> {
    pieces(text)
        .filter_map(|piece| match piece {
            Piece::Reference(name, format) => Some((name.to_string(), format.to_string())),
            Piece::Text(_) => None,
        })
        .collect()
}

/// An open dashboard: a time range and the chosen values.
pub struct View {
    /// In ms since 1970.
    pub from: i64,
    pub to: i64,
    values: BTreeMap<String, Vec<String>>,
    offered: BTreeMap<String, Vec<String>>,
}

impl View {
    pub fn new(from: i64, to: i64) -> View {
        View {
            from,
            to,
            values: BTreeMap::new(),
            offered: BTreeMap::new(),
        }
    }

    /// Chooses these values of a variable. They must be among those that are offered.
    #[track_caller]
    pub fn choose(&mut self, variable: &str, values: &[&str]) {
        if let Some(offered) = self.offered.get(variable) {
            let known = |value: &&str| offered.iter().any(|offered| offered == value);
            assert!(values.iter().all(known), "{values:?} of {offered:?}");
        }
        let values = values.iter().map(|value| value.to_string()).collect();
        self.values.insert(variable.to_string(), values);
    }

    /// The values of a variable.
    pub fn chosen(&self, variable: &str) -> &[String] {
        &self.values[variable]
    }

    /// Sets a variable to its value in a newly opened dashboard: "All" if its JSON has that, else the first value. `run`
    /// returns the rows of a query. Returns all values that are offered.
    #[track_caller]
    pub fn fill(
        &mut self,
        variable: &Value,
        run: impl Fn(&str) -> Vec<Vec<String>>,
    ) -> Vec<String> {
        let name = variable["name"].as_str().unwrap();
        let offered = match variable["type"].as_str().unwrap() {
            "query" => {
                let query = self.expand(variable["query"].as_str().unwrap());
                let first = query.to_lowercase().contains("show field keys");
                let value = |row: Vec<String>| match row.len() {
                    _ if first => row[0].clone(),
                    1 => row[0].clone(),
                    _ => row[1].clone(),
                };
                let found = run(&query).into_iter().map(value).collect();
                sorted(matching(found, &variable["regex"]), &variable["sort"])
            }
            "textbox" => vec![variable["query"].as_str().unwrap().to_string()],
            "datasource" => vec!["a data source".to_string()],
            other => panic!("variable {name} is of type {other}"),
        };
        let all = variable["current"]["value"][0] == "$__all";
        let chosen = if all { offered.len() } else { 1 };
        let mut values: Vec<String> = offered.iter().take(chosen).cloned().collect();
        if values.is_empty() && variable["multi"] != true {
            values.push(String::new());
        }
        self.values.insert(name.to_string(), values);
        self.offered.insert(name.to_string(), offered.clone());
        offered
    }

    /// The query that the database gets.
    #[track_caller]
    pub fn expand(&self, text: &str) -> String {
        pieces(text)
            .map(|piece| match piece {
                Piece::Text(text) => text.to_string(),
                Piece::Reference("timeFilter", "") => {
                    format!("time >= {}ms and time <= {}ms", self.from, self.to)
                }
                // Without `raw` the format of the data source would apply, which expects a text.
                Piece::Reference("__from", "raw") => self.from.to_string(),
                Piece::Reference("__to", "raw") => self.to.to_string(),
                // `$tag_…` stays as it is: in an alias see `series_name`, in a query it is an error.
                Piece::Reference(name, "") if name.starts_with("tag_") => format!("${name}"),
                Piece::Reference(name, format) => {
                    let Some(values) = self.values.get(name) else {
                        panic!("{text}: unknown variable {name}");
                    };
                    formatted(values, format)
                }
            })
            .collect()
    }
}

/// The name of a row's series by an alias whose variables are expanded.
#[track_caller]
pub fn series_name(alias: &str, row: &Value) -> String {
    let Some(tag) = alias.strip_prefix("$tag_") else {
        return alias.to_string();
    };
    let name = row[tag].as_str();
    name.unwrap_or_else(|| panic!("{alias} of {row}"))
        .to_string()
}

fn formatted(values: &[String], format: &str) -> String {
    match (format, values) {
        ("regex", [value]) => escaped(value),
        ("regex", values) => {
            let escaped: Vec<_> = values.iter().map(|value| escaped(value)).collect();
            format!("({})", escaped.join("|"))
        }
        ("raw" | "", [value]) => value.clone(),
        ("csv", values) => values.join(","),
        // The results of other formats differ between data sources and versions.
        _ => panic!("no format {format:?} of {values:?}"),
    }
}

/// The text, escaped for a JavaScript regex as @grafana/data does.
fn escaped(value: &str) -> String {
    let special = r"\^$*+?.()|[]{}/";
    let mut escaped = String::new();
    for character in value.chars() {
        if special.contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The first group, or the whole match, of each value that matches the variable's regex.
fn matching(found: Vec<String>, regex: &Value) -> Vec<String> {
    let regex = regex.as_str().unwrap();
    if regex.is_empty() {
        return found;
    }
    let inner = regex
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix('/'));
    let regex = Regex::new(inner.unwrap()).unwrap();
    let group = |text: &String| {
        let captures = regex.captures(text).unwrap()?;
        let group = captures.get(1).or(captures.get(0))?;
        Some(group.as_str().to_string())
    };
    found.iter().filter_map(group).collect()
}

fn sorted(mut found: Vec<String>, sort: &Value) -> Vec<String> {
    match sort.as_u64().unwrap() {
        0 => {}
        1 => found.sort(),
        8 => found.sort_by(|a, b| natural(b, a)),
        other => panic!("sort {other}"),
    }
    found
}

/// Order by the numbers in a text: `v1.9` comes before `v1.10`.
fn natural(a: &str, b: &str) -> Ordering {
    parts(a).cmp(&parts(b))
}

fn parts(text: &str) -> Vec<(u64, &str)> {
    let is_digit = |character: char| character.is_ascii_digit();
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
        let number = rest[..digits].parse().unwrap_or(0);
        rest = &rest[digits..];
        let letters = rest.find(is_digit).unwrap_or(rest.len());
        parts.push((number, &rest[..letters]));
        rest = &rest[letters..];
    }
    parts
}

enum Piece<'a> {
    Text(&'a str),
    /// Name and format; the format may be empty.
    Reference(&'a str, &'a str),
}

/// Splits a text at `$name`, `${name}` and `${name:format}`.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, format, behind)) = reference(rest) {
            rest = behind;
            return Some(Piece::Reference(name, format));
        }
        let next = |from: usize| rest[from..].find('$').map(|at| at + from);
        let mut end = next(1);
        while let Some(at) = end.filter(|at| reference(&rest[*at..]).is_none()) {
            end = next(at + 1);
        }
        let (plain, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind;
        Some(Piece::Text(plain))
    })
}

fn reference(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.strip_prefix('$')?;
    if let Some(text) = text.strip_prefix('{') {
        let (inner, behind) = text.split_once('}')?;
        let (name, format) = inner.split_once(':').unwrap_or((inner, ""));
        return Some((name, format, behind));
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], "", &text[end..]))
}

#[test]
fn a_query_is_expanded_as_grafana_does() {
    let mut view = View::new(1000, 2000);
    view.choose("one", &["it's 1/2 (b)"]);
    view.choose("two", &["v1.2", "v1.3"]);
    view.choose("period", &["1h"]);
    assert_eq!(
        view.expand("a =~ /^${one:regex}$/ OR b !~ /^${two:regex}$/"),
        r"a =~ /^it's 1\/2 \(b\)$/ OR b !~ /^(v1\.2|v1\.3)$/"
    );
    assert_eq!(
        view.expand("$timeFilter GROUP BY time($period), \"${period:raw}\""),
        "time >= 1000ms and time <= 2000ms GROUP BY time(1h), \"1h\""
    );
    assert_eq!(
        view.expand("${__from:raw}ms, ${__to:raw}ms"),
        "1000ms, 2000ms"
    );
}

#[test]
fn versions_are_sorted_by_their_numbers() {
    let found = ["v1.9.0", "v1.10.0", "v1.10.0-rc1", "junk"].map(str::to_string);
    let regex = Value::from(r"/^(v?\d+\.\d+\.\d+)$/");
    let sorted = sorted(matching(found.to_vec(), &regex), &Value::from(8));
    assert_eq!(sorted, ["v1.10.0", "v1.9.0"]);
}
