//! `upgrade-responder import-totals`: adds the totals of another server to the ledger, while the server
//! runs or not. It never changes what the ledger counted itself.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::connect::connect;
use super::export_totals::COLUMNS;
use super::import_influx;
use super::report::ReportError;
use crate::service::influx_options::InfluxOptions;
use crate::service::options::Database;
use crate::state::StateDir;
use crate::totals::history::{Entry, Figure, Kind, OfField, OfValue, Type};
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
                let entry = cells.entry().map_err(refused)?;
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

fn kind_of(text: &str) -> Option<Kind> {
    match text {
        "period" => Some(Kind::Period),
        "day" => Some(Kind::Day),
        _ => None,
    }
}

/// One line.
struct Cells<'a>(&'a StringRecord);

impl Cells<'_> {
    fn get(&self, at: usize) -> &str {
        self.0.get(at).unwrap_or_default()
    }

    fn wrong(&self, at: usize, expected: &str) -> String {
        let column = COLUMNS.get(at).copied().unwrap_or_default();
        format!("{column}: found {:?}, expected {expected}", self.get(at))
    }

    fn whole(&self, at: usize, least: i64) -> Result<i64, String> {
        let number = self.get(at).parse().ok();
        // The limit keeps sums of such numbers from overflowing.
        number
            .filter(|number| (least..1 << 53).contains(number))
            .ok_or_else(|| self.wrong(at, &format!("a whole number of at least {least}")))
    }

    fn number(&self, at: usize) -> Result<f64, String> {
        let number = self.get(at).parse().ok();
        number
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| self.wrong(at, "a number"))
    }

    fn figure(&self) -> Result<Figure, String> {
        let total = self.number(10)?;
        if total < 0.0 {
            return Err(self.wrong(10, "a number that is not negative"));
        }
        Ok(Figure {
            total,
            least: self.whole(11, 0)?,
            greatest: self.whole(12, 0)?,
        })
    }

    fn entry(&self) -> Result<Entry, String> {
        let kind = kind_of(self.get(0)).ok_or_else(|| self.wrong(0, "period or day"))?;
        let start = parse_moment(self.get(1)).filter(|start| *start >= 0);
        let start = start.ok_or_else(|| self.wrong(1, "an RFC 3339 time since 1970"))?;
        let seconds = self.whole(2, 1)?;
        if kind == Kind::Day && (seconds != 86_400 || start % 86_400 != 0) {
            return Err(self.wrong(2, "86400 seconds from midnight (UTC) for a day"));
        }
        let known = !self.get(10).is_empty();
        Ok(Entry {
            kind,
            start,
            seconds,
            covered_seconds: self.whole(3, 0)?.min(seconds),
            periods: self.whole(4, 0)?,
            all: known.then(|| self.figure()).transpose()?,
            values: Vec::new(),
            numbers: Vec::new(),
        })
    }

    fn add_to(&self, entry: &mut Entry) -> Result<(), String> {
        let name = self.get(5).to_owned();
        if name.is_empty() {
            return Err(self.wrong(5, "the name of a dimension"));
        }
        let of = match self.get(6) {
            "tag" => Type::Tag,
            "boolean" => Type::Boolean,
            "number" => {
                entry.numbers.push(OfField {
                    field: name,
                    count: self.number(13)?,
                    sum: self.number(14)?,
                    least: self.number(11)?,
                    greatest: self.number(12)?,
                });
                return Ok(());
            }
            _ => return Err(self.wrong(6, "tag, boolean or number")),
        };
        let country_name = Some(self.get(8)).filter(|name| !name.is_empty());
        entry.values.push(OfValue {
            dimension: name,
            of,
            value: self.get(7).to_owned(),
            name: country_name.map(str::to_owned),
            country: self.get(9).to_owned(),
            figure: self.figure()?,
        });
        Ok(())
    }
}
