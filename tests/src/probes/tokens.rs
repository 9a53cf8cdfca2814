//! Whose is what stands in an answer?
//!
//! An answer is cut into words of letters, digits, `_` and `-`; each that is somebody's token names its owner. So it costs one look
//! into a table a word, however many owners there are.

use std::collections::HashMap;

/// Who owns a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The place of this number.
    Place(usize),
    /// The workspace of this number, as such: its keys, members, receipts and jobs.
    Office(usize),
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// Of a document's content: no request ever names it.
    Content,
    /// A name or an id, which a request may name.
    Name,
}

/// All tokens there are.
#[derive(Debug, Default)]
pub struct Tokens(HashMap<String, (Owner, What)>);

impl Tokens {
    /// Enters a token.
    ///
    /// # Panics
    /// When it isn't one word, or is somebody's already.
    pub fn enter(&mut self, token: &str, owner: Owner, what: What) {
        assert!(words(token).eq([token]), "{token:?} is not one word");
        assert!(token.len() >= 8, "{token:?} could be guessed, or stand there by chance");
        let before = self.0.insert(token.to_owned(), (owner, what));
        assert!(before.is_none_or(|before| before == (owner, what)), "{token:?} is somebody's already");
    }

    /// The tokens in a text.
    pub fn found<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (&'a str, Owner, What)> {
        words(text).filter_map(|word| {
            let (owner, what) = self.0.get(word)?;
            Some((word, *owner, *what))
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.split(move |c| !is_part(c)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a leak would stand in an answer and be read over.
    #[test]
    fn tokens_are_found_wherever_they_stand() {
        let mut tokens = Tokens::default();
        tokens.enter("zq0123456789", Owner::Place(3), What::Content);
        tokens.enter("org_abcdefgh-ij", Owner::Office(1), What::Name);
        let text = r#"{"a":"of zq0123456789.txt","b":["org_abcdefgh-ij"],"c":"zq01234567890"}"#;
        let found: Vec<_> = tokens.found(text).map(|(word, owner, _)| (word, owner)).collect();
        assert_eq!(found, [("zq0123456789", Owner::Place(3)), ("org_abcdefgh-ij", Owner::Office(1))]);
    }
}
