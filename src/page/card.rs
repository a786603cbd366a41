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

/// How much of a row a section takes, where there is room for two in a row.
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
    /// `id` is what links point to.
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

    /// What stands beside the heading.
    pub fn aside(self, aside: Markup) -> Card<'a> {
        Card { aside, ..self }
    }

    /// The dimension or field whose data can be downloaded.
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

/// Links to the data of a chart, as it is drawn. The public page has none.
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

/// The figures behind a chart. `rows` are oldest first; the newest is shown first.
pub fn behind(columns: &[Markup], rows: Vec<(String, Vec<String>)>) -> Markup {
    html! {
        details.behind {
            summary { "Figures" }
            div.scroll tabindex="0" {
                table {
                    thead { tr { th scope="col" {} @for column in columns { th scope="col" { (column) } } } }
                    tbody {
                        @for (head, cells) in rows.iter().rev() {
                            // HTML ends these elements by itself; their end tags were a tenth of the page.
                            tr; th; (head) @for cell in cells { td; (cell) }
                        }
                    }
                }
            }
        }
    }
}

/// The beginning of a row, as short as its length allows.
pub fn start(seconds: i64, length: u64) -> String {
    moment(seconds, length >= 86_400 && length.is_multiple_of(86_400))
}
