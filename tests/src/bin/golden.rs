//! What do the golden files and the worked examples of `format-spec.md` have to be?
//!
//! `golden` tells which of them differ; `golden --write` writes them. After version 1 is in anybody's hands the
//! golden files never change: a change of the format is a new version, with golden files of its own.
#![expect(clippy::print_stdout, reason = "a command for people")]

use std::path::Path;

use strongroom_tests::golden::{examples, scene};

fn main() -> std::io::Result<()> {
    let is_writing = std::env::args().nth(1).as_deref() == Some("--write");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = tests.join("../format-spec.md");
    let text = std::fs::read_to_string(&document)?;
    let Some((before, _)) = text.split_once(examples::HEADING) else {
        return Err(std::io::Error::other("format-spec.md has no heading for its examples"));
    };
    let mut wanted = vec![(document, [before, examples::HEADING, &examples::text()].concat().into_bytes())];
    wanted
        .extend(scene::files().into_iter().map(|(name, bytes)| (tests.join("golden/v1").join(name), bytes)));
    for (path, bytes) in wanted {
        let is_same = std::fs::read(&path).is_ok_and(|found| found == bytes);
        println!("{} {}", if is_same { "same   " } else { "differs" }, path.display());
        if is_writing && !is_same {
            std::fs::write(&path, bytes)?;
        }
    }
    Ok(())
}
