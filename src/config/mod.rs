//! What the operator wrote, validated: response config, request schema and geo database.
//!
//! Architecture invariant: the three form one [`Snapshot`], loaded as a whole or not at all, and a
//! request reads it once. Nothing here listens, locks or writes.

pub mod date;
pub mod duration;
mod json;
pub mod problem;
pub mod response;
pub mod schema;
pub mod snake;
pub mod version;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::checkin::geo::GeoDb;
use crate::cli::ConfigFiles;
use crate::http::answer::Answer;
use duration::QueryPeriod;
use problem::Problem;
use response::ResponseConfig;
use schema::RequestSchema;

/// Everything a request is answered from.
#[derive(Debug)]
pub struct Snapshot {
    pub response: ResponseConfig,
    pub schema: Option<RequestSchema>,
    pub geodb: Option<GeoDb>,
    /// The response config as it is sent, rendered once.
    pub answer: Answer,
}

impl Snapshot {
    /// Loads all files. Every problem of every file is reported.
    pub fn load(files: &ConfigFiles, period: QueryPeriod) -> Result<Snapshot, LoadError> {
        let response = read(
            "--upgrade-response-config",
            &files.response,
            response::parse,
        );
        let schema = files
            .schema
            .as_deref()
            .map(|path| read("--request-schema", path, RequestSchema::parse))
            .transpose();
        let geodb = files.geodb.as_deref().map(open_geodb).transpose();
        match (response, schema, geodb) {
            (Ok(response), Ok(schema), Ok(geodb)) => {
                let answer = Answer::json(response.render_answer(period.minutes()));
                Ok(Snapshot {
                    response,
                    schema,
                    geodb,
                    answer,
                })
            }
            (response, schema, geodb) => {
                let errors = [response.err(), schema.err(), geodb.err()];
                Err(LoadError(errors.into_iter().flatten().collect()))
            }
        }
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

fn open_geodb(path: &Path) -> Result<GeoDb, FileError> {
    GeoDb::open(path).map_err(|error| FileError {
        flag: "--geodb",
        path: path.to_owned(),
        problems: vec![Problem::new("", error.to_string())],
    })
}
