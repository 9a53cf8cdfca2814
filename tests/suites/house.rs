//! Does this repository keep its own rules?
//!
//! If this fails, what the documents promise of the code (layers, no cycles, unsafe in its places, scopes made
//! by authentication alone) is no longer true, and nobody would have noticed.

use std::path::Path;

use strongroom_tests::house::{RULES, Tree};

#[test]
fn the_rules_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tree = Tree::read(&root).expect("the repository can be read");
    assert!(tree.has("engine/src/lib.rs"), "this is not the repository");
    let mut broken = Vec::new();
    for (name, rule) in RULES {
        broken.extend(rule(&tree).into_iter().map(|finding| format!("{finding} [{name}]")));
    }
    assert!(broken.is_empty(), "{} findings:\n{}\n", broken.len(), broken.join("\n"));
}
