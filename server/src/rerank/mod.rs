//! Who else says how well a passage answers a query?
//!
//! A reranker: a model that reads query and passage together, run by somebody else at an address that the operator gave. A
//! search hands over the passages that it found, and this room brings back how relevant each of them is.
//!
//! Invariants:
//! 1. Nothing is sent but the query and the beginnings of the passages handed in, which one search of one partition found.
//! 2. Each passage gets exactly one score that is a number, or the whole answer counts for nothing.

mod forms;
pub(crate) mod settings;

use std::sync::Arc;

use self::forms::{Form, Scale};
use self::settings::Settings;
use crate::metrics::Metrics;
use crate::outbound::{Failure, Service};

/// More of a passage than models read.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// What a reranker says of a passage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Relevance {
    /// From 0 to 1, on the same scale for every query.
    pub(crate) share: f32,
    /// The score as it came, which orders what has the same share.
    pub(crate) score: f64,
}

/// The reranker that the operator named.
pub(crate) struct Reranker {
    service: Service,
    model: Option<String>,
    form: Form,
    scale: Scale,
    /// How many passages of a search are ranked at most.
    pub(crate) candidates_max: usize,
}

impl Reranker {
    /// The error is one line that says what to do.
    pub(crate) fn new(settings: Settings, metrics: Arc<Metrics>) -> Result<Self, String> {
        let Settings { endpoint, model, form, scale, candidates_max } = settings;
        Ok(Self { service: Service::new("reranker", endpoint, metrics)?, model, form, scale, candidates_max })
    }

    /// How relevant each of the passages is, in their order.
    pub(crate) async fn rank(&self, query: &str, passages: &[&str]) -> Result<Vec<Relevance>, Failure> {
        if passages.is_empty() {
            return Ok(Vec::new());
        }
        let ask = || {
            let texts: Vec<&str> = passages.iter().map(|passage| beginning(passage)).collect();
            self.form.ask(self.model.as_deref(), beginning(query), &texts, self.scale)
        };
        let read = |answer: &[u8]| {
            let scores = self.form.read(answer, passages.len())?;
            scores.into_iter().map(|score| self.scale.relevance(score)).collect()
        };
        self.service.post(ask, read).await
    }
}

/// As much of a text as is sent.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a passage of many megabytes would be sent whole, or one be cut within a letter and end the request.
    #[test]
    fn long_passages_are_cut_between_letters() {
        let text = format!("{}é and more", "x".repeat(TEXT_BYTES_MAX - 1));
        assert_eq!(beginning(&text), "x".repeat(TEXT_BYTES_MAX - 1));
        assert_eq!(beginning("short é"), "short é");
    }
}
