//! `upgrade-responder import-totals`: adds the totals of another server to the ledger, while the server
//! runs or not. It never changes what the ledger counted itself.

mod cells;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use cells::{Cells, kind_of};
use csv::StringRecord;

use super::connect::connect;
use super::export_totals::COLUMNS;
use super::import_influx;
use super::report::ReportError;
use crate::service::influx_options::InfluxOptions;
use crate::service::options::Database;
use crate::spool::clock::now_seconds;
use crate::state::StateDir;
use crate::totals::history::Entry;
use crate::totals::{Imported, Importer, Opening};
use crate::units::date::parse_moment;

/// The options of `import-totals`.
#[derive(Debug)]
pub struct ImportOptions {
    pub state: StateDir,
    pub opening: Opening,
    pub from: From,
}

/// Where the totals come from.
#[derive(Debug)]
pub enum From {
    /// The CSV of `export-totals`; `-` is standard input.
    File(PathBuf),
    /// The down-sampled measurements of InfluxDB 1.x.
    Influx(Box<InfluxSource>),
}

/// The database with these measurements.
#[derive(Debug)]
pub struct InfluxSource {
    pub database: Database,
    pub influxdb: InfluxOptions,
    pub tags: Vec<String>,
}

/// Imports all totals, and prints how many were imported.
pub fn run(options: &ImportOptions) -> Result<(), ReportError> {
    let dir = options.state.path();
    if !dir.parent().is_some_and(Path::is_dir) {
        return Err(ReportError::Configuration(format!(
            "--state-dir: found no directory {}, expected that of the server",
            dir.parent().unwrap_or(dir).display()
        )));
    }
    match &options.from {
        From::File(file) => from_file(file, &options.opening),
        From::Influx(source) => from_influx(source, options),
    }
}

fn from_influx(source: &InfluxSource, options: &ImportOptions) -> Result<(), ReportError> {
    let client = connect(&source.influxdb, &source.database)
        .map_err(|error| ReportError::Configuration(error.to_string()))?;
    let Some(influx) = client.v1() else {
        let why = "import-totals reads InfluxDB 1.x; expected --influxdb-api v1, or a file of export-totals";
        return Err(ReportError::Configuration(why.to_owned()));
    };
    // Without a state directory this server has sent nothing yet.
    let instance = match options.state.path().exists() {
        true => options.state.instance().unwrap_or_default(),
        false => String::new(),
    };
    let source = import_influx::Source {
        influx,
        tags: &source.tags,
        instance: &instance,
        seconds: i64::try_from(options.opening.query_period.seconds()).unwrap_or(i64::MAX),
    };
    // Asked before the ledger is opened: without any totals no ledger must be created, because it would be another
    // application of the state directory.
    let Some(bounds) = source.bounds()? else {
        return show(Imported::default());
    };
    let mut importer = Importer::open(&options.opening, "influxdb")?;
    import_influx::run(&source, bounds, &mut importer)?;
    show(importer.finish()?)
}

fn from_file(file: &Path, opening: &Opening) -> Result<(), ReportError> {
    let name = file.display().to_string();
    let unreadable = |error: io::Error| ReportError::Usage(format!("{name}: {error}"));
    let input: Box<dyn Read> = match name.as_str() {
        "-" => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(file).map_err(unreadable)?),
    };
    let mut reader = Reader::new(&name, BufReader::new(input))?;
    let mut importer = Importer::open(opening, "csv")?;
    while let Some(entry) = reader.entry()? {
        importer.add(entry)?;
    }
    show(importer.finish()?)
}

fn show(imported: Imported) -> Result<(), ReportError> {
    let Imported {
        taken,
        known,
        left_out,
    } = imported;
    let text = format!(
        "{taken} periods and days imported, {known} already in the ledger, {left_out} skipped (total unknown, or a \
         period of another length than the ledger's)\n"
    );
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(ReportError::Ledger(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Reads entries from lines. The lines of one period or day follow each other, with the dimension `all` first.
struct Reader<R> {
    name: String,
    csv: csv::Reader<R>,
    line: StringRecord,
    next: Option<Entry>,
}

impl<R: Read> Reader<R> {
    fn new(name: &str, input: R) -> Result<Reader<R>, ReportError> {
        let mut csv = csv::Reader::from_reader(input);
        let name = name.to_owned();
        let head = csv.headers().map_err(|error| broken(&name, &error))?;
        if head.iter().ne(COLUMNS) {
            return Err(ReportError::Usage(format!(
                "{name}: found other columns in line 1, expected {}, as export-totals --format csv writes them",
                COLUMNS.join(",")
            )));
        }
        Ok(Reader {
            name,
            csv,
            line: StringRecord::new(),
            next: None,
        })
    }

    /// The next entry with all of its lines.
    fn entry(&mut self) -> Result<Option<Entry>, ReportError> {
        loop {
            let read = self.csv.read_record(&mut self.line);
            if !read.map_err(|error| broken(&self.name, &error))? {
                return Ok(self.next.take());
            }
            let line = self.line.position().map_or(0, csv::Position::line);
            let refused =
                |what: String| ReportError::Usage(format!("{}: line {line}: {what}", self.name));
            let cells = Cells(&self.line);
            if cells.get(5) == "all" {
                let entry = cells.entry(now_seconds()).map_err(refused)?;
                if let Some(complete) = self.next.replace(entry) {
                    return Ok(Some(complete));
                }
                continue;
            }
            let same = self.next.as_mut().filter(|entry| {
                let same_kind = kind_of(cells.get(0)) == Some(entry.kind);
                same_kind && parse_moment(cells.get(1)) == Some(entry.start)
            });
            let Some(entry) = same else {
                let what = "found a value without its period, expected the line of the dimension all first";
                return Err(refused(what.to_owned()));
            };
            cells.add_to(entry).map_err(refused)?;
        }
    }
}

fn broken(name: &str, error: &csv::Error) -> ReportError {
    ReportError::Usage(format!(
        "{name}: {error}; expected the CSV of export-totals"
    ))
}
