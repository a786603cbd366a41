//! The public page on the main listener. It is rendered once a minute, so that a visitor costs no more than a health
//! check. It must show nothing but what the operator chose.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tiny_http::Request;

use super::answer::Answer;
use super::pages::{HTML, JSON, Pages, PublicOptions, badge, guarded};
use crate::page::{RANGES, Range};
use crate::totals::{LedgerError, asked};

/// The target of the page that is sent for targets without a page of their own.
const USUAL: &str = "/?last=90d";
const BADGE: &str = "/badge.json";
/// Caches keep a page for as long as it is served here.
const CACHED: &str = "public, max-age=60";

/// The rendered answers; none before the first call of [`prepare`](PublicPages::prepare).
#[derive(Debug, Default)]
pub struct PublicPages(ArcSwap<Vec<Arc<Prepared>>>);

/// A rendered answer.
#[derive(Debug)]
struct Prepared {
    /// The request target, as links have it: `/?last=90d`.
    target: String,
    etag: String,
    answer: Arc<Answer>,
    /// The `304` for a client that has the answer already.
    unchanged: Arc<Answer>,
}

impl PublicPages {
    /// Renders all answers again, and replaces the earlier ones. `now` is in seconds since 1970. Returns whether the
    /// last finished period is known.
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
            // The ranges are constants of this program, so all of them can be parsed.
            let seconds = asked::last(last).unwrap_or(i64::MAX);
            let html = pages.public(&range, seconds, now, options)?;
            let target = format!("/?{}", range.query);
            prepared.push(Arc::new(Prepared::new(target, HTML, html.into_bytes())));
        }
        let newest = pages.newest(now)?;
        let badge = Prepared::new(BADGE.to_owned(), JSON, badge(newest.covered));
        prepared.push(Arc::new(badge));
        self.0.store(Arc::new(prepared));
        Ok(newest.last_is_known)
    }

    /// The answer to a request for the page or the badge. A target without a page of its own gets the usual range,
    /// so that no request costs a rendering.
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
