//! What would a user lose if texts were cut wrongly?

#![allow(clippy::unwrap_used)]

use std::cell::Cell;

use super::*;
use crate::{Embedder, StaticEmbedder};

fn options(chunk_tokens: usize, overlap_tokens: usize) -> ChunkOptions {
    ChunkOptions::new(chunk_tokens, overlap_tokens).unwrap()
}

fn count(text: &str) -> usize {
    StaticEmbedder::built_in().count_tokens(text)
}

fn cut<'a>(text: &'a str, options: &ChunkOptions) -> Vec<&'a str> {
    chunk(text, options, &count).iter().map(|c| &text[c.start..c.end]).collect()
}

/// Every promise of the module, on one text.
fn check(text: &str, options: &ChunkOptions) {
    check_as(Form::Prose, text, options);
}

fn check_as(form: Form, text: &str, options: &ChunkOptions) {
    let chunks = chunk_as(form, text, options, &count);
    let mut covered = 0;
    let mut last = None;
    for c in &chunks {
        let passage = &text[c.start..c.end];
        assert!(!passage.is_empty() && passage.trim() == passage, "not trimmed: {passage:?} of {text:?}");
        assert!(
            count(passage) <= options.chunk_tokens || passage.chars().count() == 1,
            "{} tokens with {options:?}: {passage:?} of {text:?}",
            count(passage)
        );
        assert!(passage.len() <= 32 * options.chunk_tokens, "{} bytes with {options:?}", passage.len());
        assert!(last.is_none_or(|(start, end)| start < c.start && end < c.end), "{chunks:?} of {text:?}");
        assert!(
            c.start <= covered || text[covered..c.start].trim().is_empty(),
            "a gap in {chunks:?} of {text:?}"
        );
        covered = c.end;
        last = Some((c.start, c.end));
    }
    assert!(text[covered..].trim().is_empty(), "{:?} is lost of {text:?}", &text[covered..]);
}

/// A text of at most so many pieces, a few of them often and one in so many any, and how it is to be cut.
fn mixture(seed: u64, parts: &[&str], pieces_max: usize, one_in: usize) -> (String, ChunkOptions) {
    let mut state = seed;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let common = [below(parts.len()), below(parts.len()), below(parts.len())];
    let text = (0..below(pieces_max))
        .map(|_| parts[if below(one_in) == 0 { below(parts.len()) } else { common[below(3)] }])
        .collect();
    let chunk_tokens = 1 + below(if seed.is_multiple_of(2) { 6 } else { 60 });
    (text, options(chunk_tokens, below(chunk_tokens)))
}

/// Lost otherwise: text would be in no passage and could not be found, or a passage would be cut off by the model.
#[test]
fn passages_cover_the_text_fit_the_model_and_move_on() {
    let parts = [
        "a",
        "word",
        "antidisestablishmentarianism",
        " ",
        " ",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\t",
        ".",
        ". ",
        "? ",
        "!\" ",
        "。",
        "」",
        "中",
        "文字",
        "ไทย",
        "한국어",
        "é",
        "e\u{301}",
        "\u{85}",
        "\u{c}",
        "\u{200b}",
        "\u{a0}",
        "👩\u{200d}👧",
        "zzzzqqqqxxxx",
        "3.14",
        "J. ",
        "(x) ",
        "Ǆ",
        "\u{1d15e}",
        "supercalifragilisticexpialidocious",
    ];
    for seed in 0..6_000u64 {
        let (text, options) = mixture(seed, &parts, 150, 3);
        check(&text, &options);
    }
}

/// Lost otherwise: the sentence that answers a question could be cut in two, with half an answer in each passage.
#[test]
fn whole_sentences_are_packed_up_to_the_limit() {
    let text = "The cat sat. The dog ran.\nA bird sang.\n\nNobody heard it.";
    assert_eq!(cut(text, &options(8, 0)), ["The cat sat. The dog ran.", "A bird sang.\n\nNobody heard it."]);
    assert_eq!(cut(text, &options(100, 0)), [text]);
}

/// Lost otherwise: a thought that spans two sentences would be whole in no passage.
#[test]
fn a_passage_begins_with_the_last_ones_trailing_sentences() {
    let text = "One dogs ran. Two dogs ran. Three dogs ran. Four dogs ran.";
    assert_eq!(
        cut(text, &options(12, 4)),
        ["One dogs ran. Two dogs ran. Three dogs ran.", "Three dogs ran. Four dogs ran."],
        "each sentence has 4 tokens"
    );
    assert_eq!(cut(text, &options(12, 3)), ["One dogs ran. Two dogs ran. Three dogs ran.", "Four dogs ran."]);
}

/// Lost otherwise: an overlap could crowd out the new text, and a document would be repeated without end.
#[test]
fn an_overlap_gives_way_to_new_text() {
    let text = "One dogs ran. Two a b c d e f g h i jays. Three dogs ran.";
    assert_eq!(
        cut(text, &options(12, 11)),
        ["One dogs ran.", "Two a b c d e f g h i jays.", "Three dogs ran."]
    );
}

/// Lost otherwise: text without sentence ends, such as logs and transcripts, would be cut in the middle of words.
#[test]
fn a_long_sentence_is_cut_between_words() {
    let text = "one two three four five six seven eight nine ten";
    assert_eq!(cut(text, &options(4, 0)), ["one two three four", "five six seven eight", "nine ten"]);
    assert_eq!(
        cut(text, &options(4, 1)),
        ["one two three four", "four five six seven", "seven eight nine ten"]
    );
}

/// Lost otherwise: Chinese and Japanese text, keys and blobs would have one passage that the model cannot take.
#[test]
fn text_without_spaces_is_cut_between_characters_and_fills_its_passages() {
    let text = "风".repeat(1000);
    let passages = cut(&text, &options(100, 0));
    assert!((10..=12).contains(&passages.len()), "{} passages", passages.len());
    check(&text, &options(100, 20));
    let blob = "0123456789abcdef".repeat(4096);
    assert!(
        cut(&blob, &options(64, 0)).len() >= 64,
        "a blob is one unknown token, yet must not be one passage"
    );
}

/// Lost otherwise: one upload could hold a server's core for minutes. Work is what the tokenizer is shown, in bytes.
#[test]
fn a_megabyte_of_anything_takes_linear_work() {
    const BYTES: usize = 1 << 20;
    let parts = [
        "x",
        "ab",
        " ",
        "a ",
        "a. ",
        ".",
        ". ",
        "a.)",
        ")",
        "\n",
        "0",
        "0123456789abcdef",
        "风",
        "é",
        "the quick brown fox ",
        "-",
        "한",
        "\u{301}",
        "\u{85}",
        "\u{200b}",
        "👩\u{200d}",
    ];
    for part in parts {
        let text = part.repeat(BYTES / part.len());
        // The tightest overlap is the worst case for repeating, small passages the worst for tries.
        for options in [options(256, 255), options(3, 2)] {
            let shown = Cell::new(0);
            let chunks = chunk(&text, &options, &|part| {
                shown.set(shown.get() + part.len());
                assert!(part.len() <= 16 * options.chunk_tokens, "{} bytes at once", part.len());
                // As a word-piece tokenizer has it at its worst: a token for every byte.
                part.len()
            });
            let times = shown.get() / text.len();
            assert!(times <= 40, "{part:?} with {options:?}: every byte was counted {times} times");
            assert!(chunks.len() <= text.len());
        }
        check(&text, &ChunkOptions::default());
    }
}

/// Lost otherwise: a setting that cannot work would be taken and surface much later, as a failed insert.
#[test]
fn options_out_of_range_are_refused() {
    assert_eq!(ChunkOptions::new(0, 0), Err(ChunkError::ChunkTokens { found: 0 }));
    assert_eq!(ChunkOptions::new(8193, 0), Err(ChunkError::ChunkTokens { found: 8193 }));
    assert_eq!(ChunkOptions::new(5, 5), Err(ChunkError::OverlapTokens { found: 5, chunk_tokens: 5 }));
    assert!(ChunkOptions::new(1, 0).is_ok() && ChunkOptions::new(8192, 8191).is_ok());
    let default = ChunkOptions::default();
    assert_eq!(ChunkOptions::new(default.chunk_tokens, default.overlap_tokens), Ok(default));
    let wild = ChunkOptions { chunk_tokens: 0, overlap_tokens: 9 };
    assert_eq!(cut("one two", &wild), ["one", "two"], "values out of range count as the nearest in range");
}

/// Lost otherwise: an empty document would have a passage, and a vector of nothing.
#[test]
fn white_space_has_no_passages() {
    assert!(cut("", &ChunkOptions::default()).is_empty());
    assert!(cut(" \n\t \u{3000}\u{85} ", &ChunkOptions::default()).is_empty());
}

/// Lost otherwise: a passage of two words could be megabytes long, and every answer that shows it.
#[test]
fn words_far_apart_share_no_passage() {
    let text = format!("one{}two three", " ".repeat(100_000));
    assert_eq!(cut(&text, &ChunkOptions::default()), ["one", "two three"]);
}

fn cut_as<'a>(form: Form, text: &'a str, options: &ChunkOptions) -> Vec<&'a str> {
    chunk_as(form, text, options, &count).iter().map(|c| &text[c.start..c.end]).collect()
}

/// Lost otherwise: text in tables, code, records or JSON would be in no passage, or in one that the model cuts off.
#[test]
fn every_form_covers_its_text_and_fits_the_model() {
    let parts = [
        "word ",
        "two words. ",
        "\n",
        "\n\n",
        "# Heading\n",
        "\n## Two\n",
        "| a | b |\n",
        "| --- | --- |\n",
        "\n```\n",
        "~~~",
        "let x = 1;\n",
        "\"",
        "\"a,\nb\",",
        ",",
        "{",
        "}",
        "[",
        "]",
        "\\",
        "\"key\": ",
        "17, ",
        "é",
        "中文",
        "#",
        "|",
        "```sh\n",
        "antidisestablishmentarianism",
        "  ",
        "\r\n",
        "\t",
    ];
    for seed in 0..6_000u64 {
        let (text, options) = mixture(seed, &parts, 120, 2);
        for form in [Form::Markdown, Form::Rows, Form::Json] {
            check_as(form, &text, &options);
        }
    }
}

/// Lost otherwise: a passage would hold the end of one section and the beginning of another, and answer for neither.
#[test]
fn passages_of_markdown_begin_at_headings_and_keep_tables_and_code_whole() {
    let text = "# Guide\n## Refunds\nPaid in May. Never later.\n\n| a | b |\n| - | - |\n| 1 | 2 |\n\n## Code\nSo:\n```\nlet a = 1;\n\nlet b. = 2;\n```\nEnd.";
    let cut = cut_as(Form::Markdown, text, &options(22, 6));
    assert_eq!(
        cut,
        [
            "# Guide\n## Refunds\nPaid in May. Never later.",
            "| a | b |\n| - | - |\n| 1 | 2 |",
            "## Code\nSo:",
            "```\nlet a = 1;\n\nlet b. = 2;\n```\nEnd."
        ]
    );
}

/// Lost otherwise: a row would be found without the half of it that answers.
#[test]
fn records_and_elements_stay_whole_where_they_fit() {
    let rows = "name,said\nada,\"One. Two.\nThree.\"\nben,\"Four. Five.\"\n";
    assert_eq!(
        cut_as(Form::Rows, rows, &options(18, 0)),
        ["name,said\nada,\"One. Two.\nThree.\"", "ben,\"Four. Five.\""]
    );
    let json =
        r#"{"people": [{"name": "ada", "said": "One. Two."}, {"name": "ben", "said": "Three. Four."}]}"#;
    assert_eq!(
        cut_as(Form::Json, json, &options(30, 0)),
        [
            r#"{"people": [{"name": "ada", "said": "One. Two."},"#,
            r#"{"name": "ben", "said": "Three. Four."}]}"#
        ]
    );
}
