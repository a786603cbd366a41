//! What clients chose, as text on the page: escaped by the templates, cut where it is long, and kept from turning
//! the text around it.

use maud::{Markup, html};

use crate::units::visible::visible;

/// Characters of a value that are shown, in a cell and in a title.
const IN_CELL: usize = 48;
const IN_TITLE: usize = 100;

/// A value in a cell; the title has more of it.
pub fn cell(text: &str) -> Markup {
    let shown = visible(text, IN_CELL);
    let all = visible(text, IN_TITLE);
    html! {
        @if shown == all { bdi { (shown) } } @else { bdi title=(all) { (shown) } }
    }
}

/// A value within a text. Marks keep what runs from right to left within its place.
pub fn text(text: &str) -> String {
    const FIRST_STRONG_ISOLATE: char = '\u{2068}';
    const POP_ISOLATE: char = '\u{2069}';
    let shown = visible(text, IN_CELL);
    if shown.is_ascii() {
        return shown;
    }
    format!("{FIRST_STRONG_ISOLATE}{shown}{POP_ISOLATE}")
}
