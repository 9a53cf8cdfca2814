//! How well does the built-in model find what answers a question, for whole texts and for passages of different sizes?
//!
//! Prints nDCG@10 over the Cranfield collection: gain 1 for each relevant document, discount log2(rank + 1), divided by the
//! best that 10 ranks could have; the mean over all questions. A document scores as its best passage does.
//!
//! ```text
//! STRONGROOM_BENCH_DATA=/data/cranfield cargo run --release -p strongroom-embed --example cranfield [TABLE]
//! ```
//!
//! TABLE is a table file to measure instead of the built-in one.
#![allow(clippy::print_stdout)]

#[path = "common/cranfield.rs"]
mod cranfield;

use std::collections::HashSet;
use std::error::Error;

use cranfield::Cranfield;
use strongroom_embed::{ChunkOptions, Embedder, StaticEmbedder, chunk};

const RANKS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let collection = Cranfield::read(&cranfield::folder())?;
    let other = std::env::args()
        .nth(1)
        .map(|path| StaticEmbedder::from_bytes(&std::fs::read(path)?).map_err(Box::<dyn Error>::from));
    let other = other.transpose()?;
    let model = other.as_ref().unwrap_or_else(|| StaticEmbedder::built_in());
    println!(
        "{}: {} documents, {} questions",
        model.id(),
        collection.documents.len(),
        collection.questions.len()
    );

    println!("{:>7} {:>7} {:>8} {:>7}", "tokens", "overlap", "passages", "nDCG@10");
    let (passages, ndcg) =
        measure(model, &collection, |text| if text.is_empty() { vec![] } else { vec![text] })?;
    println!("{:>7} {:>7} {passages:>8} {ndcg:>7.4}", "all", 0);
    for chunk_tokens in [32, 48, 64, 96, 128, 192, 256, 384, 512] {
        for overlap_tokens in [0, chunk_tokens / 8, chunk_tokens / 4, chunk_tokens / 2] {
            let options = ChunkOptions::new(chunk_tokens, overlap_tokens)?;
            let (passages, ndcg) = measure(model, &collection, |text| {
                let chunks = chunk(text, &options, &|part| model.count_tokens(part));
                chunks.iter().map(|c| &text[c.start..c.end]).collect()
            })?;
            println!("{chunk_tokens:>7} {overlap_tokens:>7} {passages:>8} {ndcg:>7.4}");
        }
    }
    Ok(())
}

/// How many passages `cut` makes of the documents, and the mean nDCG@10 of a search over them.
fn measure(
    model: &StaticEmbedder,
    collection: &Cranfield,
    cut: impl Fn(&str) -> Vec<&str>,
) -> Result<(usize, f64), Box<dyn Error>> {
    let (mut owners, mut passages) = (Vec::new(), Vec::new());
    for (document, text) in collection.documents.iter().enumerate() {
        for passage in cut(text) {
            owners.push(document);
            passages.push(passage);
        }
    }
    let vectors = model.embed(&passages)?;
    let mut sum = 0.0;
    for (question, relevant) in &collection.questions {
        let query = model.embed(&[question])?.remove(0);
        let mut best = vec![f32::NEG_INFINITY; collection.documents.len()];
        for (&document, vector) in owners.iter().zip(&vectors) {
            let score = query.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>();
            best[document] = best[document].max(score);
        }
        let mut ranked: Vec<usize> = (0..best.len()).collect();
        ranked.sort_by(|&a, &b| best[b].total_cmp(&best[a]).then(a.cmp(&b)));
        sum += ndcg(&ranked, relevant);
    }
    Ok((passages.len(), sum / collection.questions.len() as f64))
}

fn ndcg(ranked: &[usize], relevant: &HashSet<usize>) -> f64 {
    let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let found: f64 = (0..RANKS).filter(|&rank| relevant.contains(&ranked[rank])).map(gain).sum();
    let best: f64 = (0..RANKS.min(relevant.len())).map(gain).sum();
    if best > 0.0 { found / best } else { 0.0 }
}
