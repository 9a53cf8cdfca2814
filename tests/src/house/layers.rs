//! Do imports run strictly downward, and is the graph of modules free of cycles?
//!
//! The floors of the engine and what each crate may import are written down here and nowhere else in the
//! code; `docs` and the blueprint say why. A room of the engine imports only rooms of lower floors: never its
//! neighbours, never upward, and never by way of a name that the crate's root lends.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{ModulePath, Target, lead, targets};
use super::tree::{Finding, Tree};

/// The floors of the engine, lowest first. Two rooms of one floor don't know each other.
pub const FLOORS: &[&[&str]] = &[
    &["cluster", "io", "nearness", "rank", "words"],
    &["seal"],
    &["keyring", "log", "memtable", "segment"],
    &["index", "keyword", "filter", "manifest"],
    &["partition"],
    &["compaction", "shred"],
    &["workspace"],
    &["verify"],
    &["inspect"],
];

/// The crates whose imports are bound, and which crates of this repository each may import.
const CRATES: &[(&str, &[&str])] = &[
    ("strongroom_format", &[]),
    ("strongroom_kernel", &[]),
    ("strongroom_engine", &["strongroom_format", "strongroom_kernel"]),
    ("strongroom_embed", &[]),
    ("strongroom_extract", &[]),
    ("strongroom", &["strongroom_engine", "strongroom_embed", "strongroom_extract"]),
];

/// The engine's crate.
const ENGINE: &str = "strongroom_engine";

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// An import from one module file to another, in this repository.
struct Edge<'a> {
    from: (usize, &'a ModulePath),
    to: (usize, ModulePath),
    file: &'a str,
    line: usize,
    /// What the importer wrote first: a crate may be lent what another crate re-exports to it.
    named: &'a str,
}

fn edges(targets: &[Target]) -> Vec<Edge<'_>> {
    let mut edges = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        for (path, module) in &target.modules {
            for named in &module.names.named {
                if let Some(to) = lead(targets, index, path, named) {
                    let first = named.parts.first().map_or("", String::as_str);
                    let from = (index, path);
                    edges.push(Edge { from, to, file: &module.file, line: named.line, named: first });
                }
            }
        }
    }
    edges
}

/// Crates import only what their row allows; rooms of the engine only lower floors.
pub fn imports_run_downward(tree: &Tree) -> Vec<Finding> {
    let targets = targets(tree);
    let mut found = BTreeSet::new();
    for edge in edges(&targets) {
        if edge.from.0 == edge.to.0 {
            if targets[edge.from.0].crate_name.as_deref() == Some(ENGINE) {
                found.extend(between_rooms(&edge));
            }
            continue;
        }
        let importer = package_crate(&targets, edge.from.0);
        let imported = targets[edge.to.0].crate_name.as_deref().unwrap_or_default();
        let Some((name, allowed)) = CRATES.iter().find(|(name, _)| Some(*name) == importer) else { continue };
        if imported != *name && !allowed.contains(&imported) && !allowed.contains(&edge.named) {
            found.insert(Finding::new(edge.file, edge.line, format!("{name} may not import {imported}")));
        }
    }
    found.into_iter().collect()
}

/// The library that a target's package is bound by: its own, or its neighbour's for programs and tests.
fn package_crate(targets: &[Target], index: usize) -> Option<&str> {
    let package = &targets[index].package;
    targets.iter().filter(|t| t.package == *package).find_map(|t| t.crate_name.as_deref()).or_else(|| {
        // A package without a library of its own is named by its folder.
        (package == "server").then_some("strongroom")
    })
}

fn between_rooms(edge: &Edge<'_>) -> Option<Finding> {
    let from = edge.from.1.first()?;
    let finding = |what: String| Some(Finding::new(edge.file, edge.line, what));
    let Some(to) = edge.to.1.first() else {
        return finding("name the room that this comes from, not the crate's root".to_owned());
    };
    let (above, below) = (floor(from)?, floor(to)?);
    if from == to || above > below {
        return None;
    }
    let why = if above == below { "they share a floor" } else { "it is on a higher floor" };
    finding(format!("{from} may not import {to}: {why}"))
}

/// What lies under `engine/src` is a room of the table, `lib.rs`, and nothing else.
pub fn rooms_are_known(tree: &Tree) -> Vec<Finding> {
    let mut found = BTreeSet::new();
    for (file, _) in tree.ending("") {
        let Some(inside) = file.strip_prefix("engine/src/") else { continue };
        let entry = inside.split('/').next().unwrap_or(inside);
        let room = entry.strip_suffix(".rs").unwrap_or(entry);
        if room != "lib" && floor(room).is_none() {
            let what =
                format!("`{room}` is no room of the engine: give it a floor in the table, with the reason");
            found.insert(Finding::new(file, 0, what));
        }
    }
    found.into_iter().collect()
}

/// The engine's `lib.rs` holds `mod` and `use` items and nothing that works.
pub fn engine_root_only_reexports(tree: &Tree) -> Vec<Finding> {
    const FILE: &str = "engine/src/lib.rs";
    let Some(text) = tree.text(FILE) else { return Vec::new() };
    let tokens = super::lex::code(text);
    let (mut at, mut found) = (0, Vec::new());
    while at < tokens.len() {
        let token = tokens[at];
        if token.is_mark("#") {
            at = past(&tokens, at, "[", "]");
        } else if token.is_word("pub") && tokens.get(at + 1).is_some_and(|t| t.is_mark("(")) {
            at = past(&tokens, at, "(", ")");
        } else if token.is_word("pub") {
            at += 1;
        } else if token.is_word("mod") || token.is_word("use") {
            let end =
                tokens[at..].iter().position(|t| t.is_mark(";") || (token.is_word("mod") && t.is_mark("{")));
            at += end.map_or(tokens.len(), |e| e + 1);
        } else {
            found.push(Finding::new(
                FILE,
                token.line,
                "the engine's root only declares rooms and lends their names",
            ));
            break;
        }
    }
    found
}

/// The index behind the bracket that closes the first `open` at or after `at`.
fn past(tokens: &[super::lex::Token<'_>], mut at: usize, open: &str, close: &str) -> usize {
    let mut depth = 0_usize;
    while at < tokens.len() {
        if tokens[at].is_mark(open) {
            depth += 1;
        } else if tokens[at].is_mark(close) {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
        at += 1;
    }
    at
}

/// In every folder of every crate, the modules of that folder import each other in one direction only.
pub fn modules_form_no_cycle(tree: &Tree) -> Vec<Finding> {
    let targets = targets(tree);
    type Graph<'a> = BTreeMap<&'a str, BTreeMap<String, (&'a str, usize)>>;
    let mut folders: BTreeMap<(usize, &[String]), Graph<'_>> = BTreeMap::new();
    for edge in edges(&targets) {
        if edge.from.0 != edge.to.0 {
            continue;
        }
        let shared = edge.from.1.iter().zip(&edge.to.1).take_while(|(a, b)| a == b).count();
        let (Some(from), Some(to)) = (edge.from.1.get(shared), edge.to.1.get(shared)) else { continue };
        let folder = folders.entry((edge.from.0, &edge.from.1[..shared])).or_default();
        folder.entry(from).or_default().entry(to.clone()).or_insert((edge.file, edge.line));
    }
    let mut found = Vec::new();
    for graph in folders.values() {
        let plain: BTreeMap<&str, Vec<&str>> =
            graph.iter().map(|(from, tos)| (*from, tos.keys().map(String::as_str).collect())).collect();
        if let Some(cycle) = cycle_in(&plain) {
            let (file, line) = graph[cycle[0]][cycle[1 % cycle.len()]];
            found.push(Finding::new(
                file,
                line,
                format!("modules import each other in a circle: {}", cycle.join(" -> ")),
            ));
        }
    }
    found
}

/// A cycle of a directed graph, if it has one: each node imports the next, the last the first.
pub fn cycle_in<'a>(graph: &BTreeMap<&'a str, Vec<&'a str>>) -> Option<Vec<&'a str>> {
    fn visit<'a>(
        node: &'a str,
        graph: &BTreeMap<&'a str, Vec<&'a str>>,
        trail: &mut Vec<&'a str>,
        finished: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<&'a str>> {
        if let Some(begin) = trail.iter().position(|n| *n == node) {
            return Some(trail[begin..].to_vec());
        }
        if finished.contains(node) {
            return None;
        }
        trail.push(node);
        for next in graph.get(node).into_iter().flatten() {
            if let Some(cycle) = visit(next, graph, trail, finished) {
                return Some(cycle);
            }
        }
        trail.pop();
        finished.insert(node);
        None
    }
    let mut finished = BTreeSet::new();
    graph.keys().find_map(|node| visit(node, graph, &mut Vec::new(), &mut finished))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        cycle_in, engine_root_only_reexports, imports_run_downward, modules_form_no_cycle, rooms_are_known,
    };
    use crate::house::tree::{Finding, Tree};

    fn house(extra: &[(&str, &str)]) -> Tree {
        let mut files = vec![
            ("engine/Cargo.toml", "[package]\nname = \"strongroom-engine\"\n"),
            ("engine/format/Cargo.toml", "[package]\nname = \"strongroom-format\"\n"),
            ("engine/format/src/lib.rs", ""),
            ("server/Cargo.toml", "[package]\nname = \"strongroom\"\n"),
            (
                "engine/src/lib.rs",
                "pub mod io; pub mod log; pub mod memtable; pub mod manifest; pub use log::Log;",
            ),
            ("engine/src/io.rs", ""),
            ("engine/src/log.rs", ""),
            ("engine/src/memtable.rs", ""),
            ("engine/src/manifest.rs", ""),
        ];
        files.retain(|(path, _)| !extra.iter().any(|(p, _)| p == path));
        files.extend_from_slice(extra);
        Tree::of(&files)
    }

    fn lines(found: &[Finding]) -> Vec<String> {
        found.iter().map(|f| format!("{}:{}", f.file, f.line)).collect()
    }

    // A user loses the promise that the sealing and isolation below can be read and reviewed floor by floor.
    #[test]
    fn a_room_may_import_lower_floors_only() {
        let down =
            house(&[("engine/src/manifest.rs", "use crate::{io::Disk, log}; use strongroom_format::x;")]);
        assert_eq!(imports_run_downward(&down), []);
        let up = house(&[("engine/src/io.rs", "\nfn f() { super::log::go() }")]);
        assert_eq!(lines(&imports_run_downward(&up)), ["engine/src/io.rs:2"]);
        let beside = house(&[("engine/src/log.rs", "use crate::memtable::Memtable;")]);
        assert_eq!(lines(&imports_run_downward(&beside)), ["engine/src/log.rs:1"]);
    }

    #[test]
    fn a_name_lent_by_the_root_hides_no_import() {
        let lent = house(&[("engine/src/memtable.rs", "use crate::Log;")]);
        assert_eq!(lines(&imports_run_downward(&lent)), ["engine/src/memtable.rs:1"]);
        let unknown = house(&[("engine/src/memtable.rs", "use crate::Unknown;")]);
        assert_eq!(lines(&imports_run_downward(&unknown)), ["engine/src/memtable.rs:1"]);
    }

    #[test]
    fn the_server_reaches_the_engine_only_through_its_door() {
        let program =
            house(&[("server/src/main.rs", "use strongroom_engine::io; use strongroom_format::x;")]);
        assert_eq!(imports_run_downward(&program).len(), 1);
        let back = house(&[("server/src/lib.rs", ""), ("engine/src/io.rs", "use strongroom::http;")]);
        assert_eq!(lines(&imports_run_downward(&back)), ["engine/src/io.rs:1"]);
    }

    #[test]
    fn a_room_without_a_floor_is_refused() {
        let tree = house(&[("engine/src/misc/mod.rs", ""), ("engine/src/utils.rs", "")]);
        assert_eq!(lines(&rooms_are_known(&tree)), ["engine/src/misc/mod.rs:0", "engine/src/utils.rs:0"]);
    }

    #[test]
    fn the_root_of_the_engine_does_nothing_itself() {
        let good =
            "//! Door.\n#![deny(unsafe_code)]\n#[cfg(test)] mod a; pub(crate) mod io; pub use io::{A, B};";
        assert_eq!(engine_root_only_reexports(&house(&[("engine/src/lib.rs", good)])), []);
        let bad = house(&[("engine/src/lib.rs", "pub mod io;\npub fn open() {}")]);
        assert_eq!(lines(&engine_root_only_reexports(&bad)), ["engine/src/lib.rs:2"]);
    }

    #[test]
    fn circles_are_found_in_every_folder() {
        let tree = house(&[
            ("server/src/main.rs", "mod http; mod auth;"),
            ("server/src/http/mod.rs", "mod a; mod b; use crate::auth::Key;"),
            ("server/src/http/a.rs", "use super::b::B;"),
            ("server/src/http/b.rs", "use crate::http::a::A;"),
            ("server/src/auth.rs", "fn f() -> crate::http::Answer {}"),
        ]);
        let circles: Vec<String> = modules_form_no_cycle(&tree).into_iter().map(|f| f.what).collect();
        assert_eq!(circles.len(), 2, "{circles:?}");
        assert!(circles[0].ends_with("auth -> http") && circles[1].ends_with("a -> b"), "{circles:?}");
        assert_eq!(modules_form_no_cycle(&house(&[])), []);
    }

    #[test]
    fn a_graph_without_a_circle_has_none() {
        let graph = BTreeMap::from([("a", vec!["b", "c"]), ("b", vec!["c"])]);
        assert_eq!(cycle_in(&graph), None);
        let graph = BTreeMap::from([("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["b"])]);
        assert_eq!(cycle_in(&graph), Some(vec!["b", "c"]));
    }
}
