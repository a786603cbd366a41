//! X-Forwarded-For: the first byte of the input chooses the peer, the lines are the header's.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use upgrade_responder::http::client_addr::{TrustedProxies, client_addr};

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else {
        return;
    };
    let trusted = TrustedProxies::default();
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().collect();
    let client = |peer: Option<&str>, lines: &[&str]| {
        let peer = peer.map(|peer| peer.parse::<IpAddr>().unwrap());
        client_addr(peer, lines.iter().copied(), &trusted)
    };
    let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let peers = [
        None,
        Some("10.0.0.1"),
        Some("::1"),
        Some("::ffff:192.168.0.1"),
    ];
    let peer = peers[usize::from(*first) % peers.len()];
    let found = client(peer, &lines);
    assert_ne!(
        found.map(|found| found.to_canonical() == found),
        Some(false)
    );
    // What a proxy that is trusted appends counts, whatever a client wrote before it.
    for appended in [
        "203.0.113.7",
        "203.0.113.7:1, 10.0.0.2",
        "203.0.113.7,fd00::1,,",
    ] {
        let with_line = [&lines[..], &[appended]].concat();
        assert_eq!(client(peer, &with_line), address("203.0.113.7"));
        let joined = format!("{},{appended}", lines.join(","));
        assert_eq!(client(peer, &[&joined]), address("203.0.113.7"));
    }
    // A peer that is not trusted is the client, whatever it says.
    for peer in ["203.0.113.9", "2001:db8::9"] {
        assert_eq!(client(Some(peer), &lines), address(peer));
    }
    // As a list of networks: taken or refused, never a panic.
    let _ = TrustedProxies::parse(&text);
});
