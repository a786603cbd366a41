//! Makes a client's text safe to show: control characters, and invisible ones that change how other characters are
//! shown, are replaced.

/// Replacement for a character that must not be shown.
pub const REPLACED: char = '\u{fffd}';

/// Whether a character is invisible and may change how others are shown: joiners, directions, fillers, variant
/// selectors, tags.
pub fn is_invisible(c: char) -> bool {
    matches!(
        u32::from(c),
        0xad | 0x34f
            | 0x61c
            | 0x115f..=0x1160
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b..=0x200f
            | 0x2028..=0x202e
            | 0x2060..=0x206f
            | 0x3164
            | 0xfe00..=0xfe0f
            | 0xfeff
            | 0xffa0
            | 0xfff0..=0xfffb
            | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a
            | 0xe0000..=0xe0fff
    )
}

/// The text in at most `most` characters: `…` for the rest, [`REPLACED`] for control and invisible characters.
pub fn visible(text: &str, most: usize) -> String {
    let show = |c: char| {
        if c.is_control() || is_invisible(c) {
            REPLACED
        } else {
            c
        }
    };
    let mut shown: String = text.chars().take(most).map(show).collect();
    if text.chars().nth(most).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_other_text_is_replaced_and_what_is_long_is_cut() {
        for (text, shown) in [
            ("v1.8.0", "v1.8.0"),
            ("exactly10!", "exactly10!"),
            ("eleven char", "eleven ch…"),
            ("\u{202e}abc\u{0}", "\u{fffd}abc\u{fffd}"),
            ("a\nb\tc", "a\u{fffd}b\u{fffd}c"),
            ("חיפה", "חיפה"),
            ("", ""),
        ] {
            assert_eq!(visible(text, 10), shown, "of {text:?}");
        }
    }
}
