//! The cells of one line of the CSV, checked: an error names the column, what was found and what is expected.

use csv::StringRecord;

use crate::service::export_totals::COLUMNS;
use crate::totals::history::{Entry, Figure, Kind, OfField, OfValue, Type};
use crate::units::date::{parse_moment, rfc3339};

/// The greatest total. The limit keeps sums of totals from overflowing.
const MOST: i64 = (1 << 53) - 1;
/// How far the clock of the exporting machine may be ahead, in seconds.
const CLOCKS: i64 = 3_600;

/// The kind of an entry, from its name.
pub(super) fn kind_of(text: &str) -> Option<Kind> {
    match text {
        "period" => Some(Kind::Period),
        "day" => Some(Kind::Day),
        _ => None,
    }
}

/// One line.
pub(super) struct Cells<'a>(pub(super) &'a StringRecord);

impl Cells<'_> {
    pub(super) fn get(&self, at: usize) -> &str {
        self.0.get(at).unwrap_or_default()
    }

    fn wrong(&self, at: usize, expected: &str) -> String {
        let column = COLUMNS.get(at).copied().unwrap_or_default();
        format!("{column}: found {:?}, expected {expected}", self.get(at))
    }

    fn whole(&self, at: usize, least: i64) -> Result<i64, String> {
        let number = self.get(at).parse().ok();
        number
            .filter(|number| (least..=MOST).contains(number))
            .ok_or_else(|| self.wrong(at, &format!("a whole number from {least} to {MOST}")))
    }

    fn number(&self, at: usize) -> Result<f64, String> {
        let number = self.get(at).parse().ok();
        number
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| self.wrong(at, "a number"))
    }

    /// The figures of a total. Those of a period are equal; the mean of a day is between the least and the greatest.
    fn figure(&self, kind: Kind) -> Result<Figure, String> {
        let total = self.number(10)?;
        if !(0.0..=MOST as f64).contains(&total) {
            return Err(self.wrong(10, &format!("a number from 0 to {MOST}")));
        }
        let (least, greatest) = (self.whole(11, 0)?, self.whole(12, 0)?);
        // The mean is rounded.
        let rounding = match kind {
            Kind::Day => total * 1e-9,
            Kind::Period => 0.0,
        };
        if least as f64 > total + rounding {
            return Err(self.wrong(11, &format!("at most the total, {total}")));
        }
        if total > greatest as f64 + rounding {
            return Err(self.wrong(12, &format!("at least the total, {total}")));
        }
        if kind == Kind::Period && least != greatest {
            return Err(self.wrong(12, &format!("the total, {total}, for a period")));
        }
        Ok(Figure {
            total,
            least,
            greatest,
        })
    }

    fn field(&self, field: String) -> Result<OfField, String> {
        let (least, greatest) = (self.number(11)?, self.number(12)?);
        if least > greatest {
            return Err(self.wrong(12, &format!("at least the value of least, {least}")));
        }
        let count = self.number(13)?;
        if count < 0.0 {
            return Err(self.wrong(13, "a number that is not negative"));
        }
        Ok(OfField {
            field,
            count,
            sum: self.number(14)?,
            least,
            greatest,
        })
    }

    /// The period or day of a line for `all`; `now` is in seconds since 1970.
    pub(super) fn entry(&self, now: i64) -> Result<Entry, String> {
        let kind = kind_of(self.get(0)).ok_or_else(|| self.wrong(0, "period or day"))?;
        let start = parse_moment(self.get(1)).filter(|start| *start >= 0);
        let start = start.ok_or_else(|| self.wrong(1, "an RFC 3339 time since 1970"))?;
        if start > now.saturating_add(CLOCKS) {
            let expected = format!("a time that is not after now, {}", rfc3339(now));
            return Err(self.wrong(1, &expected));
        }
        let seconds = self.whole(2, 1)?;
        if kind == Kind::Day && (seconds != 86_400 || start % 86_400 != 0) {
            return Err(self.wrong(2, "86400 seconds from midnight (UTC) for a day"));
        }
        let covered_seconds = self.whole(3, 0)?;
        // The periods of a day can be longer than the day.
        if kind == Kind::Period && covered_seconds > seconds {
            let expected = format!("at most the {seconds} seconds of the period");
            return Err(self.wrong(3, &expected));
        }
        let known = !self.get(10).is_empty();
        Ok(Entry {
            kind,
            start,
            seconds,
            covered_seconds: covered_seconds.min(seconds),
            periods: self.whole(4, 0)?,
            all: known.then(|| self.figure(kind)).transpose()?,
            values: Vec::new(),
            numbers: Vec::new(),
        })
    }

    /// Adds the value or field of a line to its period or day.
    pub(super) fn add_to(&self, entry: &mut Entry) -> Result<(), String> {
        let name = self.get(5).to_owned();
        if name.is_empty() {
            return Err(self.wrong(5, "the name of a dimension"));
        }
        let of = match self.get(6) {
            "tag" => Type::Tag,
            "boolean" => Type::Boolean,
            "number" => {
                entry.numbers.push(self.field(name)?);
                return Ok(());
            }
            _ => return Err(self.wrong(6, "tag, boolean or number")),
        };
        let figure = self.figure(entry.kind)?;
        let country_name = Some(self.get(8)).filter(|name| !name.is_empty());
        entry.values.push(OfValue {
            dimension: name,
            of,
            value: self.get(7).to_owned(),
            name: country_name.map(str::to_owned),
            country: self.get(9).to_owned(),
            figure,
        });
        Ok(())
    }
}
