//! How is a reranker asked, and how does it answer?
//!
//! Two forms of JSON are in use. That of Cohere, Jina, vLLM, llama.cpp and others:
//! `{"model", "query", "documents", "top_n"}` → `{"results": [{"index", "relevance_score"}, …]}`; and that of Hugging Face's
//! text-embeddings-inference: `{"query", "texts", "truncate", "raw_scores"}` → `[{"index", "score"}, …]`. Both answer in the order
//! of the scores, and may say more.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::Relevance;

/// What rounding may add to a share of 1.
const SHARE_SLACK: f64 = 1e-3;

/// The form of requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// As Cohere's, Jina's, vLLM's and llama.cpp's
    Cohere,
    /// As text-embeddings-inference's
    Tei,
}

/// What the scores mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scale {
    /// From 0 to 1; what is below 0 counts as 0
    Shares,
    /// Any number, as models give it: 0 is in the middle
    Logits,
}

#[derive(Serialize)]
struct Documents<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    query: &'a str,
    documents: &'a [&'a str],
    /// All of them: an answer that leaves one out is then known to be wrong.
    top_n: usize,
}

#[derive(Serialize)]
struct Texts<'a> {
    query: &'a str,
    texts: &'a [&'a str],
    truncate: bool,
    raw_scores: bool,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Scored>,
}

#[derive(Deserialize)]
struct Scored {
    index: usize,
    #[serde(alias = "score")]
    relevance_score: f64,
}

impl Form {
    /// The body of a request.
    pub(super) fn ask(self, model: Option<&str>, query: &str, texts: &[&str], scale: Scale) -> Vec<u8> {
        let body = match self {
            Self::Cohere => {
                serde_json::to_vec(&Documents { model, query, documents: texts, top_n: texts.len() })
            }
            Self::Tei => {
                let raw_scores = scale == Scale::Logits;
                serde_json::to_vec(&Texts { query, texts, truncate: true, raw_scores })
            }
        };
        // Texts and numbers alone can always be written.
        body.unwrap_or_default()
    }

    /// The score of each of `count` texts, in their order.
    pub(super) fn read(self, answer: &[u8], count: usize) -> Result<Vec<f64>, &'static str> {
        let results = match self {
            Self::Cohere => serde_json::from_slice::<Results>(answer).map(|answer| answer.results),
            Self::Tei => serde_json::from_slice::<Vec<Scored>>(answer),
        };
        let results = results.map_err(|_| "its answer is not of the form that was agreed on")?;
        let mut scores = vec![None; count];
        for Scored { index, relevance_score } in results {
            let place = scores.get_mut(index).ok_or("its answer scores a text that it was not sent")?;
            if place.replace(relevance_score).is_some() {
                return Err("its answer scores a text twice");
            }
        }
        scores.into_iter().collect::<Option<_>>().ok_or("its answer leaves a text without a score")
    }
}

impl Scale {
    pub(super) fn relevance(self, score: f64) -> Result<Relevance, &'static str> {
        if !score.is_finite() {
            return Err("its answer has a score that is no number");
        }
        let share = match self {
            Self::Shares if score > 1.0 + SHARE_SLACK => {
                return Err("its answer has a score above 1: are they logits? (setting reranker_scores)");
            }
            Self::Shares => score.clamp(0.0, 1.0),
            Self::Logits => 1.0 / (1.0 + (-score).exp()),
        };
        #[expect(clippy::cast_possible_truncation, reason = "a share needs no more than f32's precision")]
        Ok(Relevance { share: share as f32, score })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn asked(form: Form, model: Option<&str>, scale: Scale) -> Value {
        serde_json::from_slice(&form.ask(model, "q", &["a", "b"], scale)).unwrap()
    }

    /// Lost otherwise: a reranker would answer 422 to every request.
    #[test]
    fn requests_have_the_form_that_was_agreed_on() {
        let cohere = json!({"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 2});
        assert_eq!(asked(Form::Cohere, Some("m"), Scale::Shares), cohere);
        let bare = json!({"query": "q", "documents": ["a", "b"], "top_n": 2});
        assert_eq!(asked(Form::Cohere, None, Scale::Logits), bare);
        let tei = json!({"query": "q", "texts": ["a", "b"], "truncate": true, "raw_scores": false});
        assert_eq!(asked(Form::Tei, Some("m"), Scale::Shares), tei);
        assert_eq!(asked(Form::Tei, None, Scale::Logits)["raw_scores"], true);
    }

    /// Lost otherwise: scores would be given to other passages than they were meant for.
    #[test]
    fn each_text_gets_the_score_with_its_index() {
        let answer =
            br#"{"id": "x", "results": [{"index": 2, "relevance_score": 0.9, "document": {"text": "c"}},
            {"index": 0, "relevance_score": -0.25}, {"index": 1, "relevance_score": 1e-9}], "meta": {}}"#;
        assert_eq!(Form::Cohere.read(answer, 3), Ok(vec![-0.25, 1e-9, 0.9]));
        let answer = br#"[{"index": 1, "score": 0.75, "text": "b"}, {"index": 0, "score": 0.5}]"#;
        assert_eq!(Form::Tei.read(answer, 2), Ok(vec![0.5, 0.75]));
    }

    /// Lost otherwise: results would be ordered by scores that nobody gave.
    #[test]
    fn an_answer_that_is_not_whole_counts_for_nothing() {
        let one = r#"{"index": 0, "relevance_score": 0.5}"#;
        for (results, why) in [
            (one.to_owned(), "without a score"),
            (format!("{one}, {one}"), "twice"),
            (format!("{one}, {{\"index\": 2, \"relevance_score\": 0.5}}"), "not sent"),
            (format!("{one}, {{\"index\": -1, \"relevance_score\": 0.5}}"), "form"),
            (format!("{one}, {{\"index\": 1, \"relevance_score\": NaN}}"), "form"),
            (format!("{one}, {{\"index\": 1, \"relevance_score\": null}}"), "form"),
            (format!("{one}, {{\"index\": 1, \"relevance_score\": 1e999}}"), "form"),
            (format!("{one}, {{\"index\": 1, \"relevance_score\": \"1\"}}"), "form"),
            (format!("{one}, {{\"index\": 1}}"), "form"),
        ] {
            let answer = format!("{{\"results\": [{results}]}}");
            let error = Form::Cohere.read(answer.as_bytes(), 2).unwrap_err();
            assert!(error.contains(why), "{answer}: {error}");
        }
        for answer in ["", "[]", "{}", "null", "{\"results\": {}}", "<html>", "\u{feff}{}"] {
            assert!(Form::Cohere.read(answer.as_bytes(), 1).is_err(), "{answer}");
        }
        assert!(Form::Tei.read(br#"{"results": []}"#, 0).is_err());
    }

    /// Lost otherwise: a score would mean something else than a search's own, or another thing from query to query.
    #[test]
    fn scores_become_shares_on_a_scale_of_their_own() {
        let share = |scale: Scale, score| scale.relevance(score).map(|relevance| relevance.share);
        for (score, expected) in [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (1.000_1, 1.0), (-0.08, 0.0)] {
            assert_eq!(share(Scale::Shares, score), Ok(expected), "{score}");
        }
        assert!(share(Scale::Shares, 4.5).unwrap_err().contains("reranker_scores"));
        assert_eq!(share(Scale::Logits, 0.0), Ok(0.5));
        assert!(share(Scale::Logits, 4.0).is_ok_and(|share| (0.98..0.99).contains(&share)));
        assert_eq!(share(Scale::Logits, -1000.0), Ok(0.0));
        assert!(share(Scale::Logits, f64::INFINITY).is_err());
    }
}
