//! The top of the page: the application's name and the choice of a range; and what the page shows before the first
//! check-in.

use maud::{Markup, html};

use super::tiles::period;
use super::{Audience, RANGES, Shown, value};

pub fn head(shown: &Shown<'_>) -> Markup {
    let length = period(shown.overview.period_seconds);
    html! {
        // The hatching of unknown figures, which all charts of the page refer to.
        svg.unseen aria-hidden="true" {
            defs {
                pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect.paper width="6" height="6" {}
                    rect.stroke width="2" height="6" {}
                }
            }
        }
        header {
            h1 { (value::cell(shown.application)) }
            p { "Active installations, counted from one check-in per " (length) " each. No address is stored." }
            nav aria-label="range" {
                @for (name, last) in RANGES {
                    @if shown.range.name == Some(name) { a.current href={ "?last=" (last) } aria-current="true" { (name) } }
                    @else { a href={ "?last=" (last) } { (name) } }
                }
            }
        }
    }
}

/// The section that replaces the charts while the ledger is empty.
pub fn nothing_yet(shown: &Shown<'_>) -> Markup {
    let Audience::Operator { check_in_url, .. } = shown.audience else {
        return html! { section.card.full { h2 { "No check-in yet" } p { "Figures appear here with the first one." } } };
    };
    html! {
        section.card.full id="empty" {
            h2 { "No check-in yet" }
            p { "The first one is shown here within seconds. Send one:" }
            pre { code { "curl -X POST " (check_in_url) "/v1/checkupgrade \\\n  -d '{\"appVersion\":\"v1.0.0\",\"extraTagInfo\":{\"hostArch\":\"arm64\"}}'" } }
            p { "Then reload this page, or run " code { "upgrade-responder report" } "." }
        }
    }
}
