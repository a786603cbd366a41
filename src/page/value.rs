//! Texts that clients chose, as the page shows them. The templates escape them; this module shortens them and keeps
//! right-to-left text from reordering the text around it.

use maud::{Markup, html};

use crate::units::visible::visible;

/// Limit of the characters of a value in a cell.
const IN_CELL: usize = 48;
/// Limit of the characters of a value in its tooltip.
const IN_TITLE: usize = 100;

/// A value in a cell; if it is shortened there, its tooltip has more of it.
pub fn cell(text: &str) -> Markup {
    let shown = visible(text, IN_CELL);
    let all = visible(text, IN_TITLE);
    html! {
        @if shown == all { bdi { (shown) } } @else { bdi title=(all) { (shown) } }
    }
}

/// A value within a text, isolated so that its right-to-left characters do not reorder the rest.
pub fn text(text: &str) -> String {
    const FIRST_STRONG_ISOLATE: char = '\u{2068}';
    const POP_ISOLATE: char = '\u{2069}';
    let shown = visible(text, IN_CELL);
    if shown.is_ascii() {
        return shown;
    }
    format!("{FIRST_STRONG_ISOLATE}{shown}{POP_ISOLATE}")
}
