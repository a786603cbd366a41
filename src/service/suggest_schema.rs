//! `upgrade-responder check-config --suggest-schema`: prints the request schema with the keys added that check-ins
//! sent and the server left out. It never writes a file.

use std::fs;

use crate::config::schema::{DataType, RequestSchema};
use crate::config::suggest::{Section, Wanted, suggest};
use crate::service::options::StartOptions;
use crate::state::StateDir;
use crate::totals::left_out::{MAX_TEXT, Part, Reason, Type};
use crate::totals::{LedgerReader, LeftOutRow};

/// The schema for standard output, and for each change of it a line for standard error.
#[derive(Debug)]
pub struct Suggestion {
    pub schema: String,
    pub notes: Vec<String>,
}

/// Makes the suggestion; an error says what to do.
pub fn run(options: &StartOptions) -> Result<Suggestion, String> {
    let path = options.sources.schema.as_ref().ok_or(
        "--suggest-schema: found no --request-schema, expected one: without it all keys are stored within \
         the hard caps, and report --left-out lists those that break them",
    )?;
    let at = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| format!("--request-schema {at}: {error}; expected a JSON file"))?;
    let schema = RequestSchema::parse(&text).map_err(|problems| {
        let problems = problems.iter();
        let lines: Vec<String> = problems
            .map(|problem| format!("--request-schema {at}: {problem}"))
            .collect();
        lines.join("\n")
    })?;
    let state = StateDir::new(&options.state_dir, &options.database.application);
    let ledger = LedgerReader::open(&state.totals()).map_err(|error| error.for_a_command())?;
    let rows = ledger
        .left_out(0, i64::MAX)
        .map_err(|error| error.for_a_command())?;
    let wanted: Vec<Wanted> = rows.iter().filter_map(wanted).collect();
    let suggested = suggest(&text, &schema, &wanted)
        .ok_or_else(|| format!("--request-schema {at}: found no JSON object, expected one"))?;
    let mut notes = Vec::new();
    for (what, keys) in [
        ("added", &suggested.added),
        ("maxLen raised", &suggested.lengthened),
    ] {
        for key in keys {
            notes.push(format!("{what}: {:?}{}", key.key, told(&rows, key)));
        }
    }
    for row in rows.iter().filter(|row| !is_suggested(row)) {
        notes.push(format!(
            "not suggested: {:?} ({}, check-ins {}): change the schema or the application",
            row.key, row.reason, row.check_ins
        ));
    }
    Ok(Suggestion {
        schema: suggested.text,
        notes,
    })
}

fn told(rows: &[LeftOutRow], wanted: &Wanted) -> String {
    let row = rows
        .iter()
        .find(|row| row.key == wanted.key && is_suggested(row));
    row.map_or_else(String::new, |row| {
        format!(
            ", check-ins {}, first appVersion {:?}",
            row.check_ins, row.since_version
        )
    })
}

fn is_suggested(row: &LeftOutRow) -> bool {
    // A key of this length was cut, so no client sends it as it is.
    row.key.len() < MAX_TEXT
        && [Reason::NotInSchema, Reason::TooLong]
            .iter()
            .any(|reason| reason.as_str() == row.reason)
}

/// The key to suggest; `None` also if its type is unknown, as with `null`.
fn wanted(row: &LeftOutRow) -> Option<Wanted> {
    if !is_suggested(row) {
        return None;
    }
    let section = Part::ALL
        .into_iter()
        .find(|part| part.as_str() == row.part)?;
    let value_type = Type::ALL
        .into_iter()
        .find(|known| known.as_str() == row.value_type)?;
    Some(Wanted {
        section: match section {
            Part::AppVersion => Section::AppVersion,
            Part::Tag => Section::Tags,
            Part::Field => Section::Fields,
        },
        key: row.key.clone(),
        data_type: match value_type {
            Type::String => DataType::String,
            Type::Float => DataType::Float,
            Type::Boolean => DataType::Boolean,
            Type::Other => return None,
        },
        length: usize::try_from(row.length).unwrap_or(usize::MAX / 4),
    })
}
