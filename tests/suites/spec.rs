//! Is `format-spec.md` the truth about the files of a store?
//!
//! If this fails, a reader that somebody wrote from the document would misread a store.

use std::path::Path;

use strongroom_format::catalogue::LAYOUTS;
use strongroom_tests::spec::{differences, tables_of_code, tables_of_document};

#[test]
fn document_and_code_say_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format-spec.md");
    let text = std::fs::read_to_string(&path).expect("format-spec.md stands in the root");
    let (document, mut faults) = tables_of_document(&text);
    let code = tables_of_code(LAYOUTS);
    assert!(!code.is_empty(), "the code has structures");
    faults.extend(differences(&document, &code));
    assert!(faults.is_empty(), "{} differences:\n{}\n", faults.len(), faults.join("\n"));
}
