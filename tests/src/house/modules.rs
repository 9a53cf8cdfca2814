//! Which modules does each crate have, in which files, and where does a path lead?
//!
//! A package is a folder with a `Cargo.toml`; its targets are the roots cargo would find, and the modules of a
//! target are what its `mod` declarations reach. A path is followed through modules and through the names that
//! modules lend each other (`pub use`), so that a re-export hides no import.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{Named, Names, scan};
use super::tree::{Finding, Tree, folder_of, join};

/// A module's place in its crate: `["log", "writer"]`; empty for the root.
pub type ModulePath = Vec<String>;

/// One module file.
#[derive(Debug)]
pub struct Module {
    /// The file.
    pub file: String,
    /// What it names.
    pub names: Names,
}

/// A crate root and what it reaches.
#[derive(Debug)]
pub struct Target {
    /// The folder of its package.
    pub package: String,
    /// The name by which other crates import it; `None` for programs, tests and benchmarks.
    pub crate_name: Option<String>,
    /// Its modules.
    pub modules: BTreeMap<ModulePath, Module>,
    /// Declarations without a file.
    pub missing: Vec<Finding>,
}

/// Where a path leads: a crate (by index into the targets) and a module file in it.
pub type Place = (usize, ModulePath);

/// Every target of the repository.
pub fn targets(tree: &Tree) -> Vec<Target> {
    let mut targets = Vec::new();
    for (manifest, text) in tree.ending("Cargo.toml") {
        let package = folder_of(manifest);
        let Some(name) = manifest_name(text) else { continue };
        for (root, library) in roots(tree, package, text) {
            let crate_name = library.then(|| name.replace('-', "_"));
            targets.push(Target::build(tree, package, crate_name, &root));
        }
    }
    targets
}

/// No `.rs` file may lie about unused, and no declared module may be missing.
pub fn no_orphans(tree: &Tree) -> Vec<Finding> {
    let targets = targets(tree);
    let reached: BTreeSet<&str> =
        targets.iter().flat_map(|t| t.modules.values().map(|m| m.file.as_str())).collect();
    let mut found: Vec<Finding> = targets.iter().flat_map(|t| t.missing.clone()).collect();
    for (file, _) in tree.ending(".rs") {
        if !reached.contains(file) {
            found.push(Finding::new(
                file,
                0,
                "no target reaches this file: declare it with `mod`, or delete it",
            ));
        }
    }
    found
}

/// `name = "…"` of the section `[package]`.
fn manifest_name(text: &str) -> Option<String> {
    let package = text.split("[package]").nth(1)?.split("\n[").next()?;
    value_of(package, "name")
}

/// The value of `key = "…"` in a section.
fn value_of(section: &str, key: &str) -> Option<String> {
    section.lines().find_map(|line| {
        let (k, v) = line.split_once('=')?;
        (k.trim() == key).then(|| v.trim().trim_matches('"').to_owned())
    })
}

/// The files cargo starts from in a package, and whether each is its library.
fn roots(tree: &Tree, package: &str, manifest: &str) -> Vec<(String, bool)> {
    let at = |relative: &str| join(package, relative).unwrap_or_default();
    let mut roots = BTreeMap::new();
    for (kind, table) in sections(manifest) {
        if let (true, Some(path)) =
            (["lib", "bin", "test", "bench", "example"].contains(&kind), value_of(table, "path"))
        {
            roots.insert(at(&path), kind == "lib");
        }
    }
    for (file, library) in [("src/lib.rs", true), ("src/main.rs", false), ("build.rs", false)] {
        if tree.text(&at(file)).is_some() {
            roots.entry(at(file)).or_insert(library);
        }
    }
    let nested: Vec<&str> =
        tree.ending("Cargo.toml").map(|(m, _)| folder_of(m)).filter(|f| f.len() > package.len()).collect();
    for folder in ["src/bin", "tests", "benches", "examples"] {
        let folder = at(folder);
        if nested.contains(&folder.as_str()) {
            continue;
        }
        for (file, _) in tree.ending(".rs") {
            let direct = folder_of(file) == folder;
            let own_folder = file.ends_with("/main.rs") && folder_of(folder_of(file)) == folder;
            if direct || own_folder {
                roots.entry(file.to_owned()).or_insert(false);
            }
        }
    }
    roots.into_iter().filter(|(file, _)| tree.text(file).is_some()).collect()
}

/// The tables of a manifest: name (without brackets) and body.
fn sections(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    manifest.split("\n[").filter_map(|part| {
        let (name, body) = part.split_once('\n')?;
        Some((name.trim().trim_matches(['[', ']']), body))
    })
}

impl Target {
    fn build(tree: &Tree, package: &str, crate_name: Option<String>, root: &str) -> Target {
        let mut target =
            Target { package: package.to_owned(), crate_name, modules: BTreeMap::new(), missing: Vec::new() };
        target.add(tree, Vec::new(), root, folder_of(root));
        target
    }

    /// Adds a module file and all that it declares; `home` is the folder of its children.
    fn add(&mut self, tree: &Tree, path: ModulePath, file: &str, home: &str) {
        let Some(text) = tree.text(file) else { return };
        let names = scan(text);
        let declared = names.declared.clone();
        self.modules.insert(path.clone(), Module { file: file.to_owned(), names });
        for child in declared {
            let inner = child.inline.iter().fold(home.to_owned(), |f, part| format!("{f}/{part}"));
            let candidates = match &child.path {
                Some(relative) => vec![(join(folder_of(file), relative), None)],
                None => {
                    let own = join(&inner, &child.name);
                    let flat = join(&inner, &format!("{}.rs", child.name));
                    let nested = join(&inner, &format!("{}/mod.rs", child.name));
                    vec![(flat, own.clone()), (nested, own)]
                }
            };
            let there: Vec<(String, String)> = candidates
                .into_iter()
                .filter_map(|(file, home)| {
                    file.map(|f| (f.clone(), home.unwrap_or(folder_of(&f).to_owned())))
                })
                .filter(|(file, _)| tree.text(file).is_some())
                .collect();
            let full: ModulePath =
                path.iter().chain(&child.inline).chain(std::iter::once(&child.name)).cloned().collect();
            match there.as_slice() {
                [(child_file, child_home)] => self.add(tree, full, child_file, child_home),
                [] => self.missing.push(Finding::new(
                    file,
                    child.line,
                    format!("mod {}: no such file", child.name),
                )),
                _ => self.missing.push(Finding::new(
                    file,
                    child.line,
                    format!("mod {}: two files could be it, keep one", child.name),
                )),
            }
        }
    }

    /// The longest beginning of a path that is a module file.
    fn module_at(&self, path: &[String]) -> ModulePath {
        let mut len = path.len();
        while !self.modules.contains_key(&path[..len]) && len > 0 {
            len -= 1;
        }
        path[..len].to_vec()
    }
}

/// Where a path named in a module leads, or `None` when it isn't about this repository's crates.
pub fn lead(targets: &[Target], from: usize, module: &[String], named: &Named) -> Option<Place> {
    let here: ModulePath = module.iter().chain(&named.inline).cloned().collect();
    follow(targets, from, &here, &named.parts, 8)
}

fn follow(
    targets: &[Target],
    from: usize,
    here: &[String],
    parts: &[String],
    budget: usize,
) -> Option<Place> {
    let target = &targets[from];
    let first = parts.first()?.as_str();
    let (crate_index, mut at, mut next) = match first {
        "crate" => (from, Vec::new(), 1),
        "self" => (from, here.to_vec(), 1),
        "super" => {
            let ups = parts.iter().take_while(|p| *p == "super").count();
            (from, here[..here.len().saturating_sub(ups)].to_vec(), ups)
        }
        _ if target.modules.contains_key(&child(&target.module_at(here), first)) => {
            (from, target.module_at(here), 0)
        }
        _ => {
            let other = targets.iter().position(|t| t.crate_name.as_deref() == Some(first))?;
            (other, Vec::new(), 1)
        }
    };
    let target = &targets[crate_index];
    while let Some(part) = parts.get(next) {
        let below = child(&at, part);
        if target.modules.contains_key(&below) {
            at = below;
            next += 1;
            continue;
        }
        if budget > 0
            && let Some(place) = lent(targets, crate_index, &at, part, budget - 1)
        {
            return Some(place);
        }
        break;
    }
    Some((crate_index, target.module_at(&at)))
}

/// Where a name leads that a module lends with `pub use`.
fn lent(targets: &[Target], in_crate: usize, module: &[String], name: &str, budget: usize) -> Option<Place> {
    let names = &targets[in_crate].modules.get(module)?.names;
    let lenders = names.named.iter().filter(|n| n.lends && n.inline.is_empty());
    for lender in lenders {
        let alias = lender.alias.as_deref();
        if alias == Some(name) {
            return follow(targets, in_crate, module, &lender.parts, budget);
        }
        if alias == Some("*")
            && let Some((other, place)) = follow(targets, in_crate, module, &lender.parts, budget)
            && targets[other].modules.get(&place).is_some_and(|m| m.names.defined.iter().any(|d| d == name))
        {
            return Some((other, place));
        }
    }
    None
}

fn child(module: &[String], name: &str) -> ModulePath {
    let mut path = module.to_vec();
    path.push(name.to_owned());
    path
}

#[cfg(test)]
mod tests {
    use super::{lead, no_orphans, targets};
    use crate::house::tree::Tree;

    const MANIFEST: (&str, &str) = ("engine/Cargo.toml", "[package]\nname = \"strongroom-engine\"\n");

    // A file that nothing compiles is a file that nobody tests: its bugs ship the day somebody declares it.
    #[test]
    fn an_undeclared_file_is_an_orphan() {
        let tree = Tree::of(&[
            MANIFEST,
            ("engine/src/lib.rs", "mod log; mod io { mod disk; }"),
            ("engine/src/log/mod.rs", "mod writer;"),
            ("engine/src/log/writer.rs", ""),
            ("engine/src/io/disk.rs", ""),
            ("engine/src/lost.rs", ""),
            ("engine/tests/all.rs", ""),
            ("engine/tests/helper/deep.rs", ""),
        ]);
        let files: Vec<String> = no_orphans(&tree).into_iter().map(|f| f.file).collect();
        assert_eq!(files, ["engine/src/lost.rs", "engine/tests/helper/deep.rs"]);
    }

    #[test]
    fn a_module_without_a_file_or_with_two_is_found() {
        let tree = Tree::of(&[
            MANIFEST,
            ("engine/src/lib.rs", "mod gone;\nmod twice;"),
            ("engine/src/twice.rs", ""),
            ("engine/src/twice/mod.rs", ""),
        ]);
        let found = no_orphans(&tree);
        assert!(found.iter().any(|f| f.line == 1 && f.what.contains("no such file")), "{found:?}");
        assert!(found.iter().any(|f| f.line == 2 && f.what.contains("two files")), "{found:?}");
    }

    #[test]
    fn targets_named_in_the_manifest_are_reached() {
        let manifest = "[package]\nname = \"x\"\nautotests = false\n\n[[test]]\nname = \"api\"\npath = \"suites/api.rs\"\n";
        let tree = Tree::of(&[
            ("x/Cargo.toml", manifest),
            ("x/src/lib.rs", ""),
            ("x/suites/api.rs", ""),
            ("x/suites/b.rs", ""),
        ]);
        assert_eq!(no_orphans(&tree).iter().map(|f| f.file.as_str()).collect::<Vec<_>>(), ["x/suites/b.rs"]);
    }

    #[test]
    fn a_path_leads_through_what_modules_lend() {
        let tree = Tree::of(&[
            MANIFEST,
            ("engine/src/lib.rs", "mod log; mod segment; pub use segment::Block;"),
            ("engine/src/log.rs", "use crate::Block; use super::segment::Codes; use crate::segment::Deep;"),
            (
                "engine/src/segment/mod.rs",
                "mod codes; mod deep; pub use codes::*; pub use deep::Inner as Deep; pub struct Block;",
            ),
            ("engine/src/segment/codes.rs", "pub struct Codes;"),
            ("engine/src/segment/deep.rs", "pub struct Inner;"),
        ]);
        let targets = targets(&tree);
        let log = vec!["log".to_owned()];
        let places: Vec<String> = targets[0].modules[&log]
            .names
            .named
            .iter()
            .map(|n| lead(&targets, 0, &log, n).map_or("elsewhere".to_owned(), |(_, m)| m.join("::")))
            .collect();
        assert_eq!(places, ["segment", "segment::codes", "segment::deep"]);
    }
}
