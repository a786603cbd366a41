//! The numbers that each panel must show, computed from the check-ins of the test.

use std::collections::BTreeMap;

use super::installations::{LAST, NOW, PERIOD, SILENT, Visit};

/// Values by the texts of a row, joined by `|`, and its time in seconds since 1970. The time is 0 if the panel has none.
pub type Values = BTreeMap<(String, i64), f64>;

/// Number of series that are shown. All others are shown as "other".
const TOP: usize = 7;
const DAY: i64 = 24 * PERIOD;

/// The check-ins, and the choices in the dashboard.
pub struct Expected<'a> {
    pub visits: &'a [Visit],
    /// Beginning and end of the time range in seconds.
    pub from: i64,
    pub to: i64,
    pub release: &'a str,
    pub latest: &'a [String],
    pub extra_tag: &'a str,
}

impl Expected<'_> {
    /// The values that this query of the panel with this title must return. `None` if no panel has the title.
    pub fn of(&self, title: &str, query: &str) -> Option<Values> {
        let release = |visit: &&Visit| visit.version == self.release;
        let latest = |visit: &&Visit| self.latest.contains(&visit.version);
        Some(match (title, query) {
            ("Active installations now", _) => one(self.last().count() as f64),
            ("Against 7 days ago", _) => one(self.change(7)),
            ("Against 30 days ago", _) => one(self.change(30)),
            ("On the latest versions", _) => {
                let part = self.last().filter(latest).count();
                one(part as f64 / self.last().count() as f64)
            }
            ("Coverage", _) => self.coverage(),
            ("Active installations over time", _) => self.totals(),
            ("Versions over time", query) => self.top(query, |visit| &visit.version),
            ("Versions now", _) => count(self.last(), |visit| visit.version.clone()),
            ("Share on the latest versions", _) => self.share(latest),
            ("Adoption of ${release}", "A") => {
                self.per_period(|visit| release(&visit).then(String::new))
            }
            ("Adoption of ${release}", _) => self.share(release),
            ("First seen", _) => self.first_seen(),
            ("Map", _) => {
                let known = self.last().filter(|visit| !visit.code.is_empty());
                count(known, |visit| visit.code.clone())
            }
            ("Countries", _) => count(self.recent(), |v| format!("{}|{}", v.country, v.code)),
            ("Cities", _) => {
                let known = self.recent().filter(|visit| !visit.city.is_empty());
                count(known, |visit| format!("{}|{}", visit.city, visit.country))
            }
            ("${extra_tag} over time", query) => self.top(query, |visit| self.extra(visit)),
            ("${extra_tag} now", _) => count(self.last(), |visit| self.extra(visit).to_string()),
            ("${field} of an installation", "A") => self.nodes(mean),
            ("${field} of an installation", _) => self.nodes(median),
            ("${field} in total", _) => self.nodes(|nodes| nodes.iter().sum()),
            _ => return None,
        })
    }

    fn extra<'v>(&self, visit: &'v Visit) -> &'v str {
        match self.extra_tag {
            "host_arch" => visit.arch,
            "kubernetes_version" => &visit.kubernetes,
            other => panic!("extra tag {other}"),
        }
    }

    /// The check-ins of the last whole period.
    fn last(&self) -> impl Iterator<Item = &Visit> {
        self.visits.iter().filter(|visit| visit.period() == LAST)
    }

    /// The check-ins in the time range.
    fn ranged(&self) -> impl Iterator<Item = &Visit> {
        self.visits
            .iter()
            .filter(|visit| visit.period() >= self.from)
    }

    /// The check-ins of the last hour up to now.
    fn recent(&self) -> impl Iterator<Item = &Visit> {
        let after = (NOW - PERIOD) * 1_000_000_000;
        self.visits.iter().filter(move |visit| visit.at > after)
    }

    fn per_period(&self, name: impl Fn(&Visit) -> Option<String>) -> Values {
        let mut values = Values::new();
        for visit in self.ranged() {
            if let Some(name) = name(visit) {
                *values.entry((name, visit.period())).or_default() += 1.0;
            }
        }
        values
    }

    fn totals(&self) -> Values {
        let mut totals = self.per_period(|_| Some(String::new()));
        totals.insert((String::new(), SILENT), 0.0);
        totals
    }

    /// Coverage of each period. The first one is shown as a whole, although the time range begins within it.
    fn coverage(&self) -> Values {
        let first = self.from - self.from % PERIOD;
        let mut coverage = Values::new();
        for start in (first..=LAST).step_by(PERIOD as usize) {
            let count = self.visits.iter().filter(|v| v.period() == start).count();
            let known = count > 0 || start == SILENT;
            coverage.insert(
                (String::new(), start),
                if known { count as f64 } else { -1.0 },
            );
        }
        coverage
    }

    fn share(&self, is_part: impl Fn(&&Visit) -> bool) -> Values {
        let whole = self.per_period(|_| Some(String::new()));
        let part = self.per_period(|visit| is_part(&visit).then(String::new));
        let share = |(key, part): (_, f64)| {
            let share = part / whole[&key];
            (key, share)
        };
        part.into_iter().map(share).collect()
    }

    fn top<'v>(&'v self, query: &str, value: impl Fn(&'v Visit) -> &'v str) -> Values {
        let mut totals = BTreeMap::new();
        let named = |name: &&str| !["", "other"].contains(name);
        for name in self.ranged().map(&value).filter(named) {
            *totals.entry(name).or_insert(0) += 1;
        }
        let mut largest: Vec<_> = totals.into_iter().map(|(name, n)| (n, name)).collect();
        largest.sort();
        let top = largest.iter().rev().take(TOP);
        let top: Vec<_> = top.map(|(_, name)| *name).collect();
        let mut values = Values::new();
        for visit in self.ranged() {
            let own = value(visit);
            let name = match query {
                "H" => (!top.contains(&own)).then(String::new),
                _ => top.contains(&own).then(|| own.to_string()),
            };
            if let Some(name) = name {
                *values.entry((name, visit.period())).or_default() += 1.0;
            }
        }
        values
    }

    fn change(&self, days: i64) -> f64 {
        let within = |from: i64, to: i64| {
            let mut totals = BTreeMap::new();
            let periods = self.visits.iter().map(Visit::period);
            for period in periods.filter(|period| (from + 1..=to).contains(period)) {
                *totals.entry(period).or_insert(0.0) += 1.0;
            }
            if (from + 1..=to).contains(&SILENT) {
                totals.insert(SILENT, 0.0);
            }
            median(&totals.into_values().collect::<Vec<_>>())
        };
        let then = NOW - days * DAY;
        within(NOW - DAY - PERIOD, NOW) / within(then - DAY - PERIOD, then - PERIOD) - 1.0
    }

    fn first_seen(&self) -> Values {
        let of_release = self.visits.iter().filter(|v| v.version == self.release);
        let first = of_release.clone().map(Visit::period).min().unwrap();
        let count = of_release.filter(|visit| visit.period() == first).count();
        Values::from([((String::new(), first), count as f64)])
    }

    /// Numbers of nodes by periods that are aligned to the end of the time range.
    fn nodes(&self, combine: impl Fn(&[f64]) -> f64) -> Values {
        let mut nodes: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for visit in self.visits {
            let second = visit.at / 1_000_000_000;
            let start = second - (second - self.to).rem_euclid(PERIOD);
            if start > self.from - PERIOD && second < self.to {
                nodes.entry(start).or_default().push(visit.nodes);
            }
        }
        let combined =
            |(period, nodes): (i64, Vec<f64>)| ((String::new(), period), combine(&nodes));
        nodes.into_iter().map(combined).collect()
    }
}

fn one(value: f64) -> Values {
    Values::from([((String::new(), 0), value)])
}

fn count<'v>(visits: impl Iterator<Item = &'v Visit>, name: impl Fn(&Visit) -> String) -> Values {
    let mut values = Values::new();
    for visit in visits {
        *values.entry((name(visit), 0)).or_default() += 1.0;
    }
    values
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        return sorted[middle];
    }
    (sorted[middle - 1] + sorted[middle]) / 2.0
}
