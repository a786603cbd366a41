//! The credits for the geo database and the map, in the words that their licences require.

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

/// The credit for a geo database, chosen by the type in its metadata. GeoLite's end-user licence, section 4, and DB-IP's
/// free databases (CC BY 4.0) require these words with a link.
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
    html! { "Places from the geo database " (value::text(named)) ". " }
}
