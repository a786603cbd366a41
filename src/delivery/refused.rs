//! Search for the lines that InfluxDB refuses in a batch of which it stored the rest.
//!
//! InfluxDB names an unparsable line and the field of a type conflict. Of other refusals it only gives the number,
//! and of several kinds it names one. Sending a line again stores nothing twice, so the batch is halved until the
//! refused lines are alone. If a cause is named and `dropped=` equals the number of its lines, these are rejected at
//! once, so that 5000 lines with one wrong field do not cost 5000 requests. A line that InfluxDB may have stored
//! must not be rejected before [`MAX_REFUSALS`].

use std::collections::{HashMap, VecDeque};

use super::outcome::{Outcome, Trouble};
use super::reason::{dropped, is_conflict, split_named};
use super::rejected::Rejected;

/// Refusals in a batch after which a part with refused lines is rejected as a whole, although InfluxDB stored its
/// other lines. Finding one bad line among 5000 takes 13 refusals, a prefix beyond the retention policy about as many.
const MAX_REFUSALS: usize = 200;

/// Number of parts with answers that cannot be parsed, while no part is stored, after which the lines are not the
/// cause.
const MAX_UNREADABLE: usize = 32;

/// Sends a batch until each of its lines is stored or rejected. `send` sends lines, and is called again with parts of
/// the batch where InfluxDB refuses some. After trouble the whole batch stays in the spool, which is safe because
/// storing a line twice changes nothing. An answer that cannot be parsed is such trouble too, unless `blames_lines`
/// returns that a line may cause it: then that line is searched for.
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
    /// Whether a part was stored.
    stored: bool,
    /// Number of parts with answers that could not be parsed.
    unreadable: usize,
    /// Lines that were sent alone when the answer could not be parsed.
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
            let reason =
                format!("refused in part, the refused lines were not searched further: {reason}");
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
        // Each shard has its own type of a field, so another shard may store lines with the same field and type.
        match !is_conflict(reason) || dropped(reason) == Some(named.len()) {
            true => self.reject(named, reason),
            false => self.halve(named, reason),
        }
    }

    /// Handles lines with an unknown outcome. Parts of one size are sent before smaller ones, so that a database
    /// that answers everything like this is noticed early.
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
            // Sent once more, because the answer may have been damaged by chance.
            self.suspects.push(line);
            self.todo.push_front(lines);
            return Ok(());
        }
        let later = lines.split_off(lines.len() / 2);
        self.todo.push_front(lines);
        self.todo.push_front(later);
        Ok(())
    }

    /// Rejects the named lines. The answer names at most 100, so the others are sent again.
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
        // If no number matches a line, the refused lines are searched for.
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
