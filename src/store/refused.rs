//! Finding the lines that InfluxDB refuses in a batch of which it stored the rest.
//!
//! InfluxDB names an unparsable line and the field of a type conflict, but for other refusals only
//! says that there were some, and of several kinds it names one. Sending a line again stores nothing
//! twice, so the batch is halved until the refused lines stand alone. Where one cause is named, all
//! its lines go at once, so that 5000 lines with one wrong field do not cost 5000 requests.

use std::collections::HashSet;

use super::influx::{Outcome, Trouble};
use super::point::fields;
use super::rejected::Rejected;

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
        if !named.is_empty() {
            self.reject(named, reason);
            if !rest.is_empty() {
                self.todo.push(rest);
            }
        } else if dropped(reason) == Some(lines.len()) {
            self.reject(lines, reason);
        } else {
            self.halve(lines, reason);
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
/// none), so it is only believed when it says all.
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
mod tests {
    use super::*;

    /// An InfluxDB that refuses lines holding `bad`, in the words of `refusal`.
    fn impostor(bad: &str, refusal: impl Fn(usize) -> String) -> impl FnMut(&[u8]) -> Outcome {
        move |part| {
            let text = String::from_utf8(part.to_vec()).unwrap();
            match text.lines().filter(|line| line.contains(bad)).count() {
                0 => Outcome::Stored,
                n => Outcome::PartlyRefused(refusal(n)),
            }
        }
    }

    fn batch(lines: usize, is_bad: impl Fn(usize) -> bool) -> Vec<u8> {
        let line = |n| format!("m v={}i {n}\n", if is_bad(n) { "bad" } else { "1" });
        (0..lines).map(line).collect::<String>().into_bytes()
    }

    fn rejected_lines(rejected: &[Rejected<'_>]) -> usize {
        rejected.iter().map(|rejected| rejected.lines.len()).sum()
    }

    #[test]
    fn one_bad_line_among_5000_is_found_in_a_bounded_number_of_requests() {
        let batch = batch(5000, |n| n == 1234);
        let mut requests = 0;
        let mut influx = impostor("bad", |_| "partial write: something dropped=0".to_owned());
        let rejected = settle(&batch, &mut |part| {
            requests += 1;
            influx(part)
        })
        .unwrap();
        assert_eq!(rejected.len(), 1);
        assert_eq!(rejected[0].lines, [b"m v=badi 1234".as_slice()]);
        assert!(requests <= 27, "took {requests} requests");
    }

    #[test]
    fn a_prefix_that_is_too_old_costs_few_requests() {
        let batch = batch(5000, |n| n < 2345);
        let mut requests = 0;
        let mut influx = impostor("bad", |n| {
            format!("partial write: points beyond retention policy dropped={n}")
        });
        let rejected = settle(&batch, &mut |part| {
            requests += 1;
            influx(part)
        })
        .unwrap();
        assert_eq!(rejected_lines(&rejected), 2345);
        assert!(requests <= 30, "took {requests} requests");
    }

    #[test]
    fn a_named_field_and_type_refuses_all_its_lines_at_once() {
        let batch =
            b"m,a=b\\ c value=1i,x=1 1\nm value=1i,x=\"a, x=1 \\\" \" 2\nm value=1i,x=2 3\n";
        let mut requests = 0;
        let rejected = settle(batch, &mut |part| {
            requests += 1;
            match part.windows(3).any(|text| text == b"x=\"") {
                true => Outcome::PartlyRefused(
                    "partial write: field type conflict: input field \"x\" on measurement \"m\" is \
                     type string, already exists as type float dropped=1"
                        .to_owned(),
                ),
                false => Outcome::Stored,
            }
        })
        .unwrap();
        assert_eq!(
            rejected[0].lines,
            [b"m value=1i,x=\"a, x=1 \\\" \" 2".as_slice()]
        );
        assert_eq!(requests, 2);
    }

    #[test]
    fn named_unparsable_lines_are_taken_at_their_word() {
        let batch = b"m v=1i 1\nm it's: bad\nm worse\n";
        let mut first = true;
        let rejected = settle(batch, &mut |_| match std::mem::take(&mut first) {
            true => Outcome::PartlyRefused(
                "unable to parse 'm it's: bad': invalid field format\nunable to parse \
                     'm worse': invalid field format"
                    .to_owned(),
            ),
            false => Outcome::Stored,
        })
        .unwrap();
        assert_eq!(rejected[0].lines, [b"m it's: bad".as_slice(), b"m worse"]);
    }

    #[test]
    fn a_single_line_that_is_too_large_is_rejected_and_the_others_are_stored() {
        let batch = batch(64, |n| n == 40);
        let rejected = settle(&batch, &mut |part| match part.len() > 200
            || part.windows(3).any(|text| text == b"bad")
        {
            true => Outcome::TooLarge,
            false => Outcome::Stored,
        })
        .unwrap();
        assert_eq!(rejected_lines(&rejected), 1);
    }

    #[test]
    fn the_search_ends_although_every_second_line_is_bad() {
        let batch = batch(5000, |n| n % 2 == 0);
        let mut requests = 0;
        let mut influx = impostor("bad", |_| "partial write: something dropped=0".to_owned());
        let rejected = settle(&batch, &mut |part| {
            requests += 1;
            influx(part)
        })
        .unwrap();
        assert!(requests <= 3 * MAX_REFUSALS, "took {requests} requests");
        assert!(rejected_lines(&rejected) >= 2500);
    }

    #[test]
    fn no_line_is_rejected_that_was_never_sent_although_the_search_is_cut_short() {
        let batch = batch(5000, |n| n < 2500 && n % 2 == 0);
        let mut influx = impostor("bad", |_| "partial write: something dropped=0".to_owned());
        let rejected = settle(
            &batch,
            &mut |part| match part.len() > batch.len() / 2 + 100 {
                true => Outcome::TooLarge,
                false => influx(part),
            },
        )
        .unwrap();
        assert!(rejected_lines(&rejected) <= 2500);
    }
}
