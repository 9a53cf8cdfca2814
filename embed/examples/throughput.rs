//! How many passages of 128 tokens does the built-in model embed in a second, on one core?
//!
//! Measures ours and, in turns with it, the `tokenizers` crate with a plain sum over the same table. The text is the
//! documentation and code of this repository, or the Cranfield abstracts if STRONGROOM_BENCH_DATA names their folder.
//!
//! ```text
//! cargo run --release -p strongroom-embed --example throughput
//! ```
#![allow(clippy::print_stdout)]

#[path = "common/cranfield.rs"]
mod cranfield;
#[path = "common/theirs.rs"]
mod theirs;

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cranfield::Cranfield;
use strongroom_embed::{ChunkOptions, Embedder, StaticEmbedder, chunk};
use tokenizers::tokenizer::Tokenizer;

const TOKENS: usize = 128;
const ROUNDS: usize = 5;
/// Fewer for the slower one, so that a turn of each takes a similar time.
const THEIR_SHARE: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let (source, text) = text()?;
    let passages = passages(&text);
    let bytes: usize = passages.iter().map(|p| p.len()).sum();
    println!(
        "{} passages of {TOKENS} tokens and {} bytes on average, from {source}",
        passages.len(),
        bytes / passages.len()
    );

    let model = StaticEmbedder::built_in();
    let table = PlainTable::read(include_bytes!("../data/table.stbl"))?;
    let some = &passages[..passages.len().div_ceil(THEIR_SHARE)];
    for (mine, theirs) in model.embed(some)?.iter().zip(table.embed(some)) {
        let apart = mine.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5, "the two give different vectors");
    }

    let (mut ours_best, mut theirs_best, mut count_best) = (0.0f64, 0.0f64, 0.0f64);
    for _ in 0..ROUNDS {
        ours_best = ours_best.max(rate(&passages, |p| drop(black_box(model.embed(p)))));
        let count = |p: &[&str]| p.iter().map(|text| model.count_tokens(text)).sum::<usize>();
        count_best = count_best.max(rate(&passages, |p| assert_eq!(count(p), p.len() * TOKENS)));
        theirs_best = theirs_best.max(rate(some, |p| drop(black_box(table.embed(p)))));
    }
    println!("best of {ROUNDS} rounds, passages a second on one core:");
    println!("  ours                         {ours_best:>8.0}   (counting tokens alone {count_best:.0})");
    println!("  `tokenizers`, same table     {theirs_best:>8.0}");
    println!("  ratio                        {:>8.1}", ours_best / theirs_best);

    let blob = "x".repeat(10 << 20);
    for (name, text) in [("prose", text.repeat((10 << 20) / text.len() + 1)), ("one word", blob)] {
        let began = Instant::now();
        let chunks = chunk(&text, &ChunkOptions::default(), &|part| model.count_tokens(part));
        let (megabytes, seconds) = (text.len() as f64 / 1e6, began.elapsed().as_secs_f64());
        println!("chunking {megabytes:.1} MB of {name} into {} passages: {seconds:.2} s", chunks.len());
    }
    Ok(())
}

/// Passages a second.
fn rate(passages: &[&str], work: impl FnOnce(&[&str])) -> f64 {
    let began = Instant::now();
    work(passages);
    passages.len() as f64 / began.elapsed().as_secs_f64()
}

/// Pieces of exactly 128 tokens, cut at white space.
fn passages(text: &str) -> Vec<&str> {
    let model = StaticEmbedder::built_in();
    let (mut found, mut start, mut tokens, mut at) = (Vec::new(), 0, 0, 0);
    for word in text.split_inclusive(char::is_whitespace) {
        tokens += model.count_tokens(word);
        at += word.len();
        if tokens >= TOKENS {
            if tokens == TOKENS {
                found.push(&text[start..at]);
            }
            (start, tokens) = (at, 0);
        }
    }
    found
}

fn text() -> Result<(&'static str, String), Box<dyn Error>> {
    if std::env::var_os(cranfield::VARIABLE).is_some() {
        let documents = Cranfield::read(&cranfield::folder())?.documents;
        return Ok(("the Cranfield abstracts", documents.join("\n").repeat(5)));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut text = String::new();
    let mut folders: Vec<PathBuf> = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") || name.ends_with(".rs") {
                text.push_str(&std::fs::read_to_string(path)?);
            }
        }
    }
    let times = (4 << 20) / text.len() + 1;
    Ok(("this repository", text.repeat(times)))
}

/// The `tokenizers` crate and the table as f32 rows: what one would write without any thought of speed.
struct PlainTable {
    tokenizer: Tokenizer,
    unknown: u32,
    dimension: usize,
    rows: Vec<f32>,
}

impl PlainTable {
    fn read(bytes: &[u8]) -> Result<Self, Box<dyn Error>> {
        let word =
            |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
        let (rows, dimension, scales) = (word(8), word(12), 20 + word(16));
        let vocabulary: Vec<&str> = std::str::from_utf8(&bytes[20..scales])?.split('\n').collect();
        let values = &bytes[scales + 4 * rows..];
        let rows = (0..rows * dimension).map(|i| {
            let at = scales + 4 * (i / dimension);
            let scale = f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            scale * f32::from(i8::from_le_bytes([values[i]]))
        });
        let tokenizer = theirs::tokenizer(&vocabulary);
        let unknown = tokenizer.token_to_id("[UNK]").ok_or("the table has no [UNK]")?;
        Ok(Self { tokenizer, unknown, dimension, rows: rows.collect() })
    }

    fn embed(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        let one = |text: &&str| {
            let mut sum = vec![0.0f32; self.dimension];
            let encoding = self.tokenizer.encode_fast(*text, false).expect("every text has tokens");
            for &token in encoding.get_ids().iter().filter(|&&token| token != self.unknown) {
                let row = &self.rows[token as usize * self.dimension..][..self.dimension];
                sum.iter_mut().zip(row).for_each(|(to, x)| *to += x);
            }
            let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
            sum.iter_mut().for_each(|x| *x /= length);
            sum
        };
        texts.iter().map(one).collect()
    }
}
