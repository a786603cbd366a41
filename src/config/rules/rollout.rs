//! A staged roll-out: the share of clients that a rule lets through, and its growth over time.
//!
//! A hash of the client's address and the rule's seed, computed for each check-in, determines which clients are let
//! through. Every server gets the same result, and nothing must ever be stored. The hash must never change:
//! SipHash-2-4 with the key 0, over the 16 bytes of the IPv6 address (an IPv4 address as `::ffff:a.b.c.d`) and the
//! seed's bytes.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use siphasher::sip::SipHasher24;

/// The share of the clients that is let through, and its dates.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Percentage of clients, 0 to 100; with `until`, the percentage at `from`.
    pub share: f64,
    /// Start; no client is let through before it.
    pub from: Option<Timestamp>,
    /// Time at which all clients are let through; later than `from`, which must be set too.
    pub until: Option<Timestamp>,
    pub seed: String,
}

impl Rollout {
    /// The share at `now`, from 0 to 1.
    pub fn share_at(&self, now: Timestamp) -> f64 {
        let share = self.share / 100.0;
        let Some(from) = self.from else {
            return share;
        };
        if now < from {
            return 0.0;
        }
        let Some(until) = self.until else {
            return share;
        };
        if now >= until {
            return 1.0;
        }
        let passed = now.duration_since(from).as_secs_f64();
        let all = until.duration_since(from).as_secs_f64();
        share + (1.0 - share) * passed / all
    }

    /// Whether a client is let through. A client without a usable address comes last, at 100 %.
    pub fn lets_through(&self, address: Option<IpAddr>, now: Timestamp) -> bool {
        let share = self.share_at(now);
        match address {
            _ if share >= 1.0 => true,
            _ if share <= 0.0 => false,
            Some(address) => place_of(address, &self.seed) < share,
            None => false,
        }
    }

    /// Whether no client is ever let through.
    pub fn is_closed(&self) -> bool {
        self.share <= 0.0 && self.until.is_none()
    }

    /// Whether every client is let through from `now` on.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.share_at(now) >= 1.0
    }
}

/// A client's place in the queue of a roll-out, from 0 (first) to less than 1.
pub fn place_of(address: IpAddr, seed: &str) -> f64 {
    let address = match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let mut bytes = address.octets().to_vec();
    bytes.extend_from_slice(seed.as_bytes());
    let hash = SipHasher24::new_with_keys(0, 0).hash(&bytes);
    // A float holds 53 bits exactly; all 64 could round up to 1.
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.share;
        match (self.from, self.until) {
            (Some(from), Some(until)) => write!(
                f,
                "lets through {share} % from {from} on, growing to 100 % at {until}"
            ),
            (Some(from), None) => write!(f, "lets through {share} % from {from} on"),
            (None, _) if share <= 0.0 => f.write_str("lets no client through"),
            (None, _) => write!(f, "lets through {share} %"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn rollout(share: f64, from: Option<i64>, until: Option<i64>) -> Rollout {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        Rollout {
            share,
            from: from.map(at),
            until: until.map(at),
            seed: "v1.17.0".to_owned(),
        }
    }

    fn clients() -> impl Iterator<Item = IpAddr> {
        (0..10_000u32).map(|n| {
            if n % 2 == 0 {
                IpAddr::V4(Ipv4Addr::from_bits(0xc633_6400 + n))
            } else {
                IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(n)))
            }
        })
    }

    /// With ten thousand clients, the standard deviation of the share is at most half a percent.
    #[test]
    fn an_hour_lets_the_promised_share_through_each_minute_and_nobody_drops_out() {
        let hour = rollout(10.0, Some(0), Some(3600));
        let mut before = vec![false; 10_000];
        for minute in -5..=65 {
            let now = Timestamp::from_second(minute * 60).unwrap();
            let through: Vec<bool> = clients()
                .map(|client| hour.lets_through(Some(client), now))
                .collect();
            let promised = match minute {
                ..0 => 0.0,
                0..60 => 0.1 + 0.9 * minute as f64 / 60.0,
                _ => 1.0,
            };
            let count = through.iter().filter(|through| **through).count();
            let share = count as f64 / 10_000.0;
            assert!(
                (share - promised).abs() < 0.02,
                "minute {minute}: {share}, promised {promised}"
            );
            assert!((hour.share_at(now) - promised).abs() < 1e-9);
            assert!(
                before
                    .iter()
                    .zip(&through)
                    .all(|(before, now)| before <= now)
            );
            assert_eq!(hour.lets_through(None, now), minute >= 60);
            before = through;
        }
        assert!(before.iter().all(|through| *through));
    }

    #[test]
    fn a_share_alone_stays_and_zero_is_the_brake() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let some = clients().next();
        assert!(!rollout(0.0, None, None).lets_through(some, now));
        assert!(rollout(0.0, None, None).is_closed());
        assert!(rollout(100.0, None, None).lets_through(None, now));
        let part = rollout(25.0, None, None);
        let through = clients().filter(|client| part.lets_through(Some(*client), now));
        let through = through.count();
        assert!((2_300..2_700).contains(&through), "{through}");
    }

    /// All servers must agree, whatever their version.
    #[test]
    fn the_hash_is_what_it_was() {
        let at = |address: &str| place_of(address.parse().unwrap(), "v1.17.0");
        assert_eq!(at("203.0.113.7"), at("::ffff:203.0.113.7"));
        let places = ["203.0.113.7", "2001:db8::1"].map(|address| format!("{:.6}", at(address)));
        assert_eq!(places, ["0.816975", "0.310588"]);
        assert_ne!(
            place_of("203.0.113.7".parse().unwrap(), "v1.18.0"),
            at("203.0.113.7")
        );
    }
}
