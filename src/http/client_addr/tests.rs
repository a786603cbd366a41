use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The client's address as text, `-` for none, with the default proxies trusted.
fn client(peer: &str, lines: &[&str]) -> String {
    client_behind(&TrustedProxies::default(), peer, lines)
}

fn client_behind(trusted: &TrustedProxies, peer: &str, lines: &[&str]) -> String {
    let peer = (peer != "unix").then(|| address(peer));
    client_addr(peer, lines.iter().copied(), trusted)
        .map_or("-".to_owned(), |client| client.to_string())
}

#[test]
fn without_header_the_peer_is_the_client() {
    assert_eq!(client("203.0.113.7", &[]), "203.0.113.7");
    assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    assert_eq!(client("::ffff:203.0.113.7", &[]), "203.0.113.7");
    assert_eq!(client("unix", &[]), "-");
}

#[test]
fn header_of_an_untrusted_peer_counts_nothing() {
    assert_eq!(client("203.0.113.7", &["192.0.2.1"]), "203.0.113.7");
    assert_eq!(client("2001:db8::1", &["192.0.2.1", "x"]), "2001:db8::1");
}

#[test]
fn trusted_peers_are_believed() {
    for peer in [
        "unix",
        "127.0.0.1",
        "10.1.2.3",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.1.1",
        "::1",
        "fd00::1",
        "fe80::1",
        // An IPv4 peer as a dual-stack listener shows it.
        "::ffff:10.0.0.1",
    ] {
        assert_eq!(client(peer, &["203.0.113.7"]), "203.0.113.7", "{peer}");
    }
    for peer in ["172.32.0.1", "11.0.0.1", "::2", "fec0::1", "100.64.0.1"] {
        assert_eq!(client(peer, &["203.0.113.7"]), peer);
    }
}

#[test]
fn forged_address_left_of_the_client_never_counts() {
    for forged in [
        "192.0.2.66, 203.0.113.7",
        "10.0.0.1, 203.0.113.7",
        "192.0.2.66, 10.0.0.1, 203.0.113.7",
        "192.0.2.66, 203.0.113.7, 10.0.0.1",
        "192.0.2.66, unknown, 203.0.113.7, 10.0.0.1, fd00::2",
        "<script>, 203.0.113.7",
    ] {
        assert_eq!(client("127.0.0.1", &[forged]), "203.0.113.7", "{forged}");
    }
}

#[test]
fn lines_are_one_list_in_their_order() {
    let lines = ["192.0.2.66", "198.51.100.1, 203.0.113.7", "10.0.0.1"];
    assert_eq!(client("127.0.0.1", &lines), "203.0.113.7");
    assert_eq!(client("unix", &["", "203.0.113.7", " ,"]), "203.0.113.7");
}

#[test]
fn no_address_at_a_trusted_hop_gives_none_and_hides_what_is_left_of_it() {
    for hop in [
        "unknown",
        "_hidden",
        "example.org",
        "1.2.3",
        "1.2.3.4.5",
        "010.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:+1",
        "1.2.3.4:65536",
        "1.2.3.4%eth0",
        "1.2.3.4 5.6.7.8",
        "[1.2.3.4]",
        "[::1",
        "[::1]80",
        "[::1]:",
        "::1]",
        "2001:db8::zz",
        "\"[2001:db8::1]\"",
        "é",
        "\u{0}",
    ] {
        let line = format!("192.0.2.66, {hop}, 10.0.0.1");
        assert_eq!(client("127.0.0.1", &[&line]), "-", "{hop}");
    }
}

#[test]
fn addresses_come_with_ports_brackets_and_zones() {
    for (hop, expected) in [
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:4711", "203.0.113.7"),
        ("2001:db8::7%eth0", "2001:db8::7"),
        ("[2001:db8::7%25eth0]:4711", "2001:db8::7"),
    ] {
        let line = format!("192.0.2.66, {hop}, 10.0.0.1:80,[fe80::1%eth0]:80");
        assert_eq!(client("unix", &[&line]), expected, "{hop}");
    }
}

#[test]
fn empty_elements_and_blanks_are_skipped() {
    for line in [
        "192.0.2.66,,203.0.113.7",
        "203.0.113.7,,10.0.0.1,",
        "192.0.2.66 ,\t203.0.113.7\t, , 10.0.0.1 ",
    ] {
        assert_eq!(client("127.0.0.1", &[line]), "203.0.113.7", "{line:?}");
    }
    assert_eq!(client("127.0.0.1", &["", ",,", " "]), "127.0.0.1");
}

#[test]
fn when_all_are_trusted_the_leftmost_is_the_client() {
    assert_eq!(client("127.0.0.1", &["10.0.0.9", "10.0.0.1"]), "10.0.0.9");
    let long = "10.0.0.1,".repeat(100_000);
    assert_eq!(client("127.0.0.1", &["10.0.0.9", &long]), "10.0.0.9");
}

#[test]
fn list_of_proxies_takes_networks_and_hosts() {
    let trusted = TrustedProxies::parse(" 203.0.113.0/24,192.0.2.1 ,2001:db8::/32").unwrap();
    for peer in ["203.0.113.7", "192.0.2.1", "2001:db8::1"] {
        let client = client_behind(&trusted, peer, &["198.51.100.1"]);
        assert_eq!(client, "198.51.100.1");
    }
    // The list takes the defaults' place.
    for peer in ["192.0.2.2", "127.0.0.1"] {
        assert_eq!(client_behind(&trusted, peer, &["198.51.100.1"]), peer);
    }
    // Host bits do no harm, and a mapped network is the IPv4 network it looks like.
    let trusted = TrustedProxies::parse("10.1.2.3/8,::ffff:192.0.2.0/120").unwrap();
    for peer in ["10.200.0.1", "::ffff:192.0.2.1", "192.0.2.255"] {
        let client = client_behind(&trusted, peer, &["198.51.100.1"]);
        assert_eq!(client, "198.51.100.1");
    }
}

#[test]
fn blank_list_trusts_unix_peers_only() {
    let nobody = TrustedProxies::parse(" ").unwrap();
    assert_eq!(
        client_behind(&nobody, "127.0.0.1", &["192.0.2.1"]),
        "127.0.0.1"
    );
    let lines = ["192.0.2.66, 192.0.2.1"];
    assert_eq!(client_behind(&nobody, "unix", &lines), "192.0.2.1");
}

#[test]
fn piece_that_is_no_network_is_named() {
    for (list, piece) in [
        ("10.0.0.0/33", "\"10.0.0.0/33\""),
        ("10.0.0.0/8, nginx", "\"nginx\""),
        ("10.0.0.0/8,", "\"\""),
        ("10.0.0.0/8 10.0.0.1", "\"10.0.0.0/8 10.0.0.1\""),
        ("::1/129", "\"::1/129\""),
        ("10.0.0.0/255.0.0.0", "\"10.0.0.0/255.0.0.0\""),
    ] {
        let error = TrustedProxies::parse(list).unwrap_err();
        assert!(
            error.ends_with(&format!("{piece} is not a network")),
            "{error}"
        );
        assert!(error.contains("10.0.0.0/8,192.0.2.1,fd00::/8"), "{error}");
    }
}
