//! Does each dangerous thing stay in the one place that may do it?
//!
//! Files, clocks and randomness in the engine's `io`; the cipher in `seal`; `unsafe` in the kernels and in the
//! two modules that map memory; the making of scopes in authentication.

use super::lex::{Kind, Token, code, lex};
use super::paths::{scan, test_marks};
use super::tree::{Finding, Tree};

/// What only `io` may name within the engine.
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::time::*",
    "getrandom",
    "rand",
    "rand_core",
    "rand_chacha",
    "rustix",
    "libc",
    "memmap2",
];

/// The engine has no threads of its own, and never sleeps; its tests may.
const THREADS: &[&str] = &["std::thread", "rayon::spawn", "rayon::ThreadPoolBuilder"];

/// Code of the engine that must get its outside handed in.
fn is_sheltered(file: &str) -> bool {
    let inside =
        ["engine/src/", "engine/format/src/", "engine/kernel/src/"].iter().any(|p| file.starts_with(p));
    inside && !is_room(file, "io")
}

fn is_room(file: &str, room: &str) -> bool {
    let own = format!("engine/src/{room}");
    file.strip_prefix(&own).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn names(path: &str, banned: &str) -> bool {
    path.strip_prefix(banned).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Only `io` touches files, clocks and randomness, and nobody in the engine starts threads.
pub fn outside_world_in_io(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, text) in tree.ending(".rs").filter(|(f, _)| is_sheltered(f)) {
        for named in scan(text).named {
            let mut path = named.parts.join("::");
            if named.alias.as_deref() == Some("*") {
                path.push_str("::*");
            }
            let is_test = named.in_test || file.ends_with("/tests.rs") || file.contains("/src/tests/");
            if let Some(banned) = OUTSIDE.iter().find(|b| names(&path, b))
                && !is_test
            {
                let what = format!("`{banned}` belongs to the room io: take it through a trait of `Medium`");
                found.push(Finding::new(file, named.line, what));
            } else if !is_test && let Some(banned) = THREADS.iter().find(|b| names(&path, b)) {
                let what = format!("`{banned}`: the engine has no threads, its host runs its jobs");
                found.push(Finding::new(file, named.line, what));
            }
        }
    }
    found
}

/// A second writing of the seal, by the format's document alone, that golden files and examples are held against.
const SEALING_BY_THE_DOCUMENT: &str = "tests/src/golden/sealing.rs";

/// Nobody but `seal` names the cipher.
pub fn cipher_in_seal(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let may = |file: &str| is_room(file, "seal") || file == SEALING_BY_THE_DOCUMENT;
    for (file, text) in tree.ending(".rs").filter(|(f, _)| !may(f)) {
        for named in scan(text).named {
            if named.parts.first().is_some_and(|p| p == "aes_gcm") {
                found.push(Finding::new(file, named.line, "only the room seal may name the cipher"));
            }
        }
    }
    found
}

/// Where memory is mapped.
const MAPPING: [&str; 2] = ["engine/src/io/map.rs", "engine/src/io/slab.rs"];

/// `unsafe` stands in the kernels and where memory is mapped, and each one says why it is sound.
pub fn unsafe_in_its_places(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, text) in tree.ending(".rs") {
        let allowed = file.starts_with("engine/kernel/") || MAPPING.contains(&file);
        let lines: Vec<&str> = text.lines().collect();
        for token in code(text).iter().filter(|t| t.is_word("unsafe")) {
            if !allowed {
                found.push(Finding::new(
                    file,
                    token.line,
                    "unsafe belongs to engine/kernel, engine/src/io/map.rs and engine/src/io/slab.rs",
                ));
            } else if !is_excused(&lines, token.line) && !is_excused_by_trait(&lines, token.line) {
                found.push(Finding::new(file, token.line, "an unsafe without its SAFETY line"));
            }
        }
    }
    found
}

/// Whether the line, or the comments, attributes and unfinished statement right above it, say SAFETY.
fn is_excused(lines: &[&str], line: usize) -> bool {
    let says = |text: &str| text.contains("SAFETY:") || text.contains("# Safety");
    if lines.get(line - 1).is_some_and(|l| says(l)) {
        return true;
    }
    for text in lines[..line - 1].iter().rev().take(40) {
        let text = text.trim();
        if says(text) {
            return true;
        }
        let goes_on = text.starts_with("//") || text.starts_with("#[") || !text.ends_with([';', '{', '}']);
        if text.is_empty() || !goes_on {
            return false;
        }
    }
    false
}

/// Whether the line declares a trait's unsafe method: the trait says for all of them what a caller owes.
fn is_excused_by_trait(lines: &[&str], line: usize) -> bool {
    let indent = |text: &str| text.len() - text.trim_start().len();
    let own = lines[line - 1];
    if !own.trim_start().starts_with("unsafe fn ") || indent(own) == 0 {
        return false;
    }
    let around = lines[..line - 1].iter().rposition(|l| !l.trim().is_empty() && indent(l) < indent(own));
    around.is_some_and(|at| {
        let header = lines[at].trim_start();
        let implements = header.starts_with("impl") && header.contains(" for ");
        implements || (header.contains("trait ") && is_excused(lines, at + 1))
    })
}

/// Who may make a scope out of nothing: authentication, tests, and programs that never leave the workshop.
fn may_grant(file: &str, in_test: bool) -> bool {
    const PLACES: &[&str] = &["server/src/auth/", "tests/", "benches/", "fuzz/", "engine/tests/"];
    file == "server/src/auth.rs"
        || PLACES.iter().any(|p| file.starts_with(p))
        || (in_test && file.starts_with("engine/"))
}

/// `Scope::grant` and `OperatorScope::grant` are called by authentication alone.
pub fn scopes_granted_by_auth(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, text) in tree.ending(".rs") {
        let tokens = code(text);
        let marks = test_marks(&tokens);
        for (at, pair) in tokens.windows(2).enumerate() {
            if pair[0].is_mark("::") && pair[1].is_word("grant") && !may_grant(file, marks[at]) {
                let what = "scopes are granted by authentication: take the scope as an argument";
                found.push(Finding::new(file, pair[1].line, what));
            }
        }
        found.extend(renamed_scope(file, &tokens));
    }
    found
}

/// A scope under another name would slip past a reader as well as past this rule.
fn renamed_scope(file: &str, tokens: &[Token<'_>]) -> Option<Finding> {
    let renamed = tokens.windows(2).find(|pair| {
        (pair[0].is_word("Scope") || pair[0].is_word("OperatorScope")) && pair[1].is_word("as")
    })?;
    Some(Finding::new(file, renamed[0].line, "a scope keeps its name"))
}

/// Comments of a file, for rules about what people write.
pub(crate) fn comments(text: &str) -> impl Iterator<Item = Token<'_>> {
    lex(text).into_iter().filter(|t| t.kind == Kind::Comment)
}

#[cfg(test)]
mod tests {
    use super::{cipher_in_seal, outside_world_in_io, scopes_granted_by_auth, unsafe_in_its_places};
    use crate::house::tree::Tree;

    // A room that reads the clock itself can't be replayed: a bug found by a seed is lost again.
    #[test]
    fn files_clocks_and_randomness_outside_io_are_found() {
        for bad in [
            "use std::fs;",
            "use std::{io, fs::File};",
            "fn f() { let t = std::time::Instant::now(); }",
            "use std::time::{Duration, SystemTime};",
            "use std::time::*;",
            "fn f() { getrandom::fill(&mut b); }",
            "fn f() { std::thread::spawn(g); }",
        ] {
            assert_eq!(outside_world_in_io(&Tree::of(&[("engine/src/log/mod.rs", bad)])).len(), 1, "{bad}");
            assert_eq!(
                outside_world_in_io(&Tree::of(&[("engine/src/io/disk/mod.rs", bad)])).len(),
                0,
                "{bad}"
            );
        }
        let good = "use std::time::Duration; #[cfg(test)] mod tests { fn f() { std::thread::spawn(g); } }";
        assert_eq!(outside_world_in_io(&Tree::of(&[("engine/src/log/mod.rs", good)])), []);
    }

    #[test]
    fn the_cipher_outside_seal_is_found() {
        let bad = "use aes_gcm::Aes256Gcm;";
        assert_eq!(cipher_in_seal(&Tree::of(&[("server/src/auth/mod.rs", bad)])).len(), 1);
        assert_eq!(
            cipher_in_seal(&Tree::of(&[("engine/src/seal/mod.rs", bad), ("engine/src/seal.rs", bad)])),
            []
        );
        assert_eq!(cipher_in_seal(&Tree::of(&[("engine/src/sealed.rs", bad)])).len(), 1);
        assert_eq!(cipher_in_seal(&Tree::of(&[("tests/src/golden/sealing.rs", bad)])), []);
        assert_eq!(cipher_in_seal(&Tree::of(&[("tests/src/golden/scene.rs", bad)])).len(), 1);
    }

    #[test]
    fn unsafe_without_reason_or_out_of_place_is_found() {
        let bare = "fn f() {\n    let x = 1;\n    unsafe { g() }\n}";
        let excused = "fn f() {\n    // SAFETY: g has no conditions,\n    // see there.\n    let x =\n        unsafe { g() };\n}";
        let declared =
            "/// # Safety\n/// The CPU has AVX2.\n#[target_feature(enable = \"avx2\")]\npub unsafe fn g() {}";
        let method = "/// # Safety\n/// The CPU can.\ntrait T {\n    unsafe fn f();\n}\nimpl T for U {\n    unsafe fn f() {}\n}";
        let silent = "trait T {\n    unsafe fn f();\n}\nimpl U {\n    unsafe fn f() {}\n}";
        assert_eq!(unsafe_in_its_places(&Tree::of(&[("engine/kernel/src/a.rs", bare)])).len(), 1);
        assert_eq!(unsafe_in_its_places(&Tree::of(&[("engine/kernel/src/a.rs", method)])), []);
        assert_eq!(unsafe_in_its_places(&Tree::of(&[("engine/kernel/src/a.rs", silent)])).len(), 2);
        assert_eq!(unsafe_in_its_places(&Tree::of(&[("engine/kernel/src/a.rs", excused)])), []);
        assert_eq!(unsafe_in_its_places(&Tree::of(&[("engine/src/io/map.rs", declared)])), []);
        assert_eq!(unsafe_in_its_places(&Tree::of(&[("engine/src/io/slab.rs", bare)])).len(), 1);
        assert_eq!(unsafe_in_its_places(&Tree::of(&[("engine/src/log/mod.rs", excused)])).len(), 1);
        assert_eq!(
            unsafe_in_its_places(&Tree::of(&[("server/src/a.rs", "#![forbid(unsafe_code)] // unsafe")])),
            []
        );
    }

    // Whoever can make a scope can read every partition: this is the isolation promise.
    #[test]
    fn a_scope_made_outside_authentication_is_found() {
        let bad = "fn f() { Scope::grant(w, r); }";
        let hidden = "fn f() { let g = <OperatorScope>::grant; g() }";
        for (file, text, count) in [
            ("server/src/api/search.rs", bad, 1),
            ("server/src/api/search.rs", hidden, 1),
            ("server/src/api/search.rs", "use strongroom_engine::workspace::Scope as S;", 1),
            ("server/src/auth/mod.rs", bad, 0),
            ("tests/suites/model.rs", bad, 0),
            ("engine/src/workspace/mod.rs", bad, 1),
            ("engine/src/workspace/mod.rs", "#[cfg(test)] mod tests { fn f() { Scope::grant(w, r); } }", 0),
            ("server/src/api/search.rs", "#[cfg(test)] mod tests { fn f() { Scope::grant(w, r); } }", 1),
        ] {
            assert_eq!(scopes_granted_by_auth(&Tree::of(&[(file, text)])).len(), count, "{file}: {text}");
        }
    }
}
