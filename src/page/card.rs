//! The frame of a section: heading, links to its data, and the figures behind its chart.

use maud::{Markup, html};

use super::scale::moment;
use super::{Audience, Shown};

/// A section of the page.
pub struct Card<'a> {
    id: &'a str,
    width: Width,
    title: Markup,
    aside: Markup,
    body: Markup,
    data: Option<&'a str>,
}

/// The width of a section on a screen that has room for two side by side.
#[derive(Clone, Copy, Debug)]
pub enum Width {
    Full,
    Wide,
    Narrow,
}

impl Width {
    fn class(self) -> &'static str {
        match self {
            Width::Full => "full",
            Width::Wide => "wide",
            Width::Narrow => "narrow",
        }
    }
}

impl<'a> Card<'a> {
    /// A section; `id` is the target of links to it.
    pub fn new(id: &'a str, width: Width, title: Markup, body: Markup) -> Card<'a> {
        Card {
            id,
            width,
            title,
            aside: html! {},
            body,
            data: None,
        }
    }

    /// Sets the text beside the heading.
    pub fn aside(self, aside: Markup) -> Card<'a> {
        Card { aside, ..self }
    }

    /// Sets the dimension or field whose data can be downloaded.
    pub fn data(self, by: &'a str) -> Card<'a> {
        Card {
            data: Some(by),
            ..self
        }
    }

    pub fn markup(self, shown: &Shown<'_>) -> Markup {
        html! {
            section.card.(self.width.class()) id=(self.id) {
                div.top {
                    h2 { (self.title) }
                    span.aside { (self.aside) @if let Some(by) = self.data { (links(shown, by)) } }
                }
                (self.body)
            }
        }
    }
}

/// Links to the data of a chart, with the range and the resolution that it shows. The public page has none.
fn links(shown: &Shown<'_>, by: &str) -> Markup {
    let Audience::Operator { .. } = shown.audience else {
        return html! {};
    };
    let every = shown.overview.every;
    let query = &shown.range.query;
    html! {
        a href={ "report.csv?by=" (by) "&" (query) "&every=" (every) } { "CSV" } " · "
        a href={ "report.json?by=" (by) "&" (query) "&every=" (every) } { "JSON" }
    }
}

/// The table of a chart's figures, closed at first. `rows` are oldest first; the table shows the newest first.
pub fn behind(columns: &[Markup], rows: Vec<(String, Vec<String>)>) -> Markup {
    html! {
        details.behind {
            summary { "Figures" }
            div.scroll tabindex="0" {
                table {
                    thead { tr { th scope="col" {} @for column in columns { th scope="col" { (column) } } } }
                    tbody {
                        @for (head, cells) in rows.iter().rev() {
                            // HTML does not need the end tags of these elements, which were a tenth of the page.
                            tr; th; (head) @for cell in cells { td; (cell) }
                        }
                    }
                }
            }
        }
    }
}

/// The beginning of a row as text, without the time of day if its length is whole days.
pub fn start(seconds: i64, length: u64) -> String {
    moment(seconds, length >= 86_400 && length.is_multiple_of(86_400))
}
