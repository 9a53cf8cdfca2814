//! Which paths does a source file name, and from which module?
//!
//! Finds every leaf of a `use`, every inline path (`crate::log::Writer::new`) and every `mod x;`, each with
//! the inline modules around it and whether it is test code. Names that were imported are not followed again:
//! the import itself was seen.

use super::lex::{Kind, Token, code};

/// A path that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its parts; a leading `::` is dropped. The name behind `as` stands in `alias`.
    pub parts: Vec<String>,
    /// The name it gets here, for a leaf of a `use` (`*` for a glob).
    pub alias: Option<String>,
    /// Whether the `use` is public in any degree, and so lends its name to other modules.
    pub lends: bool,
    /// The inline modules around it, outermost first.
    pub inline: Vec<String>,
    /// Whether it stands under `#[cfg(test)]` or `#[test]`.
    pub in_test: bool,
    /// The line.
    pub line: usize,
}

/// A `mod x;`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The module's name.
    pub name: String,
    /// The inline modules around it, outermost first.
    pub inline: Vec<String>,
    /// What `#[path = "…"]` says.
    pub path: Option<String>,
    /// The line.
    pub line: usize,
}

/// All that [`scan`] finds in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Paths, in the file's order.
    pub named: Vec<Named>,
    /// Module files that this one declares.
    pub declared: Vec<Declared>,
    /// Names of the items that are defined anywhere in it.
    pub defined: Vec<String>,
}

/// A `{ … }` that matters: an inline module, or test code.
struct Region {
    depth: usize,
    module: Option<String>,
    test: bool,
}

/// Finds what a file names.
pub fn scan(source: &str) -> Names {
    Scanner { tokens: code(source), at: 0, depth: 0, regions: Vec::new(), test_next: false, path_next: None }
        .run()
}

/// Whether each token of `tokens` stands in test code; for rules that look at tokens themselves.
pub fn test_marks(tokens: &[Token<'_>]) -> Vec<bool> {
    let mut scanner = Scanner {
        tokens: tokens.to_vec(),
        at: 0,
        depth: 0,
        regions: Vec::new(),
        test_next: false,
        path_next: None,
    };
    let mut marks = vec![false; tokens.len()];
    while scanner.at < tokens.len() {
        let from = scanner.at;
        if !scanner.attribute() {
            scanner.brace();
            scanner.at += 1;
        }
        let test = scanner.in_test() || scanner.test_next;
        marks[from..scanner.at.min(tokens.len())].fill(test);
    }
    marks
}

struct Scanner<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    regions: Vec<Region>,
    test_next: bool,
    path_next: Option<String>,
}

impl<'a> Scanner<'a> {
    fn run(mut self) -> Names {
        let mut names = Names::default();
        while let Some(token) = self.peek(0) {
            if self.attribute() {
                continue;
            }
            if token.is_word("use") && !self.peek(1).is_some_and(|t| t.is_mark("<")) {
                self.import(&mut names);
            } else if token.is_word("mod") && self.peek(1).is_some_and(|t| t.kind == Kind::Word) {
                self.module(&mut names);
            } else if token.kind == Kind::Word && self.peek(1).is_some_and(|t| t.is_mark("::")) {
                self.inline_path(&mut names);
            } else {
                self.definition(&mut names);
                self.brace();
                self.at += 1;
            }
        }
        names
    }

    fn peek(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn in_test(&self) -> bool {
        self.regions.iter().any(|r| r.test)
    }

    fn inline(&self) -> Vec<String> {
        self.regions.iter().filter_map(|r| r.module.clone()).collect()
    }

    /// Skips `#[…]` or `#![…]`, remembering what it says of the next item.
    fn attribute(&mut self) -> bool {
        if !self.peek(0).is_some_and(|t| t.is_mark("#")) {
            return false;
        }
        let outer = usize::from(self.peek(1).is_some_and(|t| t.is_mark("!")));
        if !self.peek(1 + outer).is_some_and(|t| t.is_mark("[")) {
            return false;
        }
        self.at += 1 + outer;
        let from = self.at;
        let mut depth = 0_usize;
        while let Some(token) = self.peek(0) {
            self.at += 1;
            match token.text {
                "[" if token.kind == Kind::Mark => depth += 1,
                "]" if token.kind == Kind::Mark => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        let inside: Vec<&str> = self.tokens[from..self.at].iter().map(|t| t.text).collect();
        if outer == 0 {
            self.test_next |=
                matches!(inside.as_slice(), ["[", "test", "]"] | ["[", "cfg", "(", "test", ")", "]"]);
            if let ["[", "path", "=", path, "]"] = inside.as_slice() {
                self.path_next = Some(path.trim_matches('"').to_owned());
            }
        }
        true
    }

    /// Follows braces, and forgets what an attribute said at the end of its item.
    fn brace(&mut self) {
        match self.peek(0) {
            Some(t) if t.is_mark("{") => {
                if std::mem::take(&mut self.test_next) {
                    self.regions.push(Region { depth: self.depth, module: None, test: true });
                }
                self.depth += 1;
            }
            Some(t) if t.is_mark("}") => {
                self.depth = self.depth.saturating_sub(1);
                while self.regions.last().is_some_and(|r| r.depth >= self.depth) {
                    self.regions.pop();
                }
            }
            Some(t) if t.is_mark(";") => self.test_next = false,
            _ => {}
        }
    }

    fn definition(&mut self, names: &mut Names) {
        const KEYWORDS: &[&str] = &["struct", "enum", "union", "trait", "type", "fn", "const", "static"];
        if let (Some(keyword), Some(name)) = (self.peek(0), self.peek(1))
            && keyword.kind == Kind::Word
            && KEYWORDS.contains(&keyword.text)
            && name.kind == Kind::Word
        {
            names.defined.push(name.text.to_owned());
        }
    }

    fn module(&mut self, names: &mut Names) {
        let (Some(word), Some(name)) = (self.peek(0), self.peek(1)) else { return };
        self.at += 2;
        let test = std::mem::take(&mut self.test_next);
        let path = self.path_next.take();
        match self.peek(0) {
            Some(t) if t.is_mark("{") => {
                self.regions.push(Region { depth: self.depth, module: Some(name.text.to_owned()), test });
                self.depth += 1;
                self.at += 1;
            }
            Some(t) if t.is_mark(";") => {
                let inline = self.inline();
                names.declared.push(Declared { name: name.text.to_owned(), inline, path, line: word.line });
                self.at += 1;
            }
            _ => {}
        }
    }

    fn import(&mut self, names: &mut Names) {
        let lends = (1..=8)
            .map_while(|back| self.at.checked_sub(back).map(|i| self.tokens[i]))
            .take_while(|t| t.kind == Kind::Word || t.is_mark("(") || t.is_mark(")") || t.is_mark("::"))
            .any(|t| t.is_word("pub"));
        let in_test = self.in_test() || self.test_next;
        self.at += 1;
        let mut leaves = Vec::new();
        self.tree(Vec::new(), &mut leaves);
        for (parts, alias, line) in leaves {
            names.named.push(Named {
                parts,
                alias: Some(alias),
                lends,
                inline: self.inline(),
                in_test,
                line,
            });
        }
    }

    /// One tree of a `use`: `a::b`, `a::{b, c as d}`, `a::*`.
    fn tree(&mut self, mut prefix: Vec<String>, leaves: &mut Vec<(Vec<String>, String, usize)>) {
        while let Some(token) = self.peek(0) {
            if token.is_mark("{") {
                self.at += 1;
                while let Some(inner) = self.peek(0) {
                    if inner.is_mark("}") {
                        self.at += 1;
                        return;
                    }
                    if inner.is_mark(",") {
                        self.at += 1;
                    } else if inner.kind == Kind::Word
                        || inner.is_mark("{")
                        || inner.is_mark("*")
                        || inner.is_mark("::")
                    {
                        self.tree(prefix.clone(), leaves);
                    } else {
                        return;
                    }
                }
                return;
            }
            self.at += 1;
            if token.is_mark("*") {
                leaves.push((prefix, "*".to_owned(), token.line));
                return;
            }
            if token.is_mark("::") {
                continue;
            }
            if token.kind != Kind::Word {
                self.at -= 1;
                return;
            }
            if token.text != "self" || prefix.is_empty() {
                prefix.push(token.text.to_owned());
            }
            if self.peek(0).is_some_and(|t| t.is_mark("::")) {
                continue;
            }
            let mut alias = prefix.last().cloned().unwrap_or_default();
            if self.peek(0).is_some_and(|t| t.is_word("as")) {
                alias = self.peek(1).map_or(alias, |t| t.text.to_owned());
                self.at += 2;
            }
            leaves.push((prefix, alias, token.line));
            return;
        }
    }

    fn inline_path(&mut self, names: &mut Names) {
        let Some(first) = self.peek(0) else { return };
        let mut parts = vec![first.text.to_owned()];
        self.at += 1;
        while self.peek(0).is_some_and(|t| t.is_mark("::"))
            && self.peek(1).is_some_and(|t| t.kind == Kind::Word)
        {
            parts.push(self.tokens[self.at + 1].text.to_owned());
            self.at += 2;
        }
        if self.peek(0).is_some_and(|t| t.is_mark("::")) {
            self.at += 1;
        }
        let in_test = self.in_test() || self.test_next;
        names.named.push(Named {
            parts,
            alias: None,
            lends: false,
            inline: self.inline(),
            in_test,
            line: first.line,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::scan;

    fn named(source: &str) -> Vec<String> {
        scan(source).named.iter().map(|n| n.parts.join("::")).collect()
    }

    #[test]
    fn every_leaf_of_an_import_is_seen() {
        let source = "use a::{b, c::{self, d as e}, f::*}; pub(crate) use ::g::h; use super::super::i;";
        assert_eq!(named(source), ["a::b", "a::c", "a::c::d", "a::f", "g::h", "super::super::i"]);
        let scanned = scan(source);
        assert_eq!(scanned.named[2].alias.as_deref(), Some("e"));
        assert_eq!(
            scanned.named.iter().map(|n| n.lends).collect::<Vec<_>>(),
            [false, false, false, false, true, false]
        );
    }

    #[test]
    fn inline_paths_are_seen_and_text_is_not() {
        assert_eq!(
            named("fn f() { crate::log::Writer::<u8>::new(\"crate::no\") } // crate::no"),
            ["crate::log::Writer"]
        );
        assert_eq!(named("impl<T> Trait for <crate::io::Disk as X>::Y {}"), ["crate::io::Disk"]);
    }

    #[test]
    fn test_code_and_inline_modules_are_known() {
        let source = "fn a() { b::c(); } #[cfg(test)] mod tests { use super::x; #[test] fn t() { y::z(); } }
            #[test] fn u() { v::w(); } #[cfg(test)] use k::l; fn last() { m::n(); }";
        let scanned = scan(source);
        let marks: Vec<bool> = scanned.named.iter().map(|n| n.in_test).collect();
        assert_eq!(marks, [false, true, true, true, true, false]);
        assert_eq!(scanned.named[1].inline, ["tests"]);
        assert!(scanned.named[5].inline.is_empty());
    }

    #[test]
    fn module_files_are_seen() {
        let scanned = scan("mod a; pub(crate) mod b; mod c { mod d; } #[path = \"x/y.rs\"] mod e;");
        let declared: Vec<(&str, usize)> =
            scanned.declared.iter().map(|d| (d.name.as_str(), d.inline.len())).collect();
        assert_eq!(declared, [("a", 0), ("b", 0), ("d", 1), ("e", 0)]);
        assert_eq!(scanned.declared[3].path.as_deref(), Some("x/y.rs"));
    }
}
