//! `upgrade-responder export-totals`: writes the whole ledger to standard output, as CSV for another
//! server or as line protocol for another database. It never locks or writes the ledger.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use super::report::{ReportError, state};
use crate::line::encode::escaped;
use crate::state::StateDir;
use crate::totals::LedgerReader;
use crate::totals::history::{Entry, Figure, Kind, OfField, OfValue};
use crate::units::date::rfc3339;

/// The columns of the CSV. Users rely on them.
pub const COLUMNS: [&str; 15] = [
    "kind",
    "start",
    "seconds",
    "covered_seconds",
    "periods",
    "dimension",
    "type",
    "value",
    "name",
    "country",
    "total",
    "least",
    "greatest",
    "count",
    "sum",
];

/// The options of `export-totals`.
#[derive(Debug)]
pub struct ExportOptions {
    pub state_dir: PathBuf,
    /// `None`: the only application of the state directory.
    pub application: Option<String>,
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    LineProtocol,
}

/// Writes the whole ledger to standard output.
pub fn run(options: &ExportOptions) -> Result<(), ReportError> {
    let application = state::find(&options.state_dir, options.application.as_deref())?;
    let ledger = LedgerReader::open(&application.ledger())?;
    let out = BufWriter::new(io::stdout().lock());
    let written = match options.format {
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            let head = csv.write_record(COLUMNS).map_err(io_error);
            match head {
                Ok(()) => {
                    let written = ledger.history(|entry| write_csv(entry, &mut csv))?;
                    written.and_then(|()| csv.flush())
                }
                failed => failed,
            }
        }
        Format::LineProtocol => {
            let mut out = out;
            let instance = StateDir::new(&options.state_dir, &application.name).instance();
            let instance = instance.map_err(|error| {
                let place = options.state_dir.join(&application.name).join("instance");
                ReportError::Configuration(format!("{}: {error}", place.display()))
            })?;
            let written = ledger.history(|entry| write_lines(entry, &instance, &mut out))?;
            written.and_then(|()| out.flush())
        }
    };
    match written {
        // A closed pipe is no error: the reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(ReportError::Ledger(format!("standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// The error of the writer. The library's own conversion hides its kind, so a closed pipe would not be recognised.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn write_csv(entry: &Entry, out: &mut csv::Writer<impl Write>) -> io::Result<()> {
    let kind = match entry.kind {
        Kind::Period => "period",
        Kind::Day => "day",
    };
    let start = rfc3339(entry.start);
    let numbers = [entry.seconds, entry.covered_seconds, entry.periods].map(|n| n.to_string());
    let [seconds, covered, periods] = &numbers;
    let mut write = |of: [&str; 5], figures: [String; 5]| -> io::Result<()> {
        let first = [kind, &start, seconds, covered, periods];
        let cells = first.into_iter().chain(of);
        let record = cells.chain(figures.iter().map(String::as_str));
        out.write_record(record).map_err(io_error)
    };
    write(["all", "", "", "", ""], figures(entry.all))?;
    for of in &entry.values {
        let name = of.name.as_deref().unwrap_or_default();
        let columns = [&of.dimension, of.of.as_str(), &of.value, name, &of.country];
        write(columns, figures(Some(of.figure)))?;
    }
    for of in &entry.numbers {
        let [least, greatest] = [of.least, of.greatest].map(|number| number.to_string());
        let [count, sum] = [of.count, of.sum].map(|number| number.to_string());
        let figures = [String::new(), least, greatest, count, sum];
        write([&of.field, "number", "", "", ""], figures)?;
    }
    Ok(())
}

/// The cells of a figure; empty for an unknown total.
fn figures(figure: Option<Figure>) -> [String; 5] {
    let Some(figure) = figure else {
        return Default::default();
    };
    [
        figure.total.to_string(),
        figure.least.to_string(),
        figure.greatest.to_string(),
        String::new(),
        String::new(),
    ]
}

/// Points as the server sends them (DESIGN.md, "Totals"); a day is one point with its mean.
fn write_lines(entry: &Entry, instance: &str, out: &mut impl Write) -> io::Result<()> {
    let time = i128::from(entry.start) * 1_000_000_000;
    let mut lines = String::new();
    let instance = escaped(instance);
    // Writing to a String cannot fail.
    if let Some(all) = entry.all {
        let total = all.total.round();
        let _ = writeln!(
            lines,
            "upgrade_request_down_sampling,instance={instance} total={total}i {time}"
        );
    }
    for of in &entry.values {
        let Some((name, tags)) = point_of(of) else {
            continue;
        };
        let total = of.figure.total.round();
        let _ = writeln!(
            lines,
            "{name}_down_sampling,{tags},instance={instance} total={total}i {time}"
        );
    }
    for of in &entry.numbers {
        let OfField {
            field,
            count,
            sum,
            least,
            greatest,
        } = of;
        let _ = writeln!(
            lines,
            "fields_down_sampling,field={},instance={instance} \
             count={count},sum={sum},least={least},greatest={greatest} {time}",
            escaped(field)
        );
    }
    out.write_all(lines.as_bytes())
}

/// Measurement and tags; `None` if the tag's value is empty, which line protocol does not allow.
fn point_of(of: &OfValue) -> Option<(String, String)> {
    if of.value.is_empty() {
        return None;
    }
    let value = escaped(&of.value);
    Some(match of.dimension.as_str() {
        "country" => (
            "by_country_code".to_owned(),
            format!("country_isocode={value}"),
        ),
        "city" if !of.country.is_empty() => {
            let country = escaped(&of.country);
            (
                "by_city".to_owned(),
                format!("city={value},country_isocode={country}"),
            )
        }
        other => {
            let tag = escaped(other);
            (format!("by_{tag}"), format!("{tag}={value}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A closed pipe.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_recognised_below_the_csv() {
        let mut csv = csv::WriterBuilder::new()
            .buffer_capacity(16)
            .from_writer(Closed);
        let error = csv.write_record(COLUMNS).map_err(io_error).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
