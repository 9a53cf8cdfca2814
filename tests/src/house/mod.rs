//! Does the code keep its own rules?
//!
//! Each rule is a pure function from the files of the repository (a [`Tree`]) to what it found; the suite
//! `house` runs all of them over the real tree, and each rule's unit tests feed it something bad. A rule names
//! the file, the line and what to do; there is no way to silence one from inside the code it looks at.

pub mod layers;
pub mod lex;
pub mod links;
pub mod modules;
pub mod paths;
pub mod places;
pub mod shape;
mod tree;

pub use tree::{Finding, Tree};

/// A rule's name and the function that is the rule.
pub type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

/// Every rule there is.
pub const RULES: &[Rule] = &[
    ("imports run downward", layers::imports_run_downward),
    ("every room is known", layers::rooms_are_known),
    ("lib.rs of the engine only re-exports", layers::engine_root_only_reexports),
    ("modules form no cycle", layers::modules_form_no_cycle),
    ("no orphan files", modules::no_orphans),
    ("files, clocks, randomness and threads", places::outside_world_in_io),
    ("the cipher", places::cipher_in_seal),
    ("unsafe", places::unsafe_in_its_places),
    ("scopes are granted by authentication", places::scopes_granted_by_auth),
    ("nothing discarded", shape::nothing_discarded),
    ("nothing unfinished", shape::nothing_unfinished),
    ("asserts are always on", shape::asserts_always_on),
    ("modules say what they are", shape::modules_say_what_they_are),
    ("files stay small", shape::files_stay_small),
    ("links lead somewhere", links::links_lead_somewhere),
];
