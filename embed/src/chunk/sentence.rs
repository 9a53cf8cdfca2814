//! Where do sentences end?
//!
//! The first step of cutting a text (`chunk`). A sentence ends at a line's end; behind `.`, `!`, `?` and their like, with
//! the quotes and brackets that close after them, if white space follows; behind full-width ones in any case. It does not
//! end behind a lone letter's dot, as in initials and `e.g.`.
//!
//! This is simpler than Unicode's rules (UAX 29) on purpose. Those need a look ahead of any length to tell whether a
//! sentence goes on in lower case, so that hostile text costs quadratic time, and they find no sentences at all in text
//! that is all lower case. A border too many costs little here, as sentences are packed together again.
//!
//! Invariants:
//! 1. Sentences are in order, apart, trimmed and not empty, and hold all that is not white space.
//! 2. One pass, each character looked at once.

use std::ops::Range;

/// The sentences of a text, as ranges of bytes.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut borders = Borders { text, at: 0 };
    let mut start = 0;
    std::iter::from_fn(move || {
        while start < text.len() {
            let end = borders.next_border();
            let sentence = trimmed(text, start..end);
            start = end;
            if !sentence.is_empty() {
                return Some(sentence);
            }
        }
        None
    })
}

/// The range without the white space at its ends.
pub(super) fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = text[range.clone()].trim_start();
    let start = range.end - inner.len();
    start..start + inner.trim_end().len()
}

struct Borders<'a> {
    text: &'a str,
    at: usize,
}

impl Borders<'_> {
    /// The byte behind the next sentence's end.
    fn next_border(&mut self) -> usize {
        // The two characters before `at`, to know a lone letter.
        let mut before = (None, None);
        while let Some(c) = self.take() {
            if matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}') || (is_end(c) && self.ends_after(c, before))
            {
                return self.at;
            }
            before = (before.1, Some(c));
        }
        self.at
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Steps over what closes after an end mark, and tells whether the sentence is over there.
    fn ends_after(&mut self, mark: char, before: (Option<char>, Option<char>)) -> bool {
        let (mut marks, mut wide) = (1, is_wide_end(mark));
        while let Some(c) = self.peek().filter(|&c| is_end(c) || is_closing(c)) {
            marks += 1;
            wide |= is_wide_end(c);
            self.at += c.len_utf8();
        }
        let is_letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
        let lone_letter = is_letter(before.1) && !is_letter(before.0);
        if mark == '.' && marks == 1 && lone_letter {
            return false;
        }
        wide || self.peek().is_none_or(char::is_whitespace)
    }
}

/// Marks that end a sentence: Latin, Greek and Arabic, Indic, Ethiopic, Burmese, Khmer, Mongolian, Armenian, CJK.
fn is_end(c: char) -> bool {
    matches!(
        c,
        '.' | '!'
            | '?'
            | '…'
            | '‼'
            | '‽'
            | '⁇'
            | '⁈'
            | '⁉'
            | '\u{37e}'
            | '؟'
            | '۔'
            | '।'
            | '॥'
            | '።'
            | '፧'
            | '၊'
            | '။'
            | '។'
            | '៕'
            | '᠃'
            | '᠉'
            | '։'
            | '՞'
    ) || is_wide_end(c)
}

/// End marks of scripts that put no space behind them.
fn is_wide_end(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '．' | '｡' | '︒' | '﹒' | '﹖' | '﹗')
}

fn is_closing(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | ')'
            | ']'
            | '}'
            | '»'
            | '›'
            | '”'
            | '’'
            | '」'
            | '』'
            | '）'
            | '】'
            | '》'
            | '〉'
            | '］'
            | '｣'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        sentences(text).map(|range| &text[range]).collect()
    }

    /// Lost otherwise: passages would begin and end in the middle of a thought.
    #[test]
    fn sentences_end_where_a_reader_would_say() {
        assert_eq!(cut("One. Two! Three?"), ["One.", "Two!", "Three?"]);
        assert_eq!(
            cut("He said \"go.\" Then (really!) he left."),
            ["He said \"go.\"", "Then (really!)", "he left."]
        );
        assert_eq!(cut("it was so .  the results hold ."), ["it was so .", "the results hold ."]);
        assert_eq!(cut("他来了。「好！」她说。"), ["他来了。", "「好！」", "她说。"]);
        assert_eq!(cut("वह आया। वह गया।"), ["वह आया।", "वह गया।"]);
        assert_eq!(cut("- milk\n- eggs\n\n\r\nEnd"), ["- milk", "- eggs", "End"]);
    }

    /// Lost otherwise: names, numbers and addresses would be torn apart.
    #[test]
    fn a_dot_inside_a_name_or_number_ends_nothing() {
        for whole in [
            "J. R. R. Tolkien wrote",
            "e.g. this",
            "pi is 3.14 or so",
            "see example.org/a.b?c=d for it",
            "wait...what",
        ] {
            assert_eq!(cut(whole), [whole]);
        }
    }

    /// Lost otherwise: a document of white space would give an empty passage, which has no vector.
    #[test]
    fn white_space_has_no_sentences() {
        assert!(cut("").is_empty());
        assert!(cut(" \t\r\n\u{3000}\u{2028} ").is_empty());
    }
}
