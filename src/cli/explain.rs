//! The flags of `explain`, and what the command needs to know, from their texts.

use std::net::IpAddr;
use std::path::Path;

use super::command::{For, Name};
use super::flags::{Flag, of, value};
use super::lowargs::LowArgs;
use super::sources::sources;
use super::typed::{path, typed};
use super::usage::UsageError;
use crate::http::client_addr::{TrustedProxies, client_addr};
use crate::service::explain::{ExplainOptions, RequestFrom};

pub(super) const REQUEST: Flag = of(
    For::Only(Name::Explain),
    value(
        "--request",
        "",
        "FILE",
        "",
        "the body of a check-in, - for standard input; required",
    ),
);

pub(super) const FORWARDED_FOR: Flag = of(
    For::Only(Name::Explain),
    value(
        "--forwarded-for",
        "",
        "ADDRESS",
        "",
        "the client's address, for its country and for roll-outs; it is not shown",
    ),
);

pub(super) const AGAINST: Flag = of(
    For::Only(Name::Explain),
    value(
        "--against",
        "",
        "FILE",
        "",
        "another response config: what it changes for this client",
    ),
);

pub(super) fn options(low: &LowArgs) -> Result<ExplainOptions, UsageError> {
    let trusted = match low.get("--trusted-proxies") {
        Some(_) => typed(low, "--trusted-proxies", TrustedProxies::parse)?,
        None => TrustedProxies::default(),
    };
    let request = path(low, "--request").ok_or(UsageError::MissingOf("--request", "explain"))?;
    Ok(ExplainOptions {
        sources: sources(low)?,
        request: match request == Path::new("-") {
            true => RequestFrom::StandardInput,
            false => RequestFrom::File(request),
        },
        address: match low.get("--forwarded-for") {
            Some(_) => Some(typed(low, "--forwarded-for", |text| {
                address(text, &trusted)
            })?),
            None => None,
        },
        against: path(low, "--against"),
    })
}

/// As the server reads the header of this name from a proxy that it trusts.
fn address(text: &str, trusted: &TrustedProxies) -> Result<IpAddr, String> {
    client_addr(None, std::iter::once(text), trusted)
        .ok_or_else(|| "an address such as 203.0.113.7, or a list of them".to_owned())
}
