//! What is wrong with a file that the operator wrote. Readers of such files return every problem
//! they find, so that one look is enough to fix the file; naming the file is left to the caller,
//! who knows it.

use std::fmt;

/// One mistake: where it stands inside the file, what was found there and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `versions[2] "v1.2", releaseDate` or `line 3, column 7`; empty for the file as a whole.
    pub place: String,
    /// What was found and what is expected, in lower case, without a full stop.
    pub message: String,
}

impl Problem {
    /// A problem at `place`, which is empty where it is the file as a whole.
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

/// Collects what a reader finds, so that it can go on to the next key.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn note(&mut self, place: &str, message: impl Into<String>) {
        self.0.push(Problem::new(place, message));
    }

    /// The value that was read at `key` of `place`; `None` where reading it found a problem, which
    /// is noted.
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
