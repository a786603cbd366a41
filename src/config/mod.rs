//! What the operator wrote, validated: response config, request schema and geo database.
//!
//! Architecture invariant: the three form one [`Snapshot`], loaded as a whole or not at all, and a
//! request reads it once. Nothing here listens, locks or writes.

pub mod allowed;
pub mod changes;
pub mod date;
pub mod duration;
mod json;
pub mod problem;
pub mod response;
pub mod schema;
pub mod snake;
pub mod version;
pub mod warnings;
pub mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkin::geo::GeoDb;
use crate::cli::options::ConfigSources;
use crate::http::answer::Answer;
use problem::Problem;
use response::ResponseConfig;
use schema::RequestSchema;
use watch::Fingerprints;

/// Everything a request is answered from.
#[derive(Debug)]
pub struct Snapshot {
    pub response: ResponseConfig,
    pub schema: Option<RequestSchema>,
    pub geodb: Option<Arc<GeoDb>>,
    /// The response config as it is sent, rendered once.
    pub answer: Answer,
    /// What the files looked like when they were read.
    files: Fingerprints,
}

impl Snapshot {
    /// Loads all files; `files` is what they looked like just before. A geo database that did not
    /// change is taken over from `previous`. Every problem of every file is reported.
    pub fn load(
        sources: &ConfigSources,
        files: &Fingerprints,
        previous: Option<&Snapshot>,
    ) -> Result<Snapshot, LoadError> {
        let response = read(
            "--upgrade-response-config",
            &sources.response,
            response::parse,
        );
        let schema = sources
            .schema
            .as_deref()
            .map(|path| read("--request-schema", path, |text| schema(text, sources)))
            .transpose();
        let unchanged = previous.filter(|previous| previous.files.geodb == files.geodb);
        let geodb = match unchanged.and_then(|previous| previous.geodb.clone()) {
            Some(geodb) => Ok(Some(geodb)),
            None => sources.geodb.as_deref().map(open_geodb).transpose(),
        };
        match (response, schema, geodb) {
            (Ok(response), Ok(schema), Ok(geodb)) => {
                let answer = response.render_answer(sources.query_period.minutes());
                let answer = Answer::json(answer);
                Ok(Snapshot {
                    response,
                    schema,
                    geodb,
                    answer,
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

/// Reads a schema that has the tags to be down-sampled.
fn schema(text: &str, sources: &ConfigSources) -> Result<RequestSchema, Vec<Problem>> {
    let schema = RequestSchema::parse(text)?;
    let point_tags: Vec<&str> = schema.point_tags().collect();
    let built_in = |tag: &str| matches!(tag, "city" | "country");
    let missing = sources
        .down_sample_tags
        .iter()
        .filter(|tag| !built_in(tag) && !point_tags.contains(&tag.as_str()))
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

/// The files that cannot be used. The operator's to mend.
#[derive(Debug)]
pub struct LoadError(pub Vec<FileError>);

/// One file and what is wrong with it.
#[derive(Debug)]
pub struct FileError {
    /// The flag that named the file.
    pub flag: &'static str,
    pub path: PathBuf,
    pub problems: Vec<Problem>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for file in &self.0 {
            for problem in &file.problems {
                write!(
                    f,
                    "{separator}{} {}: {problem}",
                    file.flag,
                    file.path.display()
                )?;
                separator = "\n";
            }
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

fn read<T>(
    flag: &'static str,
    path: &Path,
    parse: impl Fn(&str) -> Result<T, Vec<Problem>>,
) -> Result<T, FileError> {
    let parsed = match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => parse(&text),
            Err(error) => {
                let place = format!("byte {}", error.utf8_error().valid_up_to());
                Err(vec![Problem::new(
                    place,
                    "found bytes that are no UTF-8, expected JSON",
                )])
            }
        },
        Err(error) => Err(vec![Problem::new(
            "",
            format!("{error}; expected a JSON file"),
        )]),
    };
    parsed.map_err(|problems| FileError {
        flag,
        path: path.to_owned(),
        problems,
    })
}

fn open_geodb(path: &Path) -> Result<Arc<GeoDb>, FileError> {
    GeoDb::open(path).map(Arc::new).map_err(|error| FileError {
        flag: "--geodb",
        path: path.to_owned(),
        problems: vec![Problem::new("", error.to_string())],
    })
}
