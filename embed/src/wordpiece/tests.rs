//! The tokens against those of the `tokenizers` crate, on every kind of text that we could think of.
//!
//! What a user loses if these fail: vectors that do not mean what the text says, without any error.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use tokenizers::tokenizer::Tokenizer;

use super::WordPiece;
use crate::table::Table;

#[path = "../../examples/common/theirs.rs"]
mod theirs;

static TABLE: &[u8] = include_bytes!("../../data/table.stbl");

/// Ours beside theirs, over the vocabulary that the crate ships.
struct Pair {
    ours: WordPiece,
    theirs: Tokenizer,
    unknown: u32,
}

impl Pair {
    fn new() -> Self {
        let (_, vocabulary) = Table::parse(TABLE).unwrap();
        let unknown = u32::try_from(vocabulary.iter().position(|&t| t == "[UNK]").unwrap()).unwrap();
        let theirs = theirs::tokenizer(&vocabulary);
        Self { ours: WordPiece::new(&vocabulary).unwrap(), theirs, unknown }
    }

    fn check(&self, text: &str) {
        let mut ours = Vec::new();
        self.ours.tokens(text, |token| ours.push(token.unwrap_or(self.unknown)));
        let theirs = self.theirs.encode_fast(text, false).unwrap();
        assert_eq!(ours, theirs.get_ids(), "on {text:?}");
    }
}

/// A small generator of random numbers (splitmix64), so that a seed replays a text.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

/// All characters of the planes that have many; a few thousand of the planes that are all ideographs, private or empty.
fn every_character() -> impl Iterator<Item = char> {
    (0..=u32::from(char::MAX))
        .filter(|c| matches!(c >> 16, 0 | 1 | 14) || c % 61 == 0)
        .filter_map(char::from_u32)
}

/// Lost otherwise: whole scripts could be split, dropped or kept differently from the encoder that the table was fitted to.
#[test]
fn every_character_stands_in_words_as_the_encoder_sees_it() {
    let pair = Pair::new();
    let all: Vec<char> = every_character().collect();
    // Bracketed by known letters: a character that is dropped, splits, or joins shows in the tokens around it.
    for some in all.chunks(64) {
        let text: String = some.iter().flat_map(|&c| ['a', c, 'b', ' ', c, ' ']).collect();
        pair.check(&text);
    }
}

/// Lost otherwise: text with more than one rare thing at once could go wrong where each alone goes right.
#[test]
fn random_mixtures_have_the_encoders_tokens() {
    let pair = Pair::new();
    let blocks: [(u32, u32); 24] = [
        (0x20, 0x7e),
        (0x20, 0x7e),
        (0x61, 0x7a),
        (0x61, 0x7a),
        (0x00, 0x1f),
        (0x7f, 0xff),
        (0x100, 0x24f),
        (0x300, 0x36f),
        (0x370, 0x3ff),
        (0x400, 0x52f),
        (0x590, 0x6ff),
        (0x900, 0x97f),
        (0xe00, 0xe7f),
        (0x1e00, 0x1fff),
        (0x2000, 0x206f),
        (0x20d0, 0x214f),
        (0x3000, 0x30ff),
        (0x4e00, 0x9fff),
        (0xac00, 0xd7a3),
        (0xf900, 0xfaff),
        (0xfe00, 0xffff),
        (0x1f300, 0x1faff),
        (0x1d100, 0x1d1ff),
        (0x1_0000, 0x10_ffff),
    ];
    for seed in 0..4_000 {
        let mut random = Random(seed);
        // A run stays in few blocks, so that words form.
        let near: Vec<(u32, u32)> =
            (0..1 + random.below(4)).map(|_| blocks[random.below(blocks.len())]).collect();
        let text: String = (0..random.below(200))
            .filter_map(|_| {
                let (first, last) = near[random.below(near.len())];
                char::from_u32(first + u32::try_from(random.below((last - first + 1) as usize)).unwrap())
            })
            .collect();
        pair.check(&text);
    }
}

/// Lost otherwise: misspelt, compounded and made-up words would be cut at other places.
#[test]
fn glued_vocabulary_has_the_encoders_tokens() {
    let pair = Pair::new();
    let (_, vocabulary) = Table::parse(TABLE).unwrap();
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let text: String = (0..1 + random.below(6))
            .map(|_| vocabulary[random.below(vocabulary.len())].trim_start_matches("##"))
            .flat_map(|token| [token, if seed % 3 == 0 { " " } else { "" }])
            .collect();
        pair.check(&text);
    }
    vocabulary.iter().for_each(|token| pair.check(token));
}

/// Lost otherwise: the particular traps below, each of which some tokenizer has fallen into.
#[test]
fn known_traps_have_the_encoders_tokens() {
    let pair = Pair::new();
    let long = |n| "a".repeat(n);
    let traps = [
        String::new(),
        "   \t\r\n ".into(),
        "[CLS] hello [SEP] [UNK] [MASK] ##ing ## #".into(),
        "Straße GROẞ İstanbul ISPARTA ılık ΟΔΥΣΣΕΥΣ Ǆ ﬁne".into(),
        "naïve cafe\u{301} Ångström A\u{30a}ngström ệ e\u{323}\u{302} e\u{302}\u{323}".into(),
        "zero\u{200b}width soft\u{ad}hyphen \u{feff}bom word\u{2060}joiner a\u{200d}b".into(),
        "bell\u{7}bell form\u{c}feed nel\u{85}nel vt\u{b}vt nul\0nul del\u{7f}del bad\u{fffd}bad".into(),
        "line\u{2028}line para\u{2029}para nb\u{a0}sp ogham\u{1680}sp thin\u{2009}sp wide\u{3000}sp".into(),
        "中文字符mixed日本語テキスト한국어 텍스트 \u{f900}\u{2f800}\u{2b820}\u{2b920}".into(),
        "שָׁלוֹם مَرْحَبًا हिन्दी ไทย".into(),
        "👩\u{200d}👩\u{200d}👧 🏳\u{fe0f}\u{200d}🌈 e=mc² ½ № ™ ①".into(),
        "greek\u{37e}question back\u{1fef}tick not\u{226e}less “quotes” ‘q’ – — … ¿que? $1,000.00 a^b`c~d|e+f=g<h>i".into(),
        "\u{e000}private\u{f8ff} unassigned\u{378}x \u{10ffff} \u{302e}hangul\u{302f}tone \u{1d165}\u{1d16d}".into(),
        "x\u{10efd}y \u{1abf}\u{16ff0}z \u{1e4ec}w".into(),
        long(100),
        long(101),
        format!("{} {}b", long(99), long(100)),
        format!("{}é", "é".repeat(99)),
        format!("{}é", "é".repeat(100)),
        format!("{}x", "e\u{301}\u{302}".repeat(99)),
        "한".repeat(34),
        "한".repeat(33),
        "\u{1d15e}".repeat(60),
        "-".repeat(300),
        "Don't re-enter the U.S.A. at 3:45pm; see https://example.org/a?b=c&d=%20#frag or user@example.org!".into(),
    ];
    traps.iter().for_each(|text| pair.check(text));
}

/// Lost otherwise: nothing yet, but ordinary prose and code are what the tokenizer reads all day.
#[test]
fn prose_and_code_have_the_encoders_tokens() {
    let pair = Pair::new();
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![here.parent().unwrap().to_owned()];
    folders.extend(std::env::var_os("STRONGROOM_BENCH_DATA").map(PathBuf::from));
    let mut lines = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !path.is_symlink() && !name.starts_with('.') && name != "target" {
                folders.push(path);
                continue;
            }
            let text = ["md", "rs", "toml", "py", "txt", "1400", "qry", "json"];
            if !path.extension().is_some_and(|e| text.iter().any(|t| e == *t)) {
                continue;
            }
            if let Ok(text) = std::fs::read_to_string(&path) {
                text.lines().for_each(|line| pair.check(line));
                lines += text.lines().count();
            }
        }
    }
    assert!(lines > 1_000, "only {lines} lines were found");
}
