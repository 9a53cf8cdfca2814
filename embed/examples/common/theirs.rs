//! How does the `tokenizers` crate read a text over our table's vocabulary?
//!
//! The yardstick of the tokenizer's tests and of the throughput example.

use serde_json::{Map, json};
use tokenizers::tokenizer::Tokenizer;

/// BERT uncased over these tokens, in the order of their rows.
pub(crate) fn tokenizer(vocabulary: &[&str]) -> Tokenizer {
    let rows: Map<_, _> =
        vocabulary.iter().zip(0u32..).map(|(&token, row)| (token.into(), row.into())).collect();
    let description = json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": true,
            "strip_accents": null,
            "lowercase": true
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": rows
        }
    });
    Tokenizer::from_bytes(description.to_string()).expect("the description above is complete")
}
