//! The client's address, also behind proxies.
//!
//! A client can send any text in `X-Forwarded-For`, and each proxy appends to it. So it is read from the right, and
//! only as far as trusted proxies have written it. The address must never be logged or stored.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// The networks whose `X-Forwarded-For` is believed. The default is loopback, link-local and
/// private networks, where a reverse proxy in front usually is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

const DEFAULT: [IpNet; 8] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    // RFC 1918.
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    // RFC 3927, link-local.
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    // RFC 4193, unique local; RFC 4291, link-local.
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

impl Default for TrustedProxies {
    fn default() -> TrustedProxies {
        TrustedProxies(DEFAULT.to_vec())
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let networks: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&networks.join(","))
    }
}

impl TrustedProxies {
    /// Parses networks in CIDR notation, separated by commas; an address alone is that one host.
    /// A blank list trusts only the peers of a unix socket.
    ///
    /// The error names the piece that is not a network, and what is expected.
    pub fn parse(list: &str) -> Result<TrustedProxies, String> {
        if list.trim().is_empty() {
            return Ok(TrustedProxies(Vec::new()));
        }
        let networks = list.split(',').map(|piece| parse_network(piece.trim()));
        networks.collect::<Result<_, _>>().map(TrustedProxies)
    }

    /// `address` must be canonical, as [`client_addr`] makes it: no network matches an IPv4-mapped IPv6 address.
    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The client's address: the peer's, or the one that the trusted proxies report.
///
/// `peer` is `None` on a unix socket, whose peers are trusted: only local processes reach it.
/// `forwarded_for` are the values of the `X-Forwarded-For` lines in their order. They are read from the right for as
/// long as the current address is trusted. If all are trusted, the leftmost one is the client.
///
/// `None` when a trusted proxy passed on something that is not an address (`unknown`, an obfuscated name): the client
/// is behind it, and may have made up all that is further left.
pub fn client_addr<'a>(
    peer: Option<IpAddr>,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &TrustedProxies,
) -> Option<IpAddr> {
    let mut client = peer.map(|peer| peer.to_canonical());
    // RFC 9110 section 5.6.1: a recipient ignores the empty elements of a list.
    let hops = forwarded_for
        .rev()
        .flat_map(|line| line.rsplit(','))
        .map(|hop| hop.trim_matches([' ', '\t']))
        .filter(|hop| !hop.is_empty());
    for hop in hops {
        if client.is_some_and(|address| !trusted.contains(address)) {
            return client;
        }
        client = Some(parse_hop(hop)?);
    }
    client
}

/// One element of `X-Forwarded-For`, which no RFC defines: an address, by some proxies with a
/// port (`192.0.2.1:4711`, `[2001:db8::1]:4711`), a zone (`fe80::1%eth0`) or bare brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    if let Some(rest) = hop.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        if !port.is_empty() && !is_port(port.strip_prefix(':')?) {
            return None;
        }
        return parse_ipv6(address);
    }
    match hop.split_once(':') {
        None => hop.parse().ok().map(IpAddr::V4),
        Some((_, rest)) if rest.contains(':') => parse_ipv6(hop),
        Some((address, port)) if is_port(port) => address.parse().ok().map(IpAddr::V4),
        Some(_) => None,
    }
}

fn parse_ipv6(address: &str) -> Option<IpAddr> {
    let address = address
        .split_once('%')
        .map_or(address, |(address, _zone)| address);
    let address: Ipv6Addr = address.parse().ok()?;
    Some(address.to_canonical())
}

/// Whether a text is a port. `u16::from_str` alone would accept a `+` too.
fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn parse_network(piece: &str) -> Result<IpNet, String> {
    let network = piece
        .parse::<IpNet>()
        .or_else(|_| piece.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            format!(
                "networks separated by commas, such as 10.0.0.0/8,192.0.2.1,fd00::/8; {piece:?} is \
                 not a network"
            )
        })?;
    Ok(unmapped(network))
}

/// A network within `::ffff:0:0/96` as its IPv4 network, because the addresses that are compared with it are canonical.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let ipv4 = v6
        .addr()
        .to_ipv4_mapped()
        .zip(v6.prefix_len().checked_sub(96));
    ipv4.and_then(|(address, prefix_len)| Ipv4Net::new(address, prefix_len).ok())
        .map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests;
