//! Which words does a text have, for those who look for it by words?
//!
//! A text is cut at the word borders of Unicode (UAX #29), and each word is brought to the form that it shares with its kin:
//! compatibility forms decomposed, small letters, no accents on Latin letters, and the stem where a stemmer of the
//! script's most common language is at hand. Scripts that are written without spaces give single characters and pairs of
//! neighbours; and Thai, Lao, Khmer and Burmese their words beside these. A query is cut the same way.
//!
//! Invariants:
//! 1. The words of a text never change within a version but for words that are added beside those of scripts without spaces: segments hold
//!    them, and queries are compared with those. So what was cut before words were added is found by characters and pairs.
//! 2. No text makes it panic, and no word is longer than [`WORD_BYTES_MAX`].

mod beginning;
mod index;
mod scripts;
mod together;

pub use beginning::Beginning;
pub use index::WordIndex;
pub use together::is_written_together;

use rust_stemmers::Stemmer;
use scripts::Script;
use strongroom_format::words::WORD_BYTES_MAX;
use together::Together;
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// Calls back with each word of a text, in order, and with how many stand before it. A pair of neighbours follows its second
/// character and stands where that one does, and so does a word that is written together with others with its last.
pub fn each_word(text: &str, found: impl FnMut(&str, u32)) {
    cut(text, Some(Together::new(text)), found);
}

/// The same for what a phrase is made of: of scripts without spaces characters and pairs alone.
pub fn each_of_phrase(text: &str, found: impl FnMut(&str, u32)) {
    cut(text, None, found);
}

fn cut(text: &str, mut together: Option<Together<'_>>, mut found: impl FnMut(&str, u32)) {
    let (mut word, mut position) = (String::new(), 0);
    // The last character of a script without spaces, and where it ended.
    let mut neighbour: Option<(usize, String)> = None;
    for (at, piece) in text.split_word_bound_indices() {
        let Some(script) = Script::of(piece) else { continue };
        word.clear();
        normalise(piece, script, &mut word);
        if script != Script::Unspaced {
            stem(&mut word, script);
            shorten(&mut word);
            found(&word, position);
            position += 1;
            continue;
        }
        // Most of them come one by one; Katakana comes in runs.
        let (from, mut at) = (at, at);
        for (offset, character) in piece.char_indices() {
            let ending = together.as_mut().and_then(|words| words.word_ending(from + offset, character));
            word.clear();
            normalise(character.encode_utf8(&mut [0; 4]), script, &mut word);
            if word.is_empty() {
                continue;
            }
            found(&word, position);
            if let Some((end, before)) = &neighbour
                && *end == at
            {
                found(&format!("{before}{word}"), position);
            }
            at += character.len_utf8();
            neighbour = Some((at, word.clone()));
            if let Some(whole) = ending {
                word.clear();
                normalise(whole, script, &mut word);
                shorten(&mut word);
                found(&word, position);
            }
            position += 1;
        }
    }
}

/// Whether this is a letter or digit of a script whose words have spaces between them.
pub fn is_of_spaced_word(character: char) -> bool {
    let script = Script::of(character.encode_utf8(&mut [0; 4]));
    script.is_some_and(|script| script != Script::Unspaced)
}

fn normalise(piece: &str, script: Script, word: &mut String) {
    if piece.is_ascii() {
        word.push_str(piece);
        word.make_ascii_lowercase();
        return;
    }
    let is_accent = |c: &char| script == Script::Latin && ('\u{300}'..='\u{36f}').contains(c);
    let straight = |c| if c == '\u{2019}' { '\'' } else { c };
    let plain = piece.nfkd().filter(|c| !is_accent(c)).map(straight).flat_map(char::to_lowercase);
    word.extend(plain.nfc());
}

/// A word with a digit or a joint in it (`b2b`, `snake_case`) has no stem.
fn stem(word: &mut String, script: Script) {
    let Some(algorithm) = script.algorithm() else { return };
    if has_stem(word) {
        let stemmed = Stemmer::create(algorithm).stem(word).into_owned();
        if !stemmed.is_empty() {
            *word = stemmed;
        }
    }
}

fn has_stem(word: &str) -> bool {
    word.chars().all(|c| c.is_alphabetic() || c == '\'')
}

fn shorten(word: &mut String) {
    word.truncate(word.floor_char_boundary(WORD_BYTES_MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        each_word(text, |word, _| found.push(word.to_owned()));
        found
    }

    /// Without this, phrases would be found where other words stand between theirs, or none at all.
    #[test]
    fn words_stand_one_after_the_other() {
        let mut found = Vec::new();
        each_word("Solid-state, 東京都: データ x", |word, position| {
            found.push((word.to_owned(), position))
        });
        let expected = [
            ("solid", 0),
            ("state", 1),
            ("東", 2),
            ("京", 3),
            ("東京", 3),
            ("都", 4),
            ("京都", 4),
            ("デ", 5),
            ("ー", 6),
            ("デー", 6),
            ("タ", 7),
            ("ータ", 7),
            ("x", 8),
        ];
        assert_eq!(found, expected.map(|(word, position)| (word.to_owned(), position)));
    }

    /// Without this, who asks for one form of a word would miss the others.
    #[test]
    fn words_meet_their_kin() {
        assert_eq!(words("Running runners ran, RUNS!"), ["run", "runner", "ran", "run"]);
        assert_eq!(words("Café CAFE cafe\u{301}"), ["cafe", "cafe", "cafe"]);
        assert_eq!(words("the user\u{2019}s user's"), words("the user's user's"));
        assert_eq!(words("ﬁne Ｆｉｎｅ"), ["fine", "fine"]);
        assert_eq!(words("книги книгами"), ["книг", "книг"]);
        assert_eq!(words("snake_case b2b 3.14 x86-64"), ["snake_case", "b2b", "3.14", "x86", "64"]);
    }

    /// Without this, texts without spaces could only be found whole.
    #[test]
    fn scripts_without_spaces_give_characters_and_pairs() {
        assert_eq!(words("東京都"), ["東", "京", "東京", "都", "京都"]);
        assert_eq!(words("東京、大阪"), ["東", "京", "東京", "大", "阪", "大阪"]);
        assert!(words("データベース").contains(&"ータ".to_owned()));
        assert!(words("ภาษาไทย").contains(&"ไท".to_owned()));
        assert_eq!(words("한국어 검색"), ["한국어", "검색"]);
    }

    /// Without this, who looks for a word of these languages would find every text that has its letters before those that have it.
    #[test]
    fn words_that_are_written_together_are_told_apart() {
        let sentences = [
            ("ฉันชอบอ่านหนังสือประวัติศาสตร์ในห้องสมุด", ["หนังสือ", "ประวัติศาสตร์", "อ่าน"]),
            ("ຂ້ອຍມັກອ່ານປຶ້ມປະຫວັດສາດຢູ່ຫໍສະໝຸດ", ["ປຶ້ມ", "ອ່ານ", "ມັກ"]),
            ("ខ្ញុំចូលចិត្តអានសៀវភៅប្រវត្តិសាស្ត្រនៅបណ្ណាល័យ។", ["សៀវភៅ", "ប្រវត្តិសាស្ត្រ", "បណ្ណាល័យ"]),
            ("ကျွန်တော်စာကြည့်တိုက်မှာသမိုင်းစာအုပ်ဖတ်ရတာကြိုက်တယ်။", ["စာအုပ်", "သမိုင်း", "ကြိုက်"]),
        ];
        for (sentence, expected) in sentences {
            let found = words(sentence);
            for word in expected {
                // As a query has it, alone, and as a text has it, among others.
                let whole = words(word).pop().unwrap_or_default();
                assert!(whole.chars().count() > 2 && found.contains(&whole), "{word}: {found:?}");
            }
            let mut of_phrase = Vec::new();
            each_of_phrase(sentence, |word, position| of_phrase.push((word.to_owned(), position)));
            let mut positions = Vec::new();
            each_word(sentence, |word, position| positions.push((word.to_owned(), position)));
            assert!(positions.is_sorted_by_key(|(_, position)| *position), "{positions:?}");
            assert!(
                of_phrase.len() < positions.len() && of_phrase.iter().all(|word| positions.contains(word))
            );
        }
        assert_eq!(words("ไทย ไทย").iter().filter(|word| *word == "ไทย").count(), 2);
        assert_eq!(
            words("東京都大阪"),
            words("東京都大阪").into_iter().filter(|w| w.chars().count() < 3).collect::<Vec<_>>()
        );
    }

    /// Without this, a hostile text could end the process or fill a segment with one word.
    #[test]
    fn any_text_is_cut() {
        assert_eq!(words(""), [""; 0]);
        assert_eq!(words(" \u{0} … \u{1F600} \u{301}"), [""; 0]);
        let long = words(&"ä1".repeat(10_000));
        assert!(long.iter().all(|word| word.len() <= WORD_BYTES_MAX), "{}", long[0].len());
        for text in [
            "ก\u{e33}\u{200b}๑๒๓\u{e4d}\u{e32}".repeat(90),
            "\u{1039}\u{17d2}\u{e48}".repeat(90),
            "\u{FDFA}".repeat(50),
            "\u{1D400}\u{1D7D8}".to_owned(),
            "'''".to_owned(),
            "s's's".to_owned(),
        ] {
            words(&text).iter().for_each(|word| assert!(!word.is_empty()));
        }
    }
}
