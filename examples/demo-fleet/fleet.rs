//! The invented fleet: the number of installations at a moment, and their versions, places and tags.

pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 86_400;

/// A release with its age, the share of older installations that change to it in the end, and the days in which most of
/// these do.
pub struct Release {
    pub name: &'static str,
    pub days_ago: i64,
    takes: f64,
    days: f64,
}

const fn release(name: &'static str, days_ago: i64, takes: f64, days: f64) -> Release {
    Release {
        name,
        days_ago,
        takes,
        days,
    }
}

pub const RELEASES: [Release; 5] = [
    release("v1.4.3", 655, 0.62, 60.0),
    release("v1.5.5", 470, 0.71, 45.0),
    release("v1.6.2", 305, 0.58, 75.0),
    release("v1.7.1", 140, 0.76, 40.0),
    release("v1.8.0", 28, 0.82, 26.0),
];
/// The version that installations have before these releases.
const OLDER: &str = "v1.3.2";

/// Countries: ISO code, name, share in thousandths.
#[rustfmt::skip]
const COUNTRIES: [(&str, &str, f64); 40] = [
    ("US", "United States", 193.0), ("DE", "Germany", 121.0), ("CN", "China", 94.0), ("FR", "France", 57.0),
    ("IN", "India", 54.0), ("GB", "United Kingdom", 46.0), ("BR", "Brazil", 41.0), ("CA", "Canada", 34.0),
    ("NL", "The Netherlands", 31.0), ("JP", "Japan", 29.0), ("PL", "Poland", 25.0), ("KR", "South Korea", 23.0),
    ("AU", "Australia", 22.0), ("IT", "Italy", 21.0), ("ES", "Spain", 20.0), ("SE", "Sweden", 17.0),
    ("CH", "Switzerland", 16.0), ("ID", "Indonesia", 15.0), ("SG", "Singapore", 14.0), ("CZ", "Czechia", 12.0),
    ("TR", "Türkiye", 11.0), ("UA", "Ukraine", 10.0), ("AT", "Austria", 9.5), ("FI", "Finland", 9.0),
    ("VN", "Vietnam", 8.5), ("MX", "Mexico", 8.0), ("AR", "Argentina", 7.5), ("ZA", "South Africa", 7.0),
    ("NO", "Norway", 6.5), ("DK", "Denmark", 6.0), ("RO", "Romania", 5.5), ("PT", "Portugal", 5.0),
    ("IL", "Israel", 4.5), ("TH", "Thailand", 4.0), ("CL", "Chile", 3.0), ("NZ", "New Zealand", 2.6),
    ("EG", "Egypt", 2.0), ("KE", "Kenya", 1.2), ("IS", "Iceland", 0.5), ("LU", "Luxembourg", 0.3),
];

/// The share of check-ins with a country.
const PLACED: f64 = 0.994;

/// Cities: name, country, share in thousandths.
#[rustfmt::skip]
const CITIES: [(&str, &str, f64); 24] = [
    ("Ashburn", "US", 51.0), ("Frankfurt am Main", "DE", 48.0), ("Falkenstein", "DE", 27.0), ("Shanghai", "CN", 25.0),
    ("Paris", "FR", 23.0), ("Mumbai", "IN", 21.0), ("London", "GB", 20.0), ("São Paulo", "BR", 19.0),
    ("Amsterdam", "NL", 18.0), ("東京", "JP", 15.0), ("서울", "KR", 13.0), ("Warszawa", "PL", 12.0),
    ("Montréal", "CA", 11.0), ("Sydney", "AU", 11.0), ("Singapore", "SG", 10.0), ("München", "DE", 9.0),
    ("Zürich", "CH", 8.0), ("İstanbul", "TR", 6.0), ("Київ", "UA", 5.0), ("Helsinki", "FI", 5.0),
    ("Nürnberg", "DE", 4.0), ("תל אביב", "IL", 2.5), ("القاهرة", "EG", 1.2), ("Reykjavík", "IS", 0.4),
];

/// Versions of Kubernetes, with the number of days since their first use.
const KUBERNETES: [(&str, i64); 10] = [
    ("v1.34", 75),
    ("v1.33", 190),
    ("v1.32", 330),
    ("v1.31", 450),
    ("v1.30", 570),
    ("v1.29", 690),
    ("v1.28", 800),
    ("v1.27", 920),
    ("v1.26", 1040),
    ("v1.25", 1160),
];

/// A line of a period: the columns dimension, type, value, name and country, and its figures.
#[derive(Clone)]
pub struct Told {
    pub names: [&'static str; 5],
    pub part: Part,
}

#[derive(Clone)]
pub enum Part {
    Total {
        total: f64,
        least: f64,
        greatest: f64,
    },
    Numbers {
        least: f64,
        greatest: f64,
        count: f64,
        sum: f64,
    },
}

impl Part {
    pub fn total(&self) -> f64 {
        match self {
            Part::Total { total, .. } => *total,
            Part::Numbers { count, .. } => *count,
        }
    }
}

impl Told {
    fn total(names: [&'static str; 5], total: f64) -> Told {
        let total = total.round();
        Told {
            names,
            part: Part::Total {
                total,
                least: total,
                greatest: total,
            },
        }
    }

    /// The line as it is when a part of the period has passed.
    pub fn of_part(mut self, passed: f64) -> Told {
        if passed >= 1.0 {
            return self;
        }
        match &mut self.part {
            Part::Total {
                total,
                least,
                greatest,
            } => {
                // Rounded down, so that the totals of values do not exceed the total of all check-ins.
                let whole = (*total * passed).floor();
                (*total, *least, *greatest) = (whole, whole, whole);
            }
            Part::Numbers { count, sum, .. } => (*count, *sum) = (*count * passed, *sum * passed),
        }
        self
    }
}

pub struct Fleet {
    /// The beginning of the current hour, in seconds since 1970.
    pub now: i64,
}

impl Fleet {
    /// All lines of a period that begins at `start`; that of all check-ins is the first.
    pub fn at(&self, start: i64) -> Vec<Told> {
        let days = (start - self.now) as f64 / DAY as f64;
        let all = installations(days, start).round();
        let mut told = vec![Told::total(["all", "", "", "", ""], all)];
        let mut older = all;
        for (version, share) in versions(days) {
            let total = (all * share).round();
            older -= total;
            told.push(Told::total(["app_version", "tag", version, "", ""], total));
        }
        told.push(Told::total(["app_version", "tag", OLDER, "", ""], older));
        let wide: f64 = COUNTRIES
            .iter()
            .map(|(code, _, share)| share * wave(start, code))
            .sum();
        for (code, name, share) in COUNTRIES {
            let share = PLACED * share * wave(start, code) / wide;
            told.push(Told::total(["country", "tag", code, name, ""], all * share));
        }
        for (city, country, share) in CITIES {
            let share = share / 1000.0 * wave(start, city);
            told.push(Told::total(["city", "tag", city, "", country], all * share));
        }
        for (version, share) in kubernetes(days) {
            told.push(Told::total(
                ["kubernetes_version", "tag", version, "", ""],
                all * share,
            ));
        }
        let arm = 0.11 + 0.08 * (1.0 + days / 730.0);
        for (arch, share) in [("amd64", 0.98 - arm), ("arm64", arm), ("riscv64", 0.004)] {
            told.push(Told::total(["host_arch", "tag", arch, "", ""], all * share));
        }
        let backed_up = (all * (0.46 + 0.09 * (1.0 + days / 730.0))).round();
        told.push(Told::total(
            ["backup_enabled", "boolean", "true", "", ""],
            backed_up,
        ));
        told.push(Told::total(
            ["backup_enabled", "boolean", "false", "", ""],
            all - backed_up,
        ));
        let mean = 3.6 + 1.1 * (1.0 + days / 730.0) + 0.03 * (days / 9.0).sin();
        let part = Part::Numbers {
            least: 1.0,
            greatest: 420.0,
            count: all,
            sum: all * mean,
        };
        told.push(Told {
            names: ["node_count", "number", "", "", ""],
            part,
        });
        told
    }
}

/// The number of installations: growth, a weekly and a daily wave, and noise.
fn installations(days: f64, start: i64) -> f64 {
    let grown = 27_000.0 + 21_500.0 * (1.0 + days / 730.0).max(0.0).powf(1.2);
    let turn = std::f64::consts::TAU;
    let weeks = start as f64 / (7.0 * DAY as f64);
    // The heights of the waves differ, but each wave begins and ends at zero.
    let week = 0.011 * (1.0 + 0.6 * noise(weeks.floor() as i64, "week"));
    let week = week * ((weeks * turn).sin() + 0.3 * (2.0 * weeks * turn).sin());
    let day = 0.006 * (1.0 + 0.7 * noise(start.div_euclid(DAY), "day"));
    let day = day * (start as f64 / DAY as f64 * turn).sin();
    grown * (1.0 + week + day + 0.004 * noise(start, "all"))
}

/// The share of each release, which grows at the cost of all older ones.
fn versions(days: f64) -> Vec<(&'static str, f64)> {
    let mut left = 1.0;
    let mut shares = Vec::new();
    for release in RELEASES.iter().rev() {
        let age = days + release.days_ago as f64;
        if age > 0.0 {
            let share = left * release.takes * (1.0 - (-(age / release.days).powf(0.9)).exp());
            shares.push((release.name, share));
            left -= share;
        } else {
            // `together` needs the same lines at each moment.
            shares.push((release.name, 0.0));
        }
    }
    shares
}

fn kubernetes(days: f64) -> Vec<(&'static str, f64)> {
    let mut left = 0.985;
    let mut shares = Vec::new();
    for (version, days_ago) in KUBERNETES {
        let age = days + days_ago as f64;
        let share = if age > 0.0 {
            left * 0.62 * (1.0 - (-age / 110.0).exp())
        } else {
            0.0
        };
        shares.push((version, share));
        left -= share;
    }
    shares
}

/// A factor near 1 that changes a share slowly, with some noise.
fn wave(start: i64, name: &str) -> f64 {
    let phase = noise(0, name) * std::f64::consts::PI;
    1.0 + 0.05 * (start as f64 / (160.0 * DAY as f64) + phase).sin() + 0.01 * noise(start, name)
}

/// A pseudo-random number from -1 to 1 that depends only on moment and name (splitmix64 over FNV-1a).
fn noise(moment: i64, name: &str) -> f64 {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    state = state.wrapping_add((moment as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((state ^ (state >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}
