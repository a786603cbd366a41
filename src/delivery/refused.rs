//! Finding the lines that InfluxDB refuses in a batch of which it stored the rest.
//!
//! InfluxDB names an unparsable line and the field of a type conflict, but for other refusals only
//! says that there were some, and of several kinds it names one. Sending a line again stores nothing
//! twice, so the batch is halved until the refused lines stand alone. Where one cause is named, all
//! its lines go at once if that is their number, so that 5000 lines with one wrong field do not cost
//! 5000 requests.

use std::collections::HashSet;

use super::influx::{Outcome, Trouble};
use super::rejected::Rejected;
use crate::line::parse::fields;

/// Refusals met in a batch after which a part with refused lines is rejected as a whole, although
/// InfluxDB stored the others of it. One bad line among 5000 takes 13 of them, a prefix beyond the
/// retention policy about as many.
const MAX_REFUSALS: usize = 200;

/// Sends a batch until each of its lines is stored or refused for good. `send` sends lines and is
/// called again with parts of the batch where InfluxDB refuses some. On trouble all of the batch is
/// kept, which is safe since storing a line twice changes nothing.
pub fn settle<'a>(
    batch: &'a [u8],
    send: &mut dyn FnMut(&[u8]) -> Outcome,
) -> Result<Vec<Rejected<'a>>, Trouble> {
    let outcome = match send(batch) {
        Outcome::Stored => return Ok(Vec::new()),
        Outcome::Kept(trouble) => return Err(trouble),
        outcome => outcome,
    };
    let lines: Vec<&[u8]> = batch
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    let mut search = Search {
        rejected: Vec::new(),
        todo: Vec::new(),
        refusals: 0,
    };
    search.handle(lines, outcome)?;
    while let Some(lines) = search.todo.pop() {
        let mut part = lines.join(&b'\n');
        part.push(b'\n');
        search.handle(lines, send(&part))?;
    }
    Ok(search.rejected)
}

struct Search<'a> {
    rejected: Vec<Rejected<'a>>,
    /// Parts of the batch that are to be sent again.
    todo: Vec<Vec<&'a [u8]>>,
    refusals: usize,
}

impl<'a> Search<'a> {
    fn handle(&mut self, lines: Vec<&'a [u8]>, outcome: Outcome) -> Result<(), Trouble> {
        match outcome {
            Outcome::Stored => {}
            Outcome::Kept(trouble) => return Err(trouble),
            Outcome::TooLarge => self.halve(lines, "larger than InfluxDB's max-body-size"),
            Outcome::Contradiction(reason) => self.halve(lines, &reason),
            Outcome::PartlyRefused(reason) => self.partly_refused(lines, &reason),
        }
        Ok(())
    }

    fn partly_refused(&mut self, lines: Vec<&'a [u8]>, reason: &str) {
        self.refusals += 1;
        if self.refusals > MAX_REFUSALS {
            let reason = format!("some of these, not searched further: {reason}");
            return self.reject(lines, &reason);
        }
        let (named, rest) = split_named(&lines, reason);
        if named.is_empty() {
            return match dropped(reason) == Some(lines.len()) {
                true => self.reject(lines, reason),
                false => self.halve(lines, reason),
            };
        }
        if !rest.is_empty() {
            self.todo.push(rest);
        }
        // A field's type is a shard's own: lines with the same field and type may be stored in another.
        match conflict(reason).is_none() || dropped(reason) == Some(named.len()) {
            true => self.reject(named, reason),
            false => self.halve(named, reason),
        }
    }

    fn halve(&mut self, mut lines: Vec<&'a [u8]>, reason: &str) {
        if lines.len() <= 1 {
            return self.reject(lines, reason);
        }
        let later = lines.split_off(lines.len() / 2);
        self.todo.push(later);
        self.todo.push(lines);
    }

    fn reject(&mut self, lines: Vec<&'a [u8]>, reason: &str) {
        self.rejected.push(Rejected {
            reason: reason.to_owned(),
            lines,
        });
    }
}

/// The lines that a refusal names, and the others.
fn split_named<'a>(lines: &[&'a [u8]], reason: &str) -> (Vec<&'a [u8]>, Vec<&'a [u8]>) {
    if let Some((field, kind)) = conflict(reason) {
        return lines.iter().partition(|line| {
            fields(line)
                .any(|(key, value)| key == field.as_bytes() && Kind::of(value) == Some(kind))
        });
    }
    // Quoted are the lines that could not be parsed, one behind the other.
    let quoted: HashSet<&[u8]> = reason
        .split("unable to parse '")
        .skip(1)
        .filter_map(|text| Some(text.rsplit_once("': ")?.0.as_bytes()))
        .collect();
    lines.iter().partition(|line| quoted.contains(**line))
}

/// From `input field "x" on measurement "m" is type string, already exists as type float`: the field
/// and the type that is refused.
fn conflict(reason: &str) -> Option<(&str, Kind)> {
    let (_, rest) = reason.split_once("input field \"")?;
    let (field, rest) = rest.split_once("\" on measurement ")?;
    let (_, rest) = rest.split_once(" is type ")?;
    let kind = match rest.split([',', ' ']).next()? {
        "float" => Kind::Float,
        "integer" => Kind::Integer,
        "string" => Kind::Text,
        "boolean" => Kind::Boolean,
        _ => return None,
    };
    Some((field, kind))
}

/// From `dropped=3` at the end. It may be less than what was refused (an unparsable line counts as
/// none), so it is only believed when it says all; else it is a reason to search.
fn dropped(reason: &str) -> Option<usize> {
    reason.trim_end().rsplit_once("dropped=")?.1.parse().ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float,
    Integer,
    Text,
    Boolean,
}

impl Kind {
    fn of(value: &[u8]) -> Option<Kind> {
        Some(match (value.first()?, value.last()?) {
            (b'"', _) => Kind::Text,
            (b't' | b'T' | b'f' | b'F', _) => Kind::Boolean,
            (_, b'i') => Kind::Integer,
            _ => Kind::Float,
        })
    }
}

#[cfg(test)]
mod tests;
