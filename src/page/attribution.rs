//! Where the data behind the page comes from, in the words that its licences ask for.

use maud::{Markup, html};

use super::{Shown, value};

pub fn footer(shown: &Shown<'_>) -> Markup {
    html! {
        footer {
            p {
                (database(shown.geodb))
                "Country outlines: Natural Earth. "
                "Times are in UTC. One installation checks in once a period; no address is stored."
            }
        }
    }
}

/// By the type that the database gives itself. GeoLite's end-user licence, section 4, and DB-IP's free databases
/// (CC BY 4.0) ask for these words with a link.
fn database(named: Option<&str>) -> Markup {
    let Some(named) = named else {
        return html! {};
    };
    let lower = named.to_ascii_lowercase();
    if lower.starts_with("geolite") {
        return html! {
            "This product includes GeoLite Data created by MaxMind, available from "
            a href="https://www.maxmind.com" { "https://www.maxmind.com" } ". "
        };
    }
    if lower.starts_with("dbip") || lower.starts_with("db-ip") {
        return html! { a href="https://db-ip.com" { "IP Geolocation by DB-IP" } ". " };
    }
    if lower.contains("ipinfo") {
        return html! { "IP address data is powered by " a href="https://ipinfo.io" { "IPinfo" } ". " };
    }
    html! { "Places by the database " (value::text(named)) ". " }
}
