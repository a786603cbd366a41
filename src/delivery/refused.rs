//! Finding the lines that InfluxDB refuses in a batch of which it stored the rest.
//!
//! InfluxDB names an unparsable line and the field of a type conflict, but for other refusals only
//! says that there were some, and of several kinds it names one. Sending a line again stores nothing
//! twice, so the batch is halved until the refused lines stand alone. Where one cause is named, all
//! its lines go at once if that is their number, so that 5000 lines with one wrong field do not cost
//! 5000 requests.

use std::collections::{HashMap, VecDeque};

use super::outcome::{Outcome, Trouble};
use super::reason::{dropped, is_conflict, split_named};
use super::rejected::Rejected;

/// Refusals met in a batch after which a part with refused lines is rejected as a whole, although
/// InfluxDB stored the others of it. One bad line among 5000 takes 13 of them, a prefix beyond the
/// retention policy about as many.
const MAX_REFUSALS: usize = 200;

/// Parts whose answers cannot be parsed, while no other part is stored, after which it is not the lines' fault.
const MAX_UNREADABLE: usize = 32;

/// Sends a batch until each of its lines is stored or refused for good. `send` sends lines and is
/// called again with parts of the batch where InfluxDB refuses some. On trouble all of the batch is
/// kept, which is safe since storing a line twice changes nothing. An answer that cannot be parsed is such
/// trouble too, unless `blames_lines` says that a line may cause it: then that line is searched for.
pub fn settle<'a>(
    batch: &'a [u8],
    send: &mut dyn FnMut(&[u8]) -> Outcome,
    blames_lines: &dyn Fn() -> bool,
) -> Result<Vec<Rejected<'a>>, Trouble> {
    let outcome = send(batch);
    if outcome == Outcome::Stored {
        return Ok(Vec::new());
    }
    let lines: Vec<&[u8]> = batch
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    let mut search = Search {
        rejected: Vec::new(),
        todo: VecDeque::new(),
        refusals: 0,
        stored: false,
        unreadable: 0,
        suspects: Vec::new(),
        blames_lines,
    };
    search.handle(lines, outcome)?;
    while let Some(lines) = search.todo.pop_back() {
        let mut part = lines.join(&b'\n');
        part.push(b'\n');
        search.handle(lines, send(&part))?;
    }
    Ok(search.rejected)
}

struct Search<'a, 's> {
    rejected: Vec<Rejected<'a>>,
    /// Parts of the batch that are to be sent again.
    todo: VecDeque<Vec<&'a [u8]>>,
    refusals: usize,
    /// A part was stored.
    stored: bool,
    /// Parts whose answers could not be parsed.
    unreadable: usize,
    /// Lines that stood alone when the answer could not be parsed.
    suspects: Vec<&'a [u8]>,
    blames_lines: &'s dyn Fn() -> bool,
}

impl<'a> Search<'a, '_> {
    fn handle(&mut self, lines: Vec<&'a [u8]>, outcome: Outcome) -> Result<(), Trouble> {
        match outcome {
            Outcome::Stored => self.stored = true,
            Outcome::Kept(Trouble::Unreadable(what)) => return self.unreadable(lines, what),
            Outcome::Kept(trouble) => return Err(trouble),
            Outcome::TooLarge(reason) => self.halve(lines, &reason),
            Outcome::Contradiction(reason) => self.halve(lines, &reason),
            Outcome::PartlyRefused(reason) => self.partly_refused(lines, &reason),
            Outcome::LinesRefused(named) => self.lines_refused(lines, named),
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
            self.todo.push_back(rest);
        }
        // A field's type is a shard's own: lines with the same field and type may be stored in another.
        match !is_conflict(reason) || dropped(reason) == Some(named.len()) {
            true => self.reject(named, reason),
            false => self.halve(named, reason),
        }
    }

    /// Nobody knows what became of these. Parts of one size are sent before smaller ones, so that a database
    /// that answers everything so shows early.
    fn unreadable(&mut self, mut lines: Vec<&'a [u8]>, what: String) -> Result<(), Trouble> {
        self.unreadable += 1;
        let all_alike = self.unreadable > MAX_UNREADABLE && !self.stored;
        if all_alike || !(self.blames_lines)() {
            return Err(Trouble::Unreadable(what));
        }
        if let [line] = lines[..] {
            if self.suspects.contains(&line) {
                self.reject(
                    lines,
                    &format!("the answer to this line cannot be parsed: {what}"),
                );
                return Ok(());
            }
            // Once more, since it may have been chance.
            self.suspects.push(line);
            self.todo.push_front(lines);
            return Ok(());
        }
        let later = lines.split_off(lines.len() / 2);
        self.todo.push_front(lines);
        self.todo.push_front(later);
        Ok(())
    }

    /// At most 100 lines are named, so the others are sent again.
    fn lines_refused(&mut self, lines: Vec<&'a [u8]>, named: Vec<(usize, String)>) {
        let reasons: HashMap<usize, String> = named.into_iter().collect();
        let mut rest = Vec::new();
        let before = lines.len();
        for (number, line) in lines.into_iter().enumerate() {
            match reasons.get(&number) {
                Some(reason) => self.reject(vec![line], reason),
                None => rest.push(line),
            }
        }
        // Numbers of no line: the refused lines are searched for.
        if rest.len() == before {
            return self.halve(rest, "refused, but none of these lines is named");
        }
        if !rest.is_empty() {
            self.todo.push_back(rest);
        }
    }

    fn halve(&mut self, mut lines: Vec<&'a [u8]>, reason: &str) {
        if lines.len() <= 1 {
            return self.reject(lines, reason);
        }
        let later = lines.split_off(lines.len() / 2);
        self.todo.push_back(later);
        self.todo.push_back(lines);
    }

    fn reject(&mut self, lines: Vec<&'a [u8]>, reason: &str) {
        self.rejected.push(Rejected {
            reason: reason.to_owned(),
            lines,
        });
    }
}

#[cfg(test)]
mod tests;
