//! Formats a report as a table for a terminal of 80 columns.

mod cell;
mod lines;
mod spark;

use std::fmt::{self, Write};

use cell::{fit, pad, width};
use lines::{Change, Line, Rows, lines};
use spark::GAP;

use crate::totals::format::figures::coverage_note;
use crate::totals::report::{Every, Report, Row};
use crate::units::date::rfc3339;
use crate::units::duration::short;

/// Columns of the terminal.
const COLUMNS: usize = 80;
/// The most values that are shown.
const SHOWN: usize = 20;
/// The most columns of a value, and of the bars.
const LABEL: usize = 28;
const BARS: usize = 40;
/// With fewer columns there are no bars.
const LEAST_BARS: usize = 4;

/// A report to be shown; `Display` writes it.
#[derive(Debug)]
pub struct Text<'a> {
    pub application: &'a str,
    /// It includes the same span before.
    pub report: &'a Report,
    /// The span, in seconds since 1970.
    pub from: i64,
    pub to: i64,
    pub every: Every,
    /// In seconds since 1970.
    pub now: i64,
    /// The beginning of the ledger's first period, and the end of its last.
    pub known: Option<(i64, i64)>,
    pub colour: bool,
}

/// The emphasis of a piece of text.
#[derive(Clone, Copy)]
enum Style {
    Bold,
    Dim,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = Rows::of(self);
        let in_span = self.report.rows.get(rows.begin..).unwrap_or(&[]);
        let Some(first) = in_span.first() else {
            return self.say_nothing(f);
        };
        self.say_title(first, f)?;
        if in_span.iter().all(|row| row.total.is_none()) {
            return self.say_unknown(in_span, f);
        }
        let made = lines(self, &rows);
        let table = self.table(&rows, &made.lines);
        f.write_str(&table)?;
        let mut notes = self.notes(&rows);
        if table.contains(GAP) {
            notes.push(format!("{GAP}: not known"));
        }
        if made.left_out > 0 {
            notes.push(format!(
                "{} of {} values are shown; --format csv and --format json have all",
                made.values - made.left_out,
                made.values
            ));
        }
        f.write_char('\n')?;
        for note in notes {
            writeln!(f, "{}", self.styled(&note, Style::Dim))?;
        }
        Ok(())
    }
}

impl Text<'_> {
    fn say_title(&self, first: &Row, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.report.by.as_str() {
            "all" => String::new(),
            by => format!(" by {by}"),
        };
        let title = fit(&format!("{}{by}", self.application), COLUMNS);
        let a_row = match self.every {
            Every::Period => "check-ins a period".to_owned(),
            every => format!("check-ins a period, mean of {every}"),
        };
        writeln!(f, "{}", self.styled(&title, Style::Bold))?;
        writeln!(
            f,
            "{} to {} UTC, {a_row} ({})\n",
            moment(first.start),
            moment(self.to.min(self.now)),
            short(self.report.query_period_seconds)
        )
    }

    /// For a span without any period.
    fn say_nothing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let application = fit(self.application, COLUMNS / 2);
        match self.known {
            Some((from, to)) => writeln!(
                f,
                "{application}: nothing was counted in this time; there are totals from {} to {} UTC.",
                moment(from),
                // The running period or day ends in the future.
                moment(to.min(self.now))
            ),
            None => {
                writeln!(f, "{application}: no check-in has been counted yet.\n")?;
                f.write_str(SEND_ONE)
            }
        }
    }

    /// For a span whose totals are all unknown.
    fn say_unknown(&self, in_span: &[Row], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Not known: no check-in was counted in this time, and the server did not cover\n\
             a whole period of it, so it may have missed some."
        )?;
        let Some(running) = in_span.last().filter(|row| !row.finished) else {
            return Ok(());
        };
        writeln!(
            f,
            "The current period ends at {} UTC.\n",
            moment(end_of(running))
        )?;
        f.write_str(SEND_ONE)
    }

    fn table(&self, rows: &Rows, lines: &[Line]) -> String {
        let mut table: Vec<[String; 5]> = vec![self.heading(rows)];
        table.extend(lines.iter().map(|line| cells(line, rows)));
        // A column with empty cells only is left out; the first one always has a label.
        let columns: Vec<usize> = (0..5)
            .filter(|&column| table.iter().any(|row| !row[column].is_empty()))
            .collect();
        let widths: Vec<usize> = columns
            .iter()
            .map(|&column| {
                table
                    .iter()
                    .map(|row| width(&row[column]))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let used: usize = widths.iter().map(|width| width + 2).sum();
        let room = COLUMNS.saturating_sub(used).min(BARS);
        let bars = |line: &Line| match room {
            0..LEAST_BARS => String::new(),
            _ => spark::line(&line.bars, room),
        };
        let mut text = String::new();
        for (index, row) in table.iter().enumerate() {
            let padded = columns.iter().zip(&widths);
            let padded = padded.map(|(&column, &width)| pad(&row[column], width, column > 0));
            let cells = padded.collect::<Vec<_>>().join("  ");
            let line = index.checked_sub(1).and_then(|index| lines.get(index));
            let shown = format!("{cells}  {}", line.map(bars).unwrap_or_default());
            let shown = shown.trim_end();
            match index {
                0 => text.push_str(&self.styled(shown, Style::Dim)),
                1 => text.push_str(&self.styled(shown, Style::Bold)),
                _ => text.push_str(shown),
            }
            text.push('\n');
        }
        text
    }

    fn heading(&self, rows: &Rows) -> [String; 5] {
        let by = match self.report.by.as_str() {
            "all" => String::new(),
            by => fit(by, LABEL),
        };
        let is_now = rows.running.is_some();
        let now = if is_now { "now" } else { "last" };
        let so_far = if is_now { "so far" } else { "" };
        let share = if self.report.by == "all" { "" } else { "share" };
        [by, now.into(), so_far.into(), share.into(), "change".into()]
    }

    /// The notes that explain the columns.
    fn notes(&self, rows: &Rows) -> Vec<String> {
        let row = |index: Option<usize>| index.and_then(|index| self.report.rows.get(index));
        let mut notes = Vec::new();
        let now = if rows.running.is_some() {
            "now"
        } else {
            "last"
        };
        match row(rows.last()) {
            None => notes.push(format!("{now}: no period is finished yet")),
            Some(last) => notes.push(format!(
                "{now}: {}{}",
                between(last),
                coverage_note(last, self.every)
            )),
        }
        if let Some(running) = row(rows.running) {
            let passed = self.now.saturating_sub(running.start).max(0).unsigned_abs();
            let passed = passed.min(running.seconds);
            notes.push(format!(
                "so far: since {} UTC, {} of {} ({}%)",
                moment(running.start),
                short(passed),
                short(running.seconds),
                passed * 100 / running.seconds.max(1)
            ));
        }
        // No ledger has totals from before 1970; `--last all` begins earlier.
        if self.from <= 0 {
            notes.push("change: not known, as the span begins before all totals".to_owned());
            return notes;
        }
        let length = self.to.saturating_sub(self.from).max(0).unsigned_abs();
        // Rounded up, because the current second is not part of the span.
        let length = short(length.next_multiple_of(60));
        notes.push(format!(
            "change: the mean per period, compared with the {length} before"
        ));
        notes
    }

    fn styled(&self, text: &str, style: Style) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => 1,
            Style::Dim => 2,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Advice for a server without check-ins.
const SEND_ONE: &str = "Send the server a check-in, and ask again:\n\n  \
    curl http://127.0.0.1:8314/v1/checkupgrade -d '{\"appVersion\":\"v1.0.0\"}'\n\n\
    The address is that of --listen; the log shows it when the server is ready.\n";

/// The cells of a line, without its bars.
fn cells(line: &Line, rows: &Rows) -> [String; 5] {
    let gap = || GAP.to_string();
    let so_far = match rows.running {
        None => String::new(),
        Some(_) => line.so_far.map_or_else(gap, figure),
    };
    let share = line.share.map(|share| format!("{:.0}%", share * 100.0));
    let change = match line.change {
        Change::Unknown => gap(),
        Change::New => "new".to_owned(),
        Change::By(part) if part >= 10.0 => ">999%".to_owned(),
        Change::By(part) => match format!("{:+.0}%", part * 100.0) {
            none if none == "+0%" || none == "-0%" => "0%".to_owned(),
            change => change,
        },
    };
    [
        fit(&line.label, LABEL),
        line.now.map_or_else(gap, figure),
        so_far,
        share.unwrap_or_default(),
        change,
    ]
}

/// A figure in at most 12 columns.
fn figure(figure: f64) -> String {
    match figure.abs() {
        size if size >= 1e11 => format!("{figure:.2e}"),
        _ if figure.fract() == 0.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 0.1 => format!("{figure:.2}"),
        _ => format!("{figure:.1e}"),
    }
}

/// `2026-11-23 15:00`
fn moment(seconds: i64) -> String {
    let text = rfc3339(seconds);
    match (text.get(..10), text.get(11..16)) {
        (Some(date), Some(time)) => format!("{date} {time}"),
        _ => text,
    }
}

fn end_of(row: &Row) -> i64 {
    row.start.saturating_add_unsigned(row.seconds)
}

/// `2026-11-23 14:00 to 15:00 UTC`
fn between(row: &Row) -> String {
    let (start, end) = (moment(row.start), moment(end_of(row)));
    let end = match (start.get(..10), end.split_once(' ')) {
        (Some(day), Some((same, time))) if day == same => time.to_owned(),
        _ => end,
    };
    format!("{start} to {end} UTC")
}

#[cfg(test)]
mod tests;
