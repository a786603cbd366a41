//! The page and its downloads, rendered from the ledger at each request.
//!
//! Architecture invariant: a page reads the ledger through a connection of its own, and no check-in waits for it.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::answer::Answer;
use super::served::Served;
use super::wanted::{OF_BADGE, OF_REPORT, PAGE_LAST, Parameters};
use crate::config::Snapshot;
use crate::metrics::Metrics;
use crate::page::{self, Audience, RELEASES, Range, Release, RuleCounts, Shown};
use crate::totals::asked::{self, Asked, Span};
use crate::totals::format::{csv, json};
use crate::totals::overview::{Overview, Wanted};
use crate::totals::public::Least;
use crate::totals::report::{Every, Query, Report, Row, counts_as_covered};
use crate::totals::{Fault, LedgerError, LedgerReader};

const DAY: i64 = 86_400;
/// Span in which the newest finished period is looked for, in seconds.
const LOOK_BACK: i64 = 40 * DAY;
/// Greatest age of a period on the badge, in seconds; a longer period may be as old as its length.
const BADGE_AGE: i64 = 7 * DAY;
pub(super) const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// The sources of all pages.
#[derive(Clone, Debug)]
pub struct Pages {
    pub application: String,
    /// The ledger's file.
    pub ledger: PathBuf,
    /// The base URL for check-ins, without the path.
    pub check_in_url: String,
    pub served: Arc<ArcSwap<Served>>,
    pub metrics: Arc<Metrics>,
}

/// The content of the public page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOptions {
    /// The dimensions shown: `app_version`, `country`, `city`, or tags and fields in snake case.
    pub dimensions: Vec<String>,
    /// Least installations of a value that is shown; values with fewer are added up as `other`.
    pub at_least: u32,
}

/// The cause of a failed page.
enum NoPage {
    /// The parameters are invalid, or ask for something that does not exist: 400.
    Asked(String),
    /// The ledger cannot be read now: 503.
    Ledger(LedgerError),
}

impl From<LedgerError> for NoPage {
    fn from(error: LedgerError) -> Self {
        NoPage::Ledger(error)
    }
}

impl NoPage {
    fn answer(self) -> Answer {
        match self {
            NoPage::Asked(what) => Answer::text(400, TEXT, format!("{what}\n")),
            NoPage::Ledger(error) => Answer::text(503, TEXT, format!("{error}\n")),
        }
    }
}

impl Pages {
    /// The operator's page. `now` is in seconds since 1970, here and below.
    pub fn page(&self, target: &str, now: i64) -> Answer {
        let made = self.try_page(&Parameters::of(target), now);
        made.map_or_else(NoPage::answer, |html| {
            guarded(Answer::text(200, HTML, html))
        })
    }

    fn try_page(&self, parameters: &Parameters, now: i64) -> Result<String, NoPage> {
        let (asked, range) = parameters.span(PAGE_LAST, now).map_err(NoPage::Asked)?;
        let ledger = LedgerReader::open(&self.ledger)?;
        let left_out = ledger.left_out(now - 30 * DAY, now + 1)?;
        let rules = self.rules();
        let audience = Audience::Operator {
            check_in_url: &self.check_in_url,
            left_out: &left_out,
            rules: &rules,
        };
        Ok(self.rendered(&ledger, asked, &range, now, audience, None)?)
    }

    /// The public page, with the dimensions of `options` only, and without values that too few installations have.
    pub(super) fn public(
        &self,
        range: &Range,
        last: i64,
        now: i64,
        options: &PublicOptions,
    ) -> Result<String, LedgerError> {
        let asked = Asked::new(
            Span::Last {
                seconds: last,
                to: None,
            },
            now,
        );
        let ledger = LedgerReader::open(&self.ledger)?;
        let audience = Audience::Public {
            least: options.at_least,
        };
        self.rendered(
            &ledger,
            asked,
            range,
            now,
            audience,
            Some(&options.dimensions),
        )
    }

    fn rendered(
        &self,
        ledger: &LedgerReader,
        asked: Asked,
        range: &Range,
        now: i64,
        audience: Audience<'_>,
        dimensions: Option<&[String]>,
    ) -> Result<String, LedgerError> {
        let served = self.served.load();
        let snapshot = &served.snapshot;
        let releases = releases(snapshot);
        let out = releases.iter().filter(|release| release.date <= now);
        let oldest = out.take(RELEASES).map(|release| release.date).min();
        let wanted = Wanted {
            asked,
            now,
            dimensions,
            least: match audience {
                Audience::Public { least } => Some(Least(least)),
                Audience::Operator { .. } => None,
            },
            spread_since: oldest.map(|date| date - date.rem_euclid(DAY)),
        };
        let overview = Overview::read(ledger, &wanted)?;
        Ok(page::render(&Shown {
            application: &self.application,
            overview: &overview,
            releases: &releases,
            geodb: snapshot.geodb.as_ref().map(|geodb| geodb.database_type()),
            range,
            audience,
        }))
    }

    fn rules(&self) -> Vec<RuleCounts> {
        let shown = self.metrics.rules.shown();
        let counts = shown.iter().map(|rule| RuleCounts {
            number: rule.number,
            name: rule.name.clone(),
            decided: rule.decided.get(),
            let_through: rule.let_through.get(),
        });
        counts.collect()
    }

    /// The output of the command `report` with `--format csv`.
    pub fn csv(&self, target: &str, now: i64) -> Answer {
        let mut out = Vec::new();
        let made = self.report(&Parameters::of(target), now);
        // Writing to a Vec cannot fail.
        let made = made.map(|report| drop(csv::write(&report, &mut out)));
        made.map_or_else(NoPage::answer, |()| data("text/csv; charset=utf-8", out))
    }

    /// The output of the command `report` with `--format json`.
    pub fn json(&self, target: &str, now: i64) -> Answer {
        let mut out = Vec::new();
        let made = self.report(&Parameters::of(target), now);
        // Writing to a Vec cannot fail.
        let made = made.map(|report| drop(json::write(&self.application, &report, &mut out)));
        made.map_or_else(NoPage::answer, |()| data(JSON, out))
    }

    fn report(&self, parameters: &Parameters, now: i64) -> Result<Report, NoPage> {
        parameters.expect_only(OF_REPORT).map_err(NoPage::Asked)?;
        let by = parameters.by().map_err(NoPage::Asked)?;
        let every = parameters.every().map_err(NoPage::Asked)?;
        let span = parameters.span(asked::REPORT_LAST, now);
        let (asked, _) = span.map_err(NoPage::Asked)?;
        let ledger = LedgerReader::open(&self.ledger)?;
        let from = asked.within(asked.from, ledger.span()?);
        let report = ledger.report(&Query {
            by,
            from,
            to: asked.to,
            every,
            now,
        });
        report.map_err(|error| match error.fault {
            Fault::Missing(what) => NoPage::Asked(what),
            _ => NoPage::Ledger(error),
        })
    }

    /// The installations of the newest covered period, in the format of shields.io's endpoint badge.
    pub fn badge(&self, target: &str, now: i64) -> Answer {
        let made = self.try_badge(&Parameters::of(target), now);
        made.map_or_else(NoPage::answer, |total| data(JSON, badge(total)))
    }

    fn try_badge(&self, parameters: &Parameters, now: i64) -> Result<Option<f64>, NoPage> {
        parameters.expect_only(OF_BADGE).map_err(NoPage::Asked)?;
        if parameters.by().map_err(NoPage::Asked)? != "all" {
            return Err(NoPage::Asked("by: expected all".to_owned()));
        }
        Ok(self.newest(now)?.covered)
    }

    /// The newest totals.
    pub(super) fn newest(&self, now: i64) -> Result<Newest, LedgerError> {
        let ledger = LedgerReader::open(&self.ledger)?;
        let by = "all".to_owned();
        let report = ledger.report(&Query {
            by,
            from: now - LOOK_BACK,
            to: now,
            every: Every::Period,
            now,
        })?;
        let finished = || report.rows.iter().rev().filter(|row| row.finished);
        let oldest = now - BADGE_AGE.max(report.query_period_seconds as i64);
        let is_recent = |row: &&Row| row.start + row.seconds as i64 >= oldest;
        let is_covered = |row: &&Row| counts_as_covered(row.seconds, row.covered_seconds);
        let mut covered = finished().filter(is_recent).filter(is_covered);
        Ok(Newest {
            last_is_known: finished().next().is_some_and(|row| row.total.is_some()),
            covered: covered.find_map(|row| row.total),
        })
    }
}

/// The newest totals of finished periods.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest {
    /// Whether the total of the last finished period is known.
    pub last_is_known: bool,
    /// Total of the newest covered period that is recent enough for a badge.
    pub covered: Option<f64>,
}

/// The JSON of an endpoint badge: <https://shields.io/badges/endpoint-badge>.
pub(super) fn badge(total: Option<f64>) -> Vec<u8> {
    let (message, color) = match total {
        Some(total) => (page::short(total), "blue"),
        None => ("unknown".to_owned(), "lightgrey"),
    };
    let badge = serde_json::json!({"schemaVersion": 1, "label": "installations", "message": message, "color": color});
    badge.to_string().into_bytes()
}

/// Adds headers that keep browsers from treating clients' text as anything but text.
pub(super) fn guarded(answer: Answer) -> Answer {
    answer
        .with("Content-Security-Policy", page::POLICY)
        .with("X-Content-Type-Options", "nosniff")
        .with("Referrer-Policy", "no-referrer")
        .with("X-Frame-Options", "DENY")
}

fn data(content_type: &str, body: Vec<u8>) -> Answer {
    Answer::bytes(200, content_type, body).with("X-Content-Type-Options", "nosniff")
}

/// The versions of the response config, newest first.
fn releases(snapshot: &Snapshot) -> Vec<Release> {
    let versions = snapshot.response.versions().iter();
    let mut releases: Vec<Release> = versions
        .map(|version| Release {
            name: version.name.clone(),
            version: version.semver.clone(),
            date: version.release_date.as_second(),
            is_latest: version.is_latest(),
        })
        .collect();
    releases.sort_by(|a, b| (b.date, &b.version).cmp(&(a.date, &a.version)));
    releases
}
