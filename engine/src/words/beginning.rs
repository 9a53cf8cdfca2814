//! Which of the words that are kept belong to words that begin with given letters?
//!
//! Kept are stems, and whoever asks for all words that begin with `organiz` means *organization* too, whose stem is `organ`. So a
//! word is taken that begins with the letters as they are, without a stem of their own; and one that is the stem of the
//! letters, or of the letters with an English ending, or what is left of one, behind them: of *organiz* and *ation*.
//!
//! Invariant: whatever the letters would find as a word of their own is found.

use super::scripts::Script;
use super::{has_stem, normalise, shorten, stem};

/// Less says too little of a word.
const LETTERS_MIN: usize = 2;

/// Endings that the stemmer of English takes off or changes, the longest: shorter ones are what is left of these.
const ENDINGS: [&str; 40] = [
    "abilities",
    "ability",
    "able",
    "ably",
    "alism",
    "ally",
    "als",
    "ances",
    "ance",
    "ants",
    "ated",
    "ating",
    "atively",
    "ators",
    "edly",
    "ements",
    "ences",
    "ently",
    "ents",
    "fully",
    "fulness",
    "ible",
    "ibly",
    "icate",
    "ically",
    "icity",
    "ied",
    "ingly",
    "ings",
    "isms",
    "iveness",
    "ivity",
    "ization",
    "izational",
    "izations",
    "izers",
    "izes",
    "izing",
    "lessly",
    "ousness",
];

/// Letters that words begin with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beginning {
    letters: String,
    stems: Vec<String>,
}

impl Beginning {
    /// Of a piece of text between two word borders; `None` when it is too short, or of a script without spaces, whose words
    /// have no beginnings.
    pub fn of(piece: &str) -> Option<Self> {
        let script = Script::of(piece).filter(|script| *script != Script::Unspaced)?;
        let mut letters = String::new();
        normalise(piece, script, &mut letters);
        if letters.chars().count() < LETTERS_MIN {
            return None;
        }
        let mut stems = Vec::new();
        let mut take = |ending: &str| {
            let mut word = format!("{letters}{ending}");
            stem(&mut word, script);
            shorten(&mut word);
            stems.push(word);
        };
        take("");
        if script == Script::Latin && has_stem(&letters) {
            let mut left: Vec<&str> =
                ENDINGS.iter().flat_map(|ending| (0..ending.len()).map(|from| &ending[from..])).collect();
            left.sort_unstable();
            left.dedup();
            left.into_iter().for_each(take);
        }
        shorten(&mut letters);
        stems.retain(|stem| !stem.starts_with(&*letters));
        stems.sort_unstable();
        stems.dedup();
        Some(Self { letters, stems })
    }

    /// All words that begin with these are taken.
    pub fn letters(&self) -> &str {
        &self.letters
    }

    /// Words that are taken beside those, sorted.
    pub fn stems(&self) -> &[String] {
        &self.stems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::each_word;

    /// Whether rows with a word are found by these letters.
    fn finds(letters: &str, word: &str) -> bool {
        let beginning = Beginning::of(letters).expect("letters enough");
        let mut found = false;
        each_word(word, |word, _| {
            found |=
                word.starts_with(beginning.letters()) || beginning.stems().iter().any(|stem| stem == word);
        });
        found
    }

    /// Without this, who stops typing within an ending would find less with each letter, and at last nothing.
    #[test]
    fn a_word_is_found_by_whatever_it_begins_with() {
        let words = [
            "strongrooms",
            "running",
            "organizations",
            "organised",
            "universities",
            "happiness",
            "happily",
            "relational",
            "hopefulness",
            "babies",
            "dying",
            "agreement",
            "responsibilities",
            "vietnamization",
            "generically",
            "citations",
            "possibly",
            "effectiveness",
            "Café",
            "b2bs",
            "x86",
            "naïvely",
            "книгами",
            "τραπεζια",
        ];
        for word in words {
            let ends = word.char_indices().map(|(at, _)| at).skip(2).chain([word.len()]);
            ends.for_each(|end| assert!(finds(&word[..end], word), "{} of {word}", &word[..end]));
        }
        assert!(finds("RUNN", "running") && finds("ｓｔｒ", "strong") && finds("organization", "organ"));
    }

    /// Without this, a beginning would find what begins otherwise.
    #[test]
    fn other_words_are_not_found() {
        for (letters, word) in
            [("run", "ruin"), ("stron", "string"), ("runner", "run"), ("x86", "x8"), ("organi", "orange")]
        {
            assert!(!finds(letters, word), "{letters} of {word}");
        }
        for none in ["", "a", "é", "ｓ", "東京", "デー", "ไทย", "…", "\u{1F600}"] {
            assert_eq!(Beginning::of(none), None, "{none}");
        }
        let long = Beginning::of(&"ab1".repeat(100)).expect("letters enough");
        assert!(long.letters().len() <= strongroom_format::words::WORD_BYTES_MAX);
    }
}
