//! The operator's listener: the page, reports, metrics and health. It must not be reachable from the internet.

use tiny_http::{Method, Request};

use super::answer::{self, Answer, Refusal, Then};
use super::buffers::Buffers;
use super::healthz::healthz;
use super::installations::Installations;
use super::listener::Handler;
use super::metrics_page::MetricsPage;
use super::pages::Pages;
use super::prometheus::TEXT_FORMAT;
use super::target::path;
use crate::spool::clock::now_seconds;

/// The sources of the operator's answers.
#[derive(Debug)]
pub struct Operator {
    pub pages: Pages,
    pub metrics: MetricsPage,
    pub installations: Installations,
}

impl Handler for Operator {
    fn handle(&self, request: Request, buffers: &mut Buffers) -> Then {
        if !matches!(request.method(), Method::Get | Method::Head) {
            let refusal = Refusal::not_allowed("GET, HEAD");
            return answer::refuse_unread(request, &refusal);
        }
        let target = request.url();
        let page = match &*path(target) {
            "" => self.pages.page(target, now_seconds()),
            "/report.csv" => self.pages.csv(target, now_seconds()),
            "/report.json" => self.pages.json(target, now_seconds()),
            "/badge.json" => self.pages.badge(target, now_seconds()),
            "/metrics" => Answer::text(200, TEXT_FORMAT, self.metrics.render()),
            "/metrics/installations" => self.installations(),
            "/healthz" => healthz(&self.metrics.metrics, &self.metrics.spool),
            _ => {
                let what = "expected /, /report.csv, /report.json, /badge.json, /metrics, \
                            /metrics/installations or /healthz";
                return answer::refuse_unread(request, &Refusal::new(404, what));
            }
        };
        answer::send(request, &page, Then::Close, &mut buffers.out)
    }
}

impl Operator {
    /// The page of installations; 503 while the ledger cannot be read.
    fn installations(&self) -> Answer {
        match self.installations.page(now_seconds()) {
            Ok(text) => Answer::text(200, TEXT_FORMAT, text),
            Err(error) => Answer::text(503, "text/plain", format!("{error}\n")),
        }
    }
}
