//! The page for strangers on the main listener: prepared once a minute as bytes, so that a visitor costs no more
//! than a health check, and reads nothing but what the operator wants to be read.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tiny_http::Request;

use super::answer::Answer;
use super::pages::{HTML, JSON, Pages, PublicOptions, badge, guarded};
use crate::page::{RANGES, Range};
use crate::totals::{LedgerError, asked};

/// What is shown where none of the others is asked for.
const USUAL: &str = "/?last=90d";
const BADGE: &str = "/badge.json";
/// How long caches keep a page, as long as it is prepared for.
const CACHED: &str = "public, max-age=60";

/// What is ready to be sent; nothing before the first preparation.
#[derive(Debug, Default)]
pub struct PublicPages(ArcSwap<Vec<Arc<Prepared>>>);

/// An answer, and what it is to who has it already.
#[derive(Debug)]
struct Prepared {
    /// As a link asks for it: `/?last=90d`.
    target: String,
    etag: String,
    answer: Arc<Answer>,
    unchanged: Arc<Answer>,
}

impl PublicPages {
    /// Renders all answers again and serves them from now on. `now` is in seconds since 1970. Returns whether the last
    /// finished period is known.
    pub fn prepare(
        &self,
        pages: &Pages,
        options: &PublicOptions,
        now: i64,
    ) -> Result<bool, LedgerError> {
        let mut prepared = Vec::with_capacity(RANGES.len() + 1);
        for (name, last) in RANGES {
            let range = Range {
                query: format!("last={last}"),
                name: Some(name),
            };
            // The names are this program's own.
            let seconds = asked::last(last).unwrap_or(i64::MAX);
            let html = pages.public(&range, seconds, now, options)?;
            let target = format!("/?{}", range.query);
            prepared.push(Arc::new(Prepared::new(target, HTML, html.into_bytes())));
        }
        let total = pages.installations(now)?;
        let badge = Prepared::new(BADGE.to_owned(), JSON, badge(total));
        prepared.push(Arc::new(badge));
        self.0.store(Arc::new(prepared));
        Ok(total.is_some())
    }

    /// The answer to a request for the page or the badge. An address that has no page of its own gets the usual
    /// range, so that nobody can ask for work.
    pub fn answer(&self, request: &Request) -> Option<Arc<Answer>> {
        let prepared = self.0.load();
        let of = |target: &str| prepared.iter().find(|page| page.target == target);
        let target = request.url();
        let wanted = if target.starts_with(BADGE) {
            BADGE
        } else {
            target
        };
        let found = of(wanted).or_else(|| of(USUAL))?;
        let known = request.headers().get("If-None-Match");
        let is_known = known.is_some_and(|known| known.as_str().contains(&found.etag));
        Some(Arc::clone(if is_known {
            &found.unchanged
        } else {
            &found.answer
        }))
    }
}

impl Prepared {
    fn new(target: String, content_type: &str, body: Vec<u8>) -> Prepared {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        let headed = |answer: Answer| {
            let answer = guarded(answer).with("Cache-Control", CACHED);
            Arc::new(answer.with("ETag", &etag))
        };
        Prepared {
            answer: headed(Answer::bytes(200, content_type, body)),
            unchanged: headed(Answer::not_modified()),
            target,
            etag,
        }
    }
}
