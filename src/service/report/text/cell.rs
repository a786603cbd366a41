//! Fits text that clients sent into a column of a terminal, so that it cannot change the text beside it.

use unicode_width::UnicodeWidthChar;

use crate::units::visible::{REPLACED, is_invisible};

/// A mark of no width that makes the following text run from left to right.
const LEFT_TO_RIGHT: char = '\u{200e}';
/// The most combining marks on one letter.
const MARKS: usize = 2;

/// The text in at most `most` columns; `…` replaces the part that does not fit.
pub fn fit(text: &str, most: usize) -> String {
    let safe = safe(text);
    let fitted = if width(&safe) <= most {
        safe
    } else {
        let mut columns = 0;
        let room = most.saturating_sub(1);
        let fits = |c: &char| {
            columns += columns_of(*c);
            columns <= room
        };
        let mut start: String = safe.chars().take_while(fits).collect();
        start.push('…');
        start
    };
    if fitted.chars().any(is_right_to_left) {
        // Otherwise the figures after it, or the whole line, would run from right to left too.
        return format!("{LEFT_TO_RIGHT}{fitted}{LEFT_TO_RIGHT}");
    }
    fitted
}

/// The columns that a text takes. Each character counts by itself, since terminals disagree about joined ones.
pub fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Fills up with spaces; in front for figures.
pub fn pad(text: &str, columns: usize, in_front: bool) -> String {
    let spaces = " ".repeat(columns.saturating_sub(width(text)));
    if in_front {
        spaces + text
    } else {
        text.to_owned() + &spaces
    }
}

fn columns_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

fn safe(text: &str) -> String {
    let mut marks = MARKS;
    text.chars()
        .map(|c| match c.width() {
            None => REPLACED,
            Some(_) if is_invisible(c) => REPLACED,
            // A leading mark would be drawn on the column before.
            Some(0) if marks >= MARKS => REPLACED,
            Some(0) => {
                marks += 1;
                c
            }
            Some(_) => {
                marks = 0;
                c
            }
        })
        .collect()
}

/// Whether the character is in a block of a script that runs from right to left.
fn is_right_to_left(c: char) -> bool {
    matches!(
        u32::from(c),
        0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfefe | 0x10800..=0x10fff | 0x1e800..=0x1efff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_columns() {
        for (text, fitted) in [
            ("v1.8.0", "v1.8.0"),
            ("exactly 10", "exactly 10"),
            ("eleven cols", "eleven co…"),
            ("東京都千代田区", "東京都千…"),
            ("Zu\u{308}rich", "Zu\u{308}rich"),
            ("a\u{308}\u{308}\u{308}", "a\u{308}\u{308}\u{fffd}"),
            ("\u{308}a", "\u{fffd}a"),
            ("\u{1b}[31m", "\u{fffd}[31m"),
            ("a\tb\r\n", "a\u{fffd}b\u{fffd}\u{fffd}"),
            ("\u{202e}abc", "\u{fffd}abc"),
            ("a\u{200b}b\u{2028}", "a\u{fffd}b\u{fffd}"),
            ("חיפה 12", "\u{200e}חיפה 12\u{200e}"),
            ("", ""),
        ] {
            assert_eq!(fit(text, 10), fitted, "of {text:?}");
            assert!(width(&fit(text, 10)) <= 10, "of {text:?}");
        }
        assert_eq!(pad("東", 4, false), "東  ");
        assert_eq!(pad("12", 4, true), "  12");
        assert_eq!(pad("12345", 4, true), "12345");
    }
}
