//! In what form is an embedding service asked, and how does it answer?
//!
//! OpenAI's: `{"model", "input": [text, …], "encoding_format": "float"}` and `{"data": [{"index", "embedding"}, …]}`. A
//! dimension is named only to models that can shorten their vectors, since others refuse it.

use serde::Deserialize;
use serde_json::json;

/// Vectors of another length than the collection's.
pub(super) const WRONG_DIMENSION: &str = "its vectors have another dimension than the collection";

const UNREADABLE: &str = "its answer is not a list of embeddings, one for each text";

/// Models that can shorten their vectors are called so.
const SHORTENABLE: &str = "text-embedding-3";

#[derive(Deserialize)]
struct Answer {
    data: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// The body of a call.
pub(super) fn ask(model: &str, dimension: usize, texts: &[&str]) -> Vec<u8> {
    let mut body = json!({"model": model, "input": texts, "encoding_format": "float"});
    if model.contains(SHORTENABLE) {
        body["dimensions"] = json!(dimension);
    }
    body.to_string().into_bytes()
}

/// The vectors of an answer, in the order of the texts.
pub(super) fn read(answer: &[u8], texts: usize, dimension: usize) -> Result<Vec<Vec<f32>>, &'static str> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| UNREADABLE)?;
    if answer.data.len() != texts {
        return Err(UNREADABLE);
    }
    let mut vectors = vec![Vec::new(); texts];
    for (at, one) in answer.data.into_iter().enumerate() {
        let place = vectors.get_mut(one.index.unwrap_or(at)).ok_or(UNREADABLE)?;
        if one.embedding.len() != dimension {
            return Err(WRONG_DIMENSION);
        }
        if !std::mem::replace(place, one.embedding).is_empty() {
            return Err(UNREADABLE);
        }
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: passages would be stored under each other's vectors, or under none, by a service that answers out of order or
    /// not at all.
    #[test]
    fn each_text_gets_its_own_vector_or_none_does() {
        let read = |answer: &str| read(answer.as_bytes(), 2, 2);
        let in_turn = r#"{"data": [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}], "usage": {}}"#;
        assert_eq!(read(in_turn), Ok(vec![vec![1.0, 2.0], vec![3.0, 4.0]]));
        assert_eq!(
            read(r#"{"data": [{"embedding": [1, 2]}, {"embedding": [3, 4]}]}"#).unwrap()[1],
            [3.0, 4.0]
        );
        for (bad, why) in [
            (r#"{"data": [{"embedding": [1, 2]}]}"#, UNREADABLE),
            (
                r#"{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 0, "embedding": [1, 2]}]}"#,
                UNREADABLE,
            ),
            (
                r#"{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 9, "embedding": [1, 2]}]}"#,
                UNREADABLE,
            ),
            (r#"{"data": [{"embedding": [1, 2]}, {"embedding": [1, 2, 3]}]}"#, WRONG_DIMENSION),
            (r#"{"data": [{"embedding": [1, 2]}, {"embedding": []}]}"#, WRONG_DIMENSION),
            (r#"{"data": [{"embedding": [1, 2]}, {"embedding": [1, 1e39]}]}"#, UNREADABLE),
            (r#"{"error": "no"}"#, UNREADABLE),
            ("<html>", UNREADABLE),
        ] {
            assert_eq!(read(bad), Err(why), "{bad}");
        }
    }
}
