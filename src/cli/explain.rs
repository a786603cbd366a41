//! Parses the options of `explain` from the flags' texts.

use std::net::IpAddr;
use std::path::Path;

use super::lowargs::LowArgs;
use super::sources::sources;
use super::typed::{path, typed};
use super::usage::UsageError;
use crate::http::client_addr::{TrustedProxies, client_addr};
use crate::service::explain::{ExplainOptions, RequestFrom};

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

/// Parses the address like an `X-Forwarded-For` header from a trusted proxy.
fn address(text: &str, trusted: &TrustedProxies) -> Result<IpAddr, String> {
    client_addr(None, std::iter::once(text), trusted)
        .ok_or_else(|| "an address such as 203.0.113.7, or a list of them".to_owned())
}
