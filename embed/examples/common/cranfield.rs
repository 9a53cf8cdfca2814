//! Where is the Cranfield collection, and what is in it?
//!
//! 1,400 abstracts on aerodynamics with 225 questions and judgements of which abstracts answer which: small, old, and
//! free to have from many places. It is not part of this repository.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The variable that names the folder with the benchmark data.
pub(crate) const VARIABLE: &str = "STRONGROOM_BENCH_DATA";

/// The folder with the benchmark data; without one, says on stderr how to name it and ends with code 2.
#[allow(clippy::print_stderr)]
pub(crate) fn folder() -> PathBuf {
    if let Some(folder) = env::var_os(VARIABLE) {
        return PathBuf::from(folder);
    }
    eprintln!(
        "{VARIABLE} is not set. Set it to a folder that holds the Cranfield collection:\n\
         cran.all.1400, cran.qry and cranqrel.trec.txt, for example\n\n    \
         {VARIABLE}=/data/cranfield cargo run --release -p strongroom-embed --example cranfield"
    );
    std::process::exit(2)
}

/// The collection.
#[allow(dead_code, reason = "one of the two examples wants the text alone")]
pub(crate) struct Cranfield {
    /// The abstracts' text, `.W` alone: it begins with the title already. Two of them are empty.
    pub(crate) documents: Vec<String>,
    /// The questions with what is relevant to each: places in `documents`, by any grade above 0.
    pub(crate) questions: Vec<(String, HashSet<usize>)>,
}

impl Cranfield {
    /// Reads the three files.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let documents = records(&fs::read_to_string(folder.join("cran.all.1400"))?);
        let mut questions: Vec<_> = records(&fs::read_to_string(folder.join("cran.qry"))?)
            .into_iter()
            .map(|text| (text, HashSet::new()))
            .collect();
        // Judgements name a question by its order in the file, not by the number written there.
        for line in fs::read_to_string(folder.join("cranqrel.trec.txt"))?.lines() {
            let fields: Vec<usize> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
            if let [question, _, document, grade] = fields[..]
                && grade > 0
                && let Some((_, relevant)) = question.checked_sub(1).and_then(|i| questions.get_mut(i))
            {
                relevant.insert(document - 1);
            }
        }
        Ok(Self { documents, questions })
    }
}

/// The `.W` part of each record.
fn records(file: &str) -> Vec<String> {
    let text =
        |record: &str| record.split_once(".W\n").map(|(_, text)| text.trim().to_owned()).unwrap_or_default();
    format!("\n{file}").replace("\r\n", "\n").split("\n.I ").skip(1).map(text).collect()
}
