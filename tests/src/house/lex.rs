//! What are the words of a Rust source file?
//!
//! A lexer just exact enough for the rules of the house: it tells code from comments and from literals, so
//! that a rule never trips over a word inside a string. Literals are opaque, comments are kept.
//!
//! Invariants:
//! 1. Tokens come in the order of the file, and each carries the line it begins on (from 1).
//! 2. Any input ends: a literal or comment that is never closed runs to the end of the file.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or a name.
    Word,
    /// Punctuation: one character, or one of `::`, `==`, `!=`.
    Mark,
    /// A string, byte string or character.
    Text,
    /// A number.
    Number,
    /// `'a`.
    Lifetime,
    /// A comment of any sort, its marks included.
    Comment,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its text as written.
    pub text: &'a str,
    /// The line it begins on, from 1.
    pub line: usize,
}

impl Token<'_> {
    /// Whether this is exactly that keyword or name.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    /// Whether this is exactly that punctuation.
    pub fn is_mark(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }
}

/// Takes a source file apart.
pub fn lex(source: &str) -> Vec<Token<'_>> {
    let bytes = source.as_bytes();
    let (mut at, mut line) = (0, 1);
    let mut tokens = Vec::new();
    while at < bytes.len() {
        if bytes[at].is_ascii_whitespace() {
            line += usize::from(bytes[at] == b'\n');
            at += 1;
            continue;
        }
        let (kind, bytes_len) = measure(source, at);
        let text = &source[at..at + bytes_len];
        tokens.push(Token { kind, text, line });
        line += text.bytes().filter(|b| *b == b'\n').count();
        at += bytes_len;
    }
    tokens
}

/// The same without comments: what most rules look at.
pub fn code(source: &str) -> Vec<Token<'_>> {
    lex(source).into_iter().filter(|t| t.kind != Kind::Comment).collect()
}

/// Kind and length in bytes of the token that begins at `at`, which is not white space.
fn measure(source: &str, at: usize) -> (Kind, usize) {
    let rest = &source[at..];
    let bytes = rest.as_bytes();
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment_len(rest));
    }
    if let Some(len) = raw_string_len(rest) {
        return (Kind::Text, len);
    }
    match bytes[0] {
        b'"' => (Kind::Text, quoted_len(rest, 1, b'"')),
        b'b' | b'c' if bytes.get(1) == Some(&b'"') => (Kind::Text, quoted_len(rest, 2, b'"')),
        b'b' if bytes.get(1) == Some(&b'\'') => (Kind::Text, quoted_len(rest, 2, b'\'')),
        b'\'' => tick(rest),
        b'0'..=b'9' => (Kind::Number, number_len(bytes)),
        b if is_word_byte(b) => (Kind::Word, word_len(bytes)),
        _ if ["::", "==", "!="].iter().any(|m| rest.starts_with(m)) => (Kind::Mark, 2),
        _ => (Kind::Mark, 1),
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn word_len(bytes: &[u8]) -> usize {
    let raw = if bytes.starts_with(b"r#") { 2 } else { 0 };
    raw + bytes[raw..].iter().take_while(|b| is_word_byte(**b)).count()
}

fn number_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    while len < bytes.len() {
        let fraction = bytes[len] == b'.' && bytes.get(len + 1).is_some_and(u8::is_ascii_digit);
        if !is_word_byte(bytes[len]) && !fraction {
            break;
        }
        len += 1;
    }
    len
}

/// A character or a lifetime: a character has its closing tick after one (possibly escaped) character.
fn tick(rest: &str) -> (Kind, usize) {
    let mut letters = rest[1..].chars();
    let first = letters.next();
    if first == Some('\\') {
        return (Kind::Text, quoted_len(rest, 1, b'\''));
    }
    match (first, letters.next()) {
        (Some(letter), Some('\'')) => (Kind::Text, letter.len_utf8() + 2),
        _ => (Kind::Lifetime, 1 + word_len(&rest.as_bytes()[1..])),
    }
}

/// The length of a literal whose content begins at `from`, up to its closing mark.
fn quoted_len(rest: &str, from: usize, close: u8) -> usize {
    let bytes = rest.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b if b == close => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, and the same behind `b` or `c`; `None` for anything else (`r#type` is a word).
fn raw_string_len(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].iter().find(|p| {
        rest.strip_prefix(**p)
            .is_some_and(|r| r.trim_start_matches('#').starts_with('"') && r.starts_with(['#', '"']))
    })?;
    let after = &rest[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let close = format!("\"{}", "#".repeat(hashes));
    let body = prefix.len() + hashes + 1;
    Some(rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len()))
}

fn block_comment_len(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < rest.len() {
        if rest.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.as_bytes()[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::{Kind, code, lex};

    fn words(source: &str) -> Vec<&str> {
        code(source).iter().filter(|t| t.kind == Kind::Word).map(|t| t.text).collect()
    }

    // If strings or comments leaked into the words, every rule below would cry wolf.
    #[test]
    fn words_inside_literals_and_comments_are_not_code() {
        assert_eq!(
            words(r####"a "unsafe \" b" r#"todo "c" "# b"d" /* e /* f */ g */ h // i"####),
            ["a", "h"]
        );
        assert_eq!(
            words("let c = '\"'; let l: &'a str = x; 'é' '\\'' z"),
            ["let", "c", "let", "l", "str", "x", "z"]
        );
        assert_eq!(words("r#type r\"raw\" br#\"x\"# end"), ["r#type", "end"]);
    }

    #[test]
    fn lines_are_counted_through_literals() {
        let tokens = lex("a\n\"two\nlines\" b /* c\n */ d");
        assert_eq!(tokens.iter().map(|t| t.line).collect::<Vec<_>>(), [1, 2, 3, 3, 4]);
    }

    #[test]
    fn unclosed_literals_run_to_the_end() {
        for source in ["\"abc", "r#\"abc", "/* abc", "'\\", "b'", "'"] {
            assert!(!lex(source).is_empty(), "{source}");
        }
    }
}
