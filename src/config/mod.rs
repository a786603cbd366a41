//! Loading and validation of the operator's files: response config, request schema and geo database.
//!
//! Architecture invariant: the three form one [`Snapshot`], loaded as a whole or not at all, and a
//! request reads it once. This module must never listen on a socket, take a lock or write a file.

mod allowed;
pub mod changes;
mod effect;
mod json;
pub mod listed;
mod problem;
pub mod response;
pub mod rules;
pub mod schema;
pub mod sources;
pub mod suggest;
mod version;
pub mod warnings;
pub mod watch;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::geo::{GeoDb, GeoError};
use crate::metrics::RuleCounters;
use jiff::Timestamp;
use problem::Problem;
use response::ResponseConfig;
use rules::Rules;
use schema::RequestSchema;
use sources::ConfigSources;
use watch::{File, Fingerprints};

/// Location tags: `--down-sample-tags` may name them, although no client sends them.
pub const PLACES: [&str; 2] = ["city", "country"];

/// All data that a request is answered from.
#[derive(Debug)]
pub struct Snapshot {
    pub response: ResponseConfig,
    pub schema: Option<RequestSchema>,
    pub geodb: Option<Arc<GeoDb>>,
    /// Rendered answer where no rule decides.
    pub body: Vec<u8>,
    /// Rendered answers by the index of the rule that decides.
    pub by_rule: Vec<Vec<u8>>,
    /// Time of the load.
    pub taken: Timestamp,
    /// Counters by the index of the rule.
    pub rule_counters: Vec<Arc<RuleCounters>>,
    /// Fingerprints of the files, taken just before they were read.
    pub files: Fingerprints,
}

impl Snapshot {
    /// Loads all files; `files` holds their fingerprints from just before. An unchanged geo database
    /// is reused from `previous`. The error lists every problem of every file.
    pub fn load(
        sources: &ConfigSources,
        files: &Fingerprints,
        previous: Option<&Snapshot>,
    ) -> Result<Snapshot, LoadError> {
        let response = read(File::Response, &sources.response, response::parse);
        let schema = sources
            .schema
            .as_deref()
            .map(|path| read(File::Schema, path, |text| schema(text, sources)))
            .transpose();
        let unchanged =
            previous.filter(|before| before.files.get(File::GeoDb) == files.get(File::GeoDb));
        let geodb = match unchanged.and_then(|previous| previous.geodb.clone()) {
            Some(geodb) => Ok(Some(geodb)),
            None => sources.geodb.as_deref().map(open_geodb).transpose(),
        };
        match (response, schema, geodb) {
            (Ok(response), Ok(schema), Ok(geodb)) => {
                let minutes = sources.query_period.minutes();
                let body = |outcome| response.render_outcome(outcome, minutes);
                let outcomes = 0..response.rules().iter().len();
                Ok(Snapshot {
                    body: body(None),
                    by_rule: outcomes.map(|index| body(Some(index))).collect(),
                    taken: Timestamp::now(),
                    rule_counters: rule_counters(response.rules(), previous),
                    response,
                    schema,
                    geodb,
                    files: files.clone(),
                })
            }
            (response, schema, geodb) => {
                let errors = [response.err(), schema.err(), geodb.err()];
                Err(LoadError(errors.into_iter().flatten().collect()))
            }
        }
    }
}

impl Snapshot {
    /// The answer's body; `outcome` is the index of the rule that decides, if one does.
    pub fn body_of(&self, outcome: Option<usize>) -> &[u8] {
        let by_rule = outcome.and_then(|index| self.by_rule.get(index));
        by_rule.unwrap_or(&self.body)
    }
}

/// The counters of the rules. A rule that keeps its number and name keeps its counters at a reload.
fn rule_counters(rules: &Rules, previous: Option<&Snapshot>) -> Vec<Arc<RuleCounters>> {
    let before = previous.map_or(&[][..], |previous| &previous.rule_counters);
    let counters = rules.iter().map(|rule| {
        let name = rule.name.as_deref().unwrap_or_default();
        let mut before = before.iter();
        match before.find(|counters| counters.number == rule.number && counters.name == name) {
            Some(counters) => Arc::clone(counters),
            None => Arc::new(RuleCounters::new(rule.number, name)),
        }
    });
    counters.collect()
}

/// Reads a schema and checks that it lists the tags in `--down-sample-tags`.
fn schema(text: &str, sources: &ConfigSources) -> Result<RequestSchema, Vec<Problem>> {
    let schema = RequestSchema::parse(text)?;
    let tags = schema.tags().iter();
    let point_tags: Vec<&str> = tags.map(|(_, rule)| &*rule.point_key).collect();
    let missing = sources
        .down_sample_tags
        .iter()
        .filter(|tag| !PLACES.contains(&tag.as_str()) && !point_tags.contains(&tag.as_str()))
        .map(|tag| {
            let message = format!(
                "found no tag that is stored as {tag:?}, expected one, since --down-sample-tags \
                 names it"
            );
            Problem::new("extraTagInfoSchema", message)
        });
    let missing: Vec<Problem> = missing.collect();
    if missing.is_empty() {
        Ok(schema)
    } else {
        Err(missing)
    }
}

/// The files that cannot be used; the operator must fix them.
#[derive(Debug)]
pub struct LoadError(pub Vec<FileError>);

impl LoadError {
    /// Every problem of every file, each with its flag and file.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|file| {
            let at = format!("{} {}", file.file.flag(), file.path.display());
            file.problems
                .iter()
                .map(move |problem| format!("{at}: {problem}"))
        })
    }

    /// The files in question.
    pub fn files(&self) -> impl Iterator<Item = File> {
        self.0.iter().map(|error| error.file)
    }

    /// Whether a retry may succeed without a change to a file, because the system failed.
    pub fn may_pass(&self) -> bool {
        self.0.iter().any(|file| file.may_pass)
    }
}

/// One file and its problems.
#[derive(Debug)]
pub struct FileError {
    pub file: File,
    pub path: PathBuf,
    pub problems: Vec<Problem>,
    /// Whether reading failed for a reason outside the file: too many open files, a failing disk.
    may_pass: bool,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines().collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for LoadError {}

fn read<T>(
    file: File,
    path: &Path,
    parse: impl Fn(&str) -> Result<T, Vec<Problem>>,
) -> Result<T, FileError> {
    let failed = |problems: Vec<Problem>, may_pass: bool| FileError {
        file,
        path: path.to_owned(),
        problems,
        may_pass,
    };
    let text = read_text(path).map_err(|error| {
        let message = format!("{error}; expected a JSON file");
        failed(vec![Problem::new("", message)], may_pass(&error))
    })?;
    match String::from_utf8(text) {
        Ok(text) => parse(&text).map_err(|problems| failed(problems, false)),
        Err(error) => {
            let place = format!("byte {}", error.utf8_error().valid_up_to());
            let message = "found bytes that are not UTF-8, expected JSON";
            Err(failed(vec![Problem::new(place, message)], false))
        }
    }
}

fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    // Reading a named pipe can block forever, and with it the server's start or stop.
    if !fs::metadata(path)?.is_file() {
        let kind = io::ErrorKind::InvalidInput;
        return Err(io::Error::new(kind, "found no regular file"));
    }
    fs::read(path)
}

/// Whether a retry may succeed. The errors listed here last until the file or its directory changes.
fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
    let lasting = [
        InvalidInput,
        IsADirectory,
        NotADirectory,
        NotFound,
        PermissionDenied,
    ];
    !lasting.contains(&error.kind())
}

fn open_geodb(path: &Path) -> Result<Arc<GeoDb>, FileError> {
    GeoDb::open(path).map(Arc::new).map_err(|error| FileError {
        file: File::GeoDb,
        path: path.to_owned(),
        problems: vec![Problem::new("", error.to_string())],
        may_pass: matches!(&error, GeoError::Unreadable(error) if may_pass(error)),
    })
}
