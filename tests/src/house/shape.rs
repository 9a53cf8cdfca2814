//! Is each file whole: opened by its question, small, finished, and without checks that check nothing?

use super::lex::{Token, code};
use super::places::comments;
use super::tree::{Finding, Tree};

/// Lines a file may have before it must be split.
const FILE_LINES_MAX: usize = 600;

/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// Every module opens with `//!`.
pub fn modules_say_what_they_are(tree: &Tree) -> Vec<Finding> {
    let silent = tree.ending(".rs").filter(|(_, text)| !text.trim_start().starts_with("//!"));
    silent
        .map(|(file, _)| Finding::new(file, 1, "open with `//!` and the question this file answers"))
        .collect()
}

/// No file is longer than [`FILE_LINES_MAX`] lines.
pub fn files_stay_small(tree: &Tree) -> Vec<Finding> {
    let long = tree.ending(".rs").map(|(file, text)| (file, text.lines().count()));
    let long = long.filter(|(file, lines)| *lines > FILE_LINES_MAX && !LONGER.iter().any(|(f, _)| f == file));
    long.map(|(file, lines)| {
        Finding::new(
            file,
            0,
            format!("{lines} lines, at most {FILE_LINES_MAX}: which two questions does it answer?"),
        )
    })
    .collect()
}

/// No `matches!` or comparison whose outcome nobody looks at.
pub fn nothing_discarded(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, text) in tree.ending(".rs") {
        let tokens = code(text);
        for at in 0..tokens.len() {
            if is_discarded_matches(&tokens, at) || is_discarded_binding(&tokens, at) {
                found.push(Finding::new(
                    file,
                    tokens[at].line,
                    "this outcome is thrown away: assert it, or delete it",
                ));
            }
        }
    }
    found
}

/// `matches!(…);` as a statement of its own.
fn is_discarded_matches(tokens: &[Token<'_>], at: usize) -> bool {
    let begins = at == 0 || ["{", "}", ";"].iter().any(|m| tokens[at - 1].is_mark(m));
    begins
        && tokens[at].is_word("matches")
        && tokens.get(at + 1).is_some_and(|t| t.is_mark("!"))
        && tokens.get(closing(tokens, at + 2) + 1).is_some_and(|t| t.is_mark(";"))
}

/// `let _ = …;` (or `_name`) of a comparison, a `matches!` or an assertion.
fn is_discarded_binding(tokens: &[Token<'_>], at: usize) -> bool {
    let is_binding = tokens[at].is_word("let")
        && tokens.get(at + 1).is_some_and(|t| t.text.starts_with('_'))
        && tokens.get(at + 2).is_some_and(|t| t.is_mark("="));
    if !is_binding {
        return false;
    }
    let checks =
        |word: &str| word == "matches" || word.starts_with("assert") || word.starts_with("debug_assert");
    if tokens.get(at + 3).is_some_and(|t| checks(t.text))
        && tokens.get(at + 4).is_some_and(|t| t.is_mark("!"))
    {
        return true;
    }
    let mut next = at + 3;
    while next < tokens.len() && !tokens[next].is_mark(";") {
        if tokens[next].is_mark("==") || tokens[next].is_mark("!=") {
            return true;
        }
        next = if ["(", "[", "{"].iter().any(|m| tokens[next].is_mark(m)) {
            closing(tokens, next)
        } else {
            next
        } + 1;
    }
    false
}

/// The index of the bracket that closes the one at `at` (the last token when none does).
fn closing(tokens: &[Token<'_>], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        if ["(", "[", "{"].iter().any(|m| token.is_mark(m)) {
            depth += 1;
        } else if [")", "]", "}"].iter().any(|m| token.is_mark(m)) {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return index;
            }
        }
    }
    tokens.len().saturating_sub(1)
}

/// No `#[ignore]`, no `todo!`, no `unimplemented!`, no note without an owner.
pub fn nothing_unfinished(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, text) in tree.ending(".rs") {
        let tokens = code(text);
        for (at, token) in tokens.iter().enumerate() {
            let before = |back: usize, mark: &str| at >= back && tokens[at - back].is_mark(mark);
            let ignored = token.is_word("ignore")
                && ((before(1, "[") && before(2, "#")) || (before(1, ",") && in_cfg_attr(&tokens, at)));
            let unfinished = (token.is_word("todo") || token.is_word("unimplemented"))
                && tokens.get(at + 1).is_some_and(|t| t.is_mark("!"));
            if ignored {
                found.push(Finding::new(
                    file,
                    token.line,
                    "a test that never runs: make it run, or delete it",
                ));
            }
            if unfinished {
                found.push(Finding::new(file, token.line, format!("`{}!` would meet a user", token.text)));
            }
        }
        for comment in comments(text) {
            let ownerless = ["TODO", "FIXME", "XXX"]
                .iter()
                .any(|word| comment.text.split(word).skip(1).any(|rest| !rest.starts_with(['(', '`', '"'])));
            if ownerless {
                found.push(Finding::new(
                    file,
                    comment.line,
                    "a note without an owner: `TODO(name)`, or do it now",
                ));
            }
        }
    }
    found
}

/// Whether the token stands inside `#[cfg_attr(…)]`.
fn in_cfg_attr(tokens: &[Token<'_>], at: usize) -> bool {
    tokens[..at].iter().rev().take(16).any(|t| t.is_word("cfg_attr"))
}

/// `debug_assert!` holds nothing in the build that users run: only kernels may use it.
pub fn asserts_always_on(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, text) in tree.ending(".rs").filter(|(f, _)| !f.starts_with("engine/kernel/")) {
        for token in code(text).iter().filter(|t| t.text.starts_with("debug_assert")) {
            found.push(Finding::new(file, token.line, "asserts are always on outside kernels: `assert!`"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{
        FILE_LINES_MAX, asserts_always_on, files_stay_small, modules_say_what_they_are, nothing_discarded,
        nothing_unfinished,
    };
    use crate::house::tree::Tree;

    fn tree(text: &str) -> Tree {
        Tree::of(&[("server/src/a.rs", text)])
    }

    // A test whose outcome is thrown away is green whatever the code does.
    #[test]
    fn discarded_outcomes_are_found() {
        for bad in [
            "fn f() { matches!(x, Some(_)); }",
            "fn f() { g(); matches!(x, { A { .. } }); }",
            "fn f() { let _ = matches!(x, A); }",
            "fn f() { let _ok = assert_eq!(a, b); }",
            "fn f() { let _ = a == b; }",
            "fn f() { let _same = left() != right(); }",
        ] {
            assert_eq!(nothing_discarded(&tree(bad)).len(), 1, "{bad}");
        }
        for good in [
            "fn f() -> bool { matches!(x, A) }",
            "fn f() { assert!(matches!(x, A)); if matches!(x, A) {} let y = a == b; }",
            "fn f() { let _ = g(a == b); let _guard = lock(|| a == b); }",
        ] {
            assert_eq!(nothing_discarded(&tree(good)), [], "{good}");
        }
    }

    #[test]
    fn the_unfinished_is_found() {
        for bad in [
            "#[test] #[ignore] fn f() {}",
            "#[test] #[ignore = \"slow\"] fn f() {}",
            "#[cfg_attr(miri, ignore)] fn f() {}",
            "fn f() { todo!() }",
            "fn f() { unimplemented!(\"later\") }",
            "// TODO: later\nfn f() {}",
        ] {
            assert_eq!(nothing_unfinished(&tree(bad)).len(), 1, "{bad}");
        }
        assert_eq!(
            nothing_unfinished(&tree("// TODO(ada): later\nfn todo() { let ignore = \"todo!()\"; }")),
            []
        );
    }

    #[test]
    fn asserts_that_vanish_are_found() {
        let bad = "fn f() { debug_assert_eq!(a, b); }";
        assert_eq!(asserts_always_on(&tree(bad)).len(), 1);
        assert_eq!(asserts_always_on(&Tree::of(&[("engine/kernel/src/a.rs", bad)])), []);
    }

    #[test]
    fn silent_and_long_files_are_found() {
        assert_eq!(modules_say_what_they_are(&tree("use a;")).len(), 1);
        assert_eq!(modules_say_what_they_are(&tree("// plain\n//! late")).len(), 1);
        assert_eq!(modules_say_what_they_are(&tree("//! What is it?")), []);
        assert_eq!(files_stay_small(&tree(&"x\n".repeat(FILE_LINES_MAX + 1))).len(), 1);
        assert_eq!(files_stay_small(&tree(&"x\n".repeat(FILE_LINES_MAX))), []);
    }
}
