//! The sections that only the operator sees: keys that were left out of check-ins, and the counters of the rules.

use maud::{Markup, html};

use super::card::{Card, Width};
use super::scale::moment;
use super::{Shown, figures, value};
use crate::totals::LeftOutRow;

/// Limit of the keys shown; the command `report --left-out` prints the others too.
const MOST_KEYS: usize = 50;

/// A rule of the response config and its counters since the start of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCounts {
    /// Position in the response config, from 1.
    pub number: usize,
    /// The rule's `name`; may be empty.
    pub name: String,
    pub decided: u64,
    pub let_through: u64,
}

pub fn left_out(shown: &Shown<'_>, rows: &[LeftOutRow]) -> Markup {
    if rows.is_empty() {
        return html! {};
    }
    let body = html! {
        div.scroll tabindex="0" { table.left-out {
            thead { tr {
                th scope="col" { "key" } th scope="col" { "part" } th scope="col" { "why" }
                th scope="col" { "check-ins" } th scope="col" { "last" } th scope="col" { "since" }
            } }
            tbody { @for row in rows.iter().take(MOST_KEYS) {
                tr data-key=(row.key) {
                    th scope="row" { code { (value::cell(&row.key)) } }
                    td { (row.part) } td { (row.reason) }
                    td.now { (figures::count(row.check_ins as f64)) }
                    td { (moment(row.last_day, true)) } td { (value::cell(&row.since_version)) }
                }
            } }
        } }
        @if rows.len() > MOST_KEYS { p.note { (rows.len() - MOST_KEYS) " more: " code { "upgrade-responder report --left-out" } } }
    };
    let aside = html! { "suggest a schema: " code { "check-config --suggest-schema" } };
    let title = html! { "Left out of check-ins" };
    let card = Card::new("left-out", Width::Full, title, body);
    card.aside(aside).markup(shown)
}

pub fn rules(shown: &Shown<'_>, rules: &[RuleCounts]) -> Markup {
    if rules.is_empty() {
        return html! {};
    }
    let body = html! {
        table.rules {
            thead { tr { th scope="col" { "rule" } th scope="col" { "decided" } th scope="col" { "let through by its share" } } }
            tbody { @for rule in rules {
                tr {
                    th scope="row" { (rule.number) @if !rule.name.is_empty() { " " (value::cell(&rule.name)) } }
                    td.now { (figures::count(rule.decided as f64)) }
                    td { (figures::count(rule.let_through as f64)) }
                }
            } }
        }
    };
    let aside = html! { "check-ins since the start of the server" };
    let card = Card::new("rules", Width::Full, html! { "Rules" }, body);
    card.aside(aside).markup(shown)
}
