//! Problems in a file that the operator wrote. A reader returns every problem that it finds, so that
//! all of them can be fixed at once. A problem never names the file; the caller adds the path.

use std::fmt;

/// One problem: its place inside the file, what was found there and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `versions[2] "v1.2", releaseDate` or `line 3, column 7`; empty for the file as a whole.
    pub place: String,
    /// What was found and what is expected, in lower case, without a full stop.
    pub message: String,
}

impl Problem {
    /// A problem at `place`; an empty place stands for the file as a whole.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem {
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// The problems found so far, so that a reader can continue with the next key.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn note(&mut self, place: &str, message: impl Into<String>) {
        self.0.push(Problem::new(place, message));
    }

    /// The value read at `key` of `place`. An error is noted as a problem and gives `None`.
    pub(super) fn keep<T>(&mut self, place: &str, key: &str, read: Result<T, String>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(message) => {
                self.note(&format!("{place}, {key}"), message);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_of_the_whole_file_has_no_leading_colon() {
        assert_eq!(
            Problem::new("line 3, column 7", "found x").to_string(),
            "line 3, column 7: found x"
        );
        assert_eq!(Problem::new("", "found x").to_string(), "found x");
    }
}
