//! Is `format-spec.md` the truth about the files of a store?
//!
//! If this fails, a reader that somebody wrote from the document would misread a store.

use std::path::Path;

use strongroom_format::catalogue::LAYOUTS;
use strongroom_tests::golden::{examples, reading};
use strongroom_tests::spec::{differences, tables_of_code, tables_of_document};

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format-spec.md");
    std::fs::read_to_string(&path).expect("format-spec.md stands in the root")
}

#[test]
fn document_and_code_say_the_same() {
    let text = document();
    let (document, mut faults) = tables_of_document(&text);
    let code = tables_of_code(LAYOUTS);
    assert!(!code.is_empty(), "the code has structures");
    faults.extend(differences(&document, &code));
    assert!(faults.is_empty(), "{} differences:\n{}\n", faults.len(), faults.join("\n"));
}

#[test]
fn every_example_is_what_its_bytes_say() {
    let text = document();
    assert!(reading::examples_of(&text).len() > LAYOUTS.len(), "structures, and what is sealed");
    let faults = reading::faults_of(&text);
    assert!(faults.is_empty(), "{} faults:\n{}\n", faults.len(), faults.join("\n"));
}

/// Without this, the examples would stay behind when the format moves on.
#[test]
fn the_examples_are_what_is_written_today() {
    let text = document();
    let (_, found) = text.split_once(examples::HEADING).expect("the document has examples");
    let wanted = examples::text();
    let differs = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    assert!(
        found == wanted,
        "from line {differs:?} of the examples on; write them with the command they name"
    );
}

/// Without this, a slip in an example would go unseen, for nobody recomputes a tag by eye.
#[test]
fn a_slip_in_an_example_is_found() {
    let text = document();
    for name in ["all", "generation", "previous_end", "hash", "subkey", "authenticated", "sealed", "says"] {
        let line = format!("    {name} = ");
        let begin = text.find(examples::HEADING).expect("the document has examples");
        let at = text[begin..].find(&line).unwrap_or_else(|| panic!("an example states {name}"));
        let at = begin + at + line.len();
        let slip = if text.as_bytes()[at] == b'1' { "2" } else { "1" };
        let slipped = [&text[..at], slip, &text[at + 1..]].concat();
        assert_eq!(reading::faults_of(&slipped).len(), 1, "{name}");
    }
    let cut = text.replace("### Example: `LogStart`", "### `LogStart`, for example");
    assert_eq!(reading::faults_of(&cut), ["LogStart has no example"]);
}
