//! How busy is the server?
//!
//! Counters in Prometheus' text format, by route template and status. Templates are ours: no path, partition or name
//! of a tenant can become a label.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

/// The counters.
pub(crate) struct Metrics {
    started: Instant,
    in_flight: Arc<AtomicU64>,
    damages: AtomicU64,
    connections_refused: AtomicU64,
    connections_cut: AtomicU64,
    refusals_held: AtomicU64,
    answers: Mutex<BTreeMap<(&'static str, u16), Answers>>,
    /// Of other services, by their name and how the call ended.
    outbound: Mutex<BTreeMap<(&'static str, &'static str), Answers>>,
    /// By signal.
    feedback: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Answers {
    count: u64,
    seconds: f64,
}

/// Counts one request as in flight until it goes.
pub(crate) struct InFlight(Arc<AtomicU64>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            in_flight: Arc::default(),
            damages: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            connections_cut: AtomicU64::new(0),
            refusals_held: AtomicU64::new(0),
            answers: Mutex::default(),
            outbound: Mutex::default(),
            feedback: Mutex::default(),
        }
    }

    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.in_flight.clone())
    }

    /// Whether somebody waits for an answer.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn count_damage(&self) {
        self.damages.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection for which there was no place.
    pub(crate) fn count_refused_connection(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that was ended because its peer kept it open without a use.
    pub(crate) fn count_cut_connection(&self) {
        self.connections_cut.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer that waits because its asker sent too much that was refused.
    pub(crate) fn count_held_refusal(&self) {
        self.refusals_held.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, template: &'static str, status: StatusCode, took: Duration) {
        add(&self.answers, (template, status.as_u16()), took);
    }

    /// Counts a call of another service. Both words are ours.
    pub(crate) fn count_outbound(&self, service: &'static str, outcome: &'static str, took: Duration) {
        add(&self.outbound, (service, outcome), took);
    }

    /// Counts a report of what became of what a search found. The word is ours.
    pub(crate) fn count_feedback(&self, signal: &'static str) {
        *self.feedback.lock().unwrap_or_else(PoisonError::into_inner).entry(signal).or_default() += 1;
    }

    /// The text that a scraper reads.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let head = |name: &str, kind: &str, help: &str| {
            format!("# HELP strongroom_{name} {help}\n# TYPE strongroom_{name} {kind}\n")
        };
        text += &head("requests_total", "counter", "Requests answered, by route and status.");
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for ((route, status), answers) in &answers {
            let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
            writeln!(text, "strongroom_requests_total{labels} {}", answers.count).ok();
        }
        text += &head("request_seconds_total", "counter", "Time spent on answering, by route and status.");
        for ((route, status), answers) in &answers {
            let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
            writeln!(text, "strongroom_request_seconds_total{labels} {:.6}", answers.seconds).ok();
        }
        text += &head("requests_in_flight", "gauge", "Requests being answered now.");
        writeln!(text, "strongroom_requests_in_flight {}", self.in_flight.load(Ordering::Relaxed)).ok();
        text += &head("damages_total", "counter", "Places on the disk that were found to be damaged.");
        writeln!(text, "strongroom_damages_total {}", self.damages.load(Ordering::Relaxed)).ok();
        text += &head("connections_refused_total", "counter", "Connections for which there was no place.");
        let refused = self.connections_refused.load(Ordering::Relaxed);
        writeln!(text, "strongroom_connections_refused_total {refused}").ok();
        text += &head(
            "connections_cut_total",
            "counter",
            "Connections whose peer took no answer, or sent nothing.",
        );
        let cut = self.connections_cut.load(Ordering::Relaxed);
        writeln!(text, "strongroom_connections_cut_total {cut}").ok();
        text +=
            &head("refusals_held_total", "counter", "Refusals that waited, for those who brought too many.");
        let held = self.refusals_held.load(Ordering::Relaxed);
        writeln!(text, "strongroom_refusals_held_total {held}").ok();
        text += &head("outbound_calls_total", "counter", "Calls of other services, by how they ended.");
        let outbound = self.outbound.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for ((service, outcome), calls) in &outbound {
            let labels = format!("{{service=\"{service}\",outcome=\"{outcome}\"}}");
            writeln!(text, "strongroom_outbound_calls_total{labels} {}", calls.count).ok();
        }
        text += &head("outbound_seconds_total", "counter", "Time spent on calls of other services.");
        for ((service, outcome), calls) in &outbound {
            let labels = format!("{{service=\"{service}\",outcome=\"{outcome}\"}}");
            writeln!(text, "strongroom_outbound_seconds_total{labels} {:.6}", calls.seconds).ok();
        }
        text += &head("search_feedback_total", "counter", "Reports of what became of what searches found.");
        for (signal, count) in &*self.feedback.lock().unwrap_or_else(PoisonError::into_inner) {
            writeln!(text, "strongroom_search_feedback_total{{signal=\"{signal}\"}} {count}").ok();
        }
        text += &head("uptime_seconds", "gauge", "Time since the server started.");
        writeln!(text, "strongroom_uptime_seconds {}", self.started.elapsed().as_secs()).ok();
        text
    }
}

fn add<K: Ord>(counters: &Mutex<BTreeMap<K, Answers>>, key: K, took: Duration) {
    let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
    let counter = counters.entry(key).or_default();
    counter.count += 1;
    counter.seconds += took.as_secs_f64();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a dashboard would show an idle server while it drowns, or one that never gets idle again.
    #[test]
    fn requests_are_counted_once_and_let_go() {
        let metrics = Metrics::new();
        let one = metrics.begin();
        let two = metrics.begin();
        drop(one);
        metrics.count("/v1/search", StatusCode::OK, Duration::from_millis(250));
        metrics.count("/v1/search", StatusCode::OK, Duration::from_millis(250));
        let text = metrics.render();
        assert!(
            text.contains("strongroom_requests_total{route=\"/v1/search\",status=\"200\"} 2\n"),
            "{text}"
        );
        assert!(
            text.contains("strongroom_request_seconds_total{route=\"/v1/search\",status=\"200\"} 0.500000\n")
        );
        assert!(text.contains("strongroom_requests_in_flight 1\n"));
        drop(two);
        assert!(metrics.render().contains("strongroom_requests_in_flight 0\n"));
    }
}
