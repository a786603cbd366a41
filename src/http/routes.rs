//! Routes of the main listener: a request is refused, or answered and, if it is a check-in, recorded. A request must
//! never wait for a database, for DNS or for a disk flush.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tiny_http::{Method, Request};

use super::answer::{self, Answer, Refusal, Then};
use super::buffers::Buffers;
use super::client_addr::{TrustedProxies, client_addr};
use super::headers::{self, Seen};
use super::listener::Handler;
use super::public::PublicPages;
use super::read_body::{read_body, unreadable};
use super::served::Served;
use super::slots::InFlight;
use super::target::path;
use crate::checkin::body::{self, Raw};
use crate::checkin::request::{self, CheckIn};
use crate::checkin::{left_out, repair};
use crate::config::Snapshot;
use crate::config::rules::client::{Client, Place};
use crate::geo::{Location, Lookup};
use crate::line::Record;
use crate::metrics::Metrics;
use crate::spool::queue::{Recorder, Stopped};
use crate::totals::left_out::LeftOutTable;

/// Most bytes of an `X-Request-Id`.
const MAX_REQUEST_ID: usize = 64;

/// The state that all connection threads share.
#[derive(Debug)]
pub struct App {
    pub served: Arc<ArcSwap<Served>>,
    pub trusted_proxies: TrustedProxies,
    pub client_timeout: Duration,
    pub recorder: Recorder,
    /// Keys that were left out of check-ins, by name.
    pub left_out: Arc<LeftOutTable>,
    pub in_flight: InFlight,
    pub metrics: Arc<Metrics>,
    healthy: Answer,
    /// The public page, where there is one.
    pub public: Option<Arc<PublicPages>>,
}

impl App {
    pub fn new(
        snapshot: Snapshot,
        trusted_proxies: TrustedProxies,
        client_timeout: Duration,
        recorder: Recorder,
        left_out: Arc<LeftOutTable>,
        metrics: Arc<Metrics>,
        public: Option<Arc<PublicPages>>,
    ) -> App {
        App {
            served: Arc::new(ArcSwap::from_pointee(Served::new(snapshot))),
            trusted_proxies,
            client_timeout,
            recorder,
            left_out,
            in_flight: InFlight::default(),
            metrics,
            healthy: Answer::empty(),
            public,
        }
    }

    fn answer(&self, mut request: Request, buffers: &mut Buffers) -> Then {
        let counts = &self.metrics.http;
        let seen = headers::read(&request);
        let Some(_flight) = self.in_flight.enter() else {
            counts.refused(503);
            return answer::refuse_unread(request, &stopping());
        };
        let body = &mut buffers.body;
        if let Err(refusal) = read_body(&mut request, seen.framing, self.client_timeout, body) {
            counts.refused(refusal.status);
            return answer::refuse_unread(request, &refusal);
        }
        let then = if seen.close {
            Then::Close
        } else {
            Then::KeepAlive
        };
        match self.route(request, &seen, then, buffers) {
            Ok(then) => {
                counts.status_200.add(1);
                then
            }
            Err((request, refusal)) => {
                counts.refused(refusal.status);
                answer::refuse(*request, &refusal, then, &mut buffers.out)
            }
        }
    }

    fn route(
        &self,
        request: Request,
        seen: &Seen,
        then: Then,
        buffers: &mut Buffers,
    ) -> Result<Then, (Box<Request>, Refusal)> {
        let refused = |request, refusal| Err((Box::new(request), refusal));
        match (&*path(request.url()), request.method()) {
            ("/v1/checkupgrade", Method::Post) => {
                // The snapshot is loaded once, so that answer, schema and geo database are of the same reload.
                let served = self.served.load();
                match self.check_in(&request, seen, &served.snapshot, buffers) {
                    Ok(outcome) => Ok(answer::send(
                        request,
                        served.answer_of(outcome),
                        then,
                        &mut buffers.out,
                    )),
                    Err(refusal) => refused(request, refusal),
                }
            }
            ("/v1/healthcheck", Method::Get | Method::Head) => {
                Ok(answer::send(request, &self.healthy, then, &mut buffers.out))
            }
            ("" | "/badge.json", Method::Get | Method::Head) => {
                match self
                    .public
                    .as_ref()
                    .and_then(|public| public.answer(&request))
                {
                    Some(answer) => Ok(answer::send(request, &answer, then, &mut buffers.out)),
                    None => refused(request, Refusal::new(404, "unknown path")),
                }
            }
            ("/v1/checkupgrade", _) => refused(request, Refusal::not_allowed("POST")),
            ("/v1/healthcheck", _) => refused(request, Refusal::not_allowed("GET, HEAD")),
            _ => refused(request, Refusal::new(404, "unknown path")),
        }
    }

    /// Records a check-in, and returns the index of the rule that decides. The record is queued before the answer is
    /// sent.
    fn check_in(
        &self,
        request: &Request,
        seen: &Seen,
        snapshot: &Snapshot,
        buffers: &mut Buffers,
    ) -> Result<Option<usize>, Refusal> {
        let repaired;
        let raw = match body::read(&buffers.body) {
            Ok(raw) => raw,
            Err(error) => {
                let error = unreadable(request, &error);
                if error.status != 400 {
                    return Err(error);
                }
                repaired = repair::repaired(&buffers.body).ok_or(error)?;
                body::read(&repaired).map_err(|error| Refusal::new(400, error.to_string()))?
            }
        };
        let peer = request.remote_addr().map(|addr| addr.ip());
        let mut located = None;
        let outcome = match snapshot.response.rules().is_empty() {
            true => None,
            false => self.decide(&raw, peer, seen, snapshot, &mut located),
        };
        let check_in = request::validate(raw, snapshot.schema.as_ref());
        let counts = &self.metrics.check_ins;
        counts.add_left_out(&check_in.left_out);
        if !check_in.notes.is_empty() {
            self.left_out.note(&check_in.app_version, &check_in.notes);
        }
        if !check_in.recordable {
            log::debug!(
                "version {:?} breaks the schema: answered, not recorded",
                left_out::beginning(&check_in.app_version)
            );
            counts.not_recordable.add(1);
            return Ok(outcome);
        }
        let location = located.unwrap_or_else(|| {
            let addr = snapshot.geodb.as_ref().map(|_| self.client(peer, seen));
            self.locate(addr.flatten(), snapshot)
        });
        let record = record(&check_in, &location, request, &mut buffers.point);
        self.recorder.record(record).map_err(|Stopped| stopping())?;
        counts.recorded.add(1);
        log::debug!(
            "recorded a check-in of version {:?} from {:?}",
            check_in.app_version,
            location.country_isocode
        );
        Ok(outcome)
    }

    /// The index of the rule that decides. Sets `located` to the client's place if a rule needs it.
    fn decide<'a>(
        &self,
        raw: &Raw<'_>,
        peer: Option<IpAddr>,
        seen: &Seen,
        snapshot: &'a Snapshot,
        located: &mut Option<Location<'a>>,
    ) -> Option<usize> {
        let rules = snapshot.response.rules();
        let needs = rules.needs();
        let address = match needs.country || needs.address {
            true => self.client(peer, seen),
            false => None,
        };
        if needs.country {
            *located = Some(self.locate(address, snapshot));
        }
        let place = Place {
            country: located.and_then(|location| location.country_isocode),
            address,
        };
        let client = Client::new(raw, needs, place, Timestamp::now());
        let counters = |index: usize| snapshot.rule_counters.get(index);
        let outcome = rules.decide(&client, |index| {
            if let Some(rule) = counters(index) {
                rule.let_through.add(1);
            }
        });
        if let Some(rule) = outcome.and_then(counters) {
            rule.decided.add(1);
        }
        outcome
    }

    /// The client's address, for the look-up and for rules with a Share.
    fn client(&self, peer: Option<IpAddr>, seen: &Seen) -> Option<IpAddr> {
        let forwarded_for = std::iter::once(seen.forwarded_for.as_str());
        client_addr(peer, forwarded_for, &self.trusted_proxies)
    }

    /// The place of the client's address. The address must not be kept.
    fn locate<'a>(&self, addr: Option<IpAddr>, snapshot: &'a Snapshot) -> Location<'a> {
        let Some(geodb) = &snapshot.geodb else {
            return Location::default();
        };
        let counts = &self.metrics.check_ins;
        let Some(addr) = addr else {
            counts.geo_not_found.add(1);
            return Location::default();
        };
        match geodb.locate(addr) {
            Lookup::Found(location) => {
                counts.geo_found.add(1);
                return location;
            }
            Lookup::NotFound => counts.geo_not_found.add(1),
            Lookup::Broken => counts.geo_broken.add(1),
        }
        Location::default()
    }
}

impl Handler for App {
    fn handle(&self, request: Request, buffers: &mut Buffers) -> Then {
        if path(request.url()) == "/v1/healthcheck" {
            return self.answer(request, buffers);
        }
        let start = Instant::now();
        let then = self.answer(request, buffers);
        self.metrics.http.handling.observe(start.elapsed());
        then
    }

    fn connected(&self) {
        self.metrics.http.connections.add(1);
    }

    fn broken(&self) {
        self.metrics.http.malformed.add(1);
    }
}

fn record(
    check_in: &CheckIn<'_>,
    location: &Location<'_>,
    request: &Request,
    scratch: &mut Vec<u8>,
) -> Record {
    let request_id = request
        .headers()
        .get("X-Request-Id")
        .map(|value| value.as_str());
    let request_id = request_id.filter(|id| sound_request_id(id));
    Record::new(&check_in.parts(*location, request_id), scratch)
}

fn sound_request_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.bytes().all(allowed)
}

fn stopping() -> Refusal {
    Refusal::new(503, "the server is stopping")
}
