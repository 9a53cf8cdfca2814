//! What does a query's text ask for?
//!
//! For words, of which a row may have any. What stands in quotation marks is a phrase, one thing to look for: its words one
//! after the other, whatever stands between words. A star right behind a word asks for all words that begin with it.
//!
//! A mark opens a phrase unless a letter or digit stands right before it, and closes one unless one stands right behind: inches and
//! marks within words are none. Where letters run on without spaces, as in Chinese, any mark will do. A mark without a second
//! one, marks without a word between them, a star within a phrase, within a word, beside another star, or behind less than two
//! letters: each is plain text.

use crate::words::{Beginning, each_of_phrase, each_word, is_of_spaced_word, is_written_together};
use std::collections::BTreeMap;
use unicode_segmentation::UnicodeSegmentation;

/// What phrases stand between.
const MARKS: [char; 4] = ['"', '\u{201c}', '\u{201d}', '\u{201e}'];

/// One thing to look for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// A word.
    Word(String),
    /// At least two words, each with how far behind the first it stands.
    Phrase(Vec<(String, u32)>),
    /// Any word that begins so.
    Beginning(Beginning),
}

/// What a query looks for, sorted, with how often it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms(Vec<(Term, u32)>);

impl Terms {
    /// Those of a text.
    pub fn of(text: &str) -> Self {
        let mut terms = Collected::default();
        let is_word = |character: Option<char>| character.is_some_and(is_of_spaced_word);
        let (mut begin, mut told) = (None, 0);
        for (at, mark) in text.char_indices().filter(|(_, character)| MARKS.contains(character)) {
            let end = at + mark.len_utf8();
            match begin {
                None if !is_word(text[..at].chars().next_back()) => begin = Some((at, end)),
                Some((opened, first)) if !is_word(text[end..].chars().next()) => {
                    begin = None;
                    if let Some(phrase) = phrase(&text[first..at]) {
                        terms.plain(&text[told..opened]);
                        terms.add(phrase);
                        told = end;
                    }
                }
                _ => {}
            }
        }
        terms.plain(&text[told..]);
        Self(terms.0.into_iter().collect())
    }

    /// Each of them once, with how often it is asked for.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Term, u32)> {
        self.0.iter().map(|(term, times)| (term, *times))
    }
}

/// One term, if there is a word in it.
fn phrase(text: &str) -> Option<Term> {
    let mut words: Vec<(String, u32)> = Vec::new();
    each_of_phrase(text, |word, position| {
        // A pair stands where its second character does, and says all that both of them say.
        if let Some((second, _)) = words.pop_if(|(_, at)| *at == position) {
            words.pop_if(|(first, at)| *at + 1 == position && word.strip_suffix(&*second) == Some(first));
        }
        words.push((word.to_owned(), position));
    });
    let (_, first) = *words.first()?;
    words.iter_mut().for_each(|(_, position)| *position -= first);
    Some(if words.len() == 1 { Term::Word(words.swap_remove(0).0) } else { Term::Phrase(words) })
}

#[derive(Default)]
struct Collected(BTreeMap<Term, u32>);

impl Collected {
    fn add(&mut self, term: Term) {
        *self.0.entry(term).or_default() += 1;
    }

    /// Text without phrases.
    fn plain(&mut self, text: &str) {
        let (mut before, mut told) = (None, 0);
        for (at, piece) in text.split_word_bound_indices() {
            let end = at + piece.len();
            let goes_on = || text[end..].chars().next().is_some_and(|c| c == '*' || is_of_spaced_word(c));
            if piece == "*"
                && !goes_on()
                && let Some((from, word)) = before
                && let Some(beginning) = Beginning::of(word)
            {
                self.words(&text[told..from]);
                self.add(Term::Beginning(beginning));
                told = end;
            }
            before = Some((at, piece));
        }
        self.words(&text[told..]);
    }

    fn words(&mut self, text: &str) {
        each_word(text, |word, _| {
            // Beside a word that is written together with others stand its characters and pairs. It counts as much as those do.
            let times = match word.chars().all(is_written_together) {
                true => word.chars().count().saturating_sub(1).max(1) as u32,
                false => 1,
            };
            *self.0.entry(Term::Word(word.to_owned())).or_default() += times;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Terms as text, sorted.
    fn terms(text: &str) -> Vec<String> {
        let show = |(term, times): (&Term, u32)| match term {
            Term::Word(word) => format!("{word} {times}"),
            Term::Phrase(words) => format!("{words:?} {times}"),
            Term::Beginning(beginning) => format!("{}* {times}", beginning.letters()),
        };
        Terms::of(text).iter().map(show).collect()
    }

    /// Without this, a phrase would find what has its words anywhere, or a mark within a text would make a phrase of the rest.
    #[test]
    fn phrases_stand_between_marks() {
        let phrase = r#"[("solid", 0), ("state", 1)] 1"#;
        for text in [
            r#""solid state""#,
            r#""Solid-STATES!""#,
            "\u{201c}solid state\u{201d}",
            "\u{201e}solid state\u{201c}",
            r#""" "solid state" ""#,
            r#"("solid state")"#,
        ] {
            assert_eq!(terms(text), [phrase], "{text}");
        }
        assert_eq!(terms(r#"a "solid state" b "b a""#), ["a 1", "b 1", r#"[("b", 0), ("a", 1)] 1"#, phrase]);
        assert_eq!(terms(r#""a b" "a b" x"#), ["x 1", r#"[("a", 0), ("b", 1)] 2"#]);
        assert_eq!(terms(r#""the the""#), [r#"[("the", 0), ("the", 1)] 1"#]);
        for plain in [
            r#""solid state"#,
            r#"solid state""#,
            r#"solid "" state"#,
            r#"solid "…" state"#,
            r#"solid" state""#,
            r#""solid "state"#,
        ] {
            assert_eq!(terms(plain), ["solid 1", "state 1"], "{plain}");
        }
        assert_eq!(terms(r#"5" and 6" pipe"#), ["5 1", "6 1", "and 1", "pipe 1"]);
        assert_eq!(terms("צה\"ל של \"צה\"ל של\""), ["צה\"ל 1", "של 1", r#"[("צה\"ל", 0), ("של", 1)] 1"#]);
    }

    /// Without this, quotation marks around one word would find nothing, or cost what phrases cost.
    #[test]
    fn a_phrase_of_one_word_is_that_word() {
        assert_eq!(terms(r#"state "States" "state""#), ["state 3"]);
        assert_eq!(terms(r#""東京""#), ["東京 1"]);
        assert_eq!(terms(r#""東""#), ["東 1"]);
        assert_eq!(terms(r#"在"東京都"的"#), ["在 1", "的 1", r#"[("東京", 0), ("京都", 1)] 1"#]);
        assert_eq!(terms(r#""x 東京 大""#), [r#"[("x", 0), ("東京", 2), ("大", 3)] 1"#]);
    }

    /// Without this, a part of a name would find nothing, or a star in a text more than was asked for.
    #[test]
    fn a_star_behind_a_word_is_a_beginning() {
        assert_eq!(terms("Stron* running* run"), ["run 1", "running* 1", "stron* 1"]);
        assert_eq!(terms("QX-00* (caf\u{e9}*), st*\u{201d}"), ["qx 1", "00* 1", "cafe* 1", "st* 1"]);
        assert_eq!(terms("don't*"), ["don't* 1"]);
        let none = ["a*", "bc *", "*cd", "de**", "ef*g", "*", "**", "3.*", "東京*", "データ*"];
        for plain in none {
            assert!(terms(plain).iter().all(|term| !term.contains('*')), "{plain}");
        }
        assert_eq!(terms("\"ab* cd*\""), [r#"[("ab", 0), ("cd", 1)] 1"#]);
        assert_eq!(terms("bold **move**"), ["bold 1", "move 1"]);
    }
}
