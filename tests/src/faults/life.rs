//! How does a program live the script, and what does it leave behind for the judge?
//!
//! A journal of lines, written without a sync (the machine lives on): `begin N` before an operation, `ack N HOW
//! TEXT` after it, `opened` each time the store was opened, `shut TEXT` when it could not be, and `done` at the end.
//! Whatever fails, the script goes on; where the engine asks to be opened again, it is. A life ends early once so
//! much is in doubt that the judge couldn't tell any end from another.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::model::world::SMALL;
use strongroom_engine::io::disk;
use strongroom_engine::{OpenError, RootKey, Store, StoreError, StoreOptions, WriteError};

use super::script::{Op, script};

/// How often the store is opened in one life, failures counted.
const OPENED_MAX: usize = 6;

/// Operations that may or may not have happened, at most: each doubles what the judge must hold possible.
const IN_DOUBT_MAX: usize = 9;

/// What the store answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It happened.
    Ok,
    /// The caller's mistake: nothing happened.
    Refused,
    /// The partition was dropped while the handle on it was used.
    Dropped,
    /// No space is left.
    Full,
    /// The medium failed; the engine doesn't ask to be opened again.
    Failed,
    /// The medium failed; the engine asks to be opened again.
    Poisoned,
}

impl Answer {
    const NAMED: [(&'static str, Answer); 6] = [
        ("ok", Answer::Ok),
        ("refused", Answer::Refused),
        ("dropped", Answer::Dropped),
        ("full", Answer::Full),
        ("failed", Answer::Failed),
        ("poisoned", Answer::Poisoned),
    ];

    /// What an outcome is.
    pub fn of(outcome: &Result<(), StoreError>) -> Answer {
        match outcome {
            Ok(()) => Answer::Ok,
            Err(StoreError::NoWorkspace | StoreError::Forbidden) => Answer::Refused,
            Err(StoreError::Write(error)) => match error {
                WriteError::NotFound
                | WriteError::Exists
                | WriteError::AlreadyDeleted
                | WriteError::NotDeleted => Answer::Refused,
                WriteError::Dropped => Answer::Dropped,
                WriteError::Full => Answer::Full,
                WriteError::Poisoned => Answer::Poisoned,
                _ => Answer::Failed,
            },
            Err(_) => Answer::Failed,
        }
    }

    /// Whether such an operation may have happened all the same.
    pub fn leaves_doubt(self, op: &Op) -> bool {
        match self {
            Answer::Ok | Answer::Refused | Answer::Dropped => false,
            Answer::Full => !op.is_document_write(),
            Answer::Failed | Answer::Poisoned => true,
        }
    }

    fn name(self) -> &'static str {
        Answer::NAMED.iter().find(|(_, answer)| *answer == self).map_or("?", |(name, _)| name)
    }
}

/// Small budgets, so that a short life meets flushes, merges and closed partitions.
pub fn options() -> StoreOptions {
    StoreOptions { flush_bytes: 5 << 10, ..SMALL }
}

/// Opens the store in this folder.
pub fn open(folder: &Path) -> Result<Store, OpenError> {
    Store::open(disk::medium(folder)?, RootKey([7; 32]), options())
}

/// Lives the script in a folder, and keeps a journal.
pub fn live(folder: &Path, journal: &Path) -> std::io::Result<()> {
    let mut journal = File::create(journal)?;
    let mut left = OPENED_MAX;
    let mut store = insist(folder, &mut journal, &mut left)?;
    let mut in_doubt = 0;
    for (number, op) in script().iter().enumerate() {
        let Some(open) = &store else { return Ok(()) };
        writeln!(journal, "begin {number}")?;
        let outcome = op.run(open);
        let answer = Answer::of(&outcome);
        let why = outcome.err().map(|error| error.to_string()).unwrap_or_default();
        writeln!(journal, "ack {number} {} {why}", answer.name())?;
        in_doubt += usize::from(answer.leaves_doubt(op));
        if in_doubt > IN_DOUBT_MAX {
            return Ok(());
        }
        if answer == Answer::Poisoned {
            drop(store);
            store = insist(folder, &mut journal, &mut left)?;
        }
    }
    drop(store);
    writeln!(journal, "done")
}

/// Opens the store, at the second or third try if need be.
fn insist(folder: &Path, journal: &mut File, left: &mut usize) -> std::io::Result<Option<Store>> {
    for _ in 0..3.min(*left) {
        *left -= 1;
        match open(folder) {
            Ok(store) => {
                writeln!(journal, "opened")?;
                return Ok(Some(store));
            }
            Err(error) => writeln!(journal, "shut {error}")?,
        }
    }
    Ok(None)
}

/// One line of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// An operation begins.
    Begin(usize),
    /// It was answered.
    Ack(usize, Answer),
    /// The store was opened.
    Opened,
    /// It could not be.
    Shut,
    /// The script was lived to its end.
    Done,
}

/// Reads a journal. Its last line may be cut short: then it was never written.
pub fn read(journal: &str) -> Vec<Line> {
    journal.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(line).collect()
}

fn line(text: &str) -> Line {
    let mut words = text.trim_end().splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let number = |text: &str| text.parse().expect("the number of an operation");
    match word() {
        "begin" => Line::Begin(number(word())),
        "ack" => {
            let (op, how) = (number(word()), word());
            let answer = Answer::NAMED.iter().find(|(name, _)| *name == how);
            Line::Ack(op, answer.expect("a known answer").1)
        }
        "opened" => Line::Opened,
        "shut" => Line::Shut,
        "done" => Line::Done,
        other => panic!("a journal does not say {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Line, read};

    #[test]
    fn a_journal_reads_as_it_was_written() {
        let text = "opened\nbegin 3\nack 3 full no space\nbegin 4\nack 4 ok \nshut x y z w\ndone\nbegi";
        let lines = [
            Line::Opened,
            Line::Begin(3),
            Line::Ack(3, Answer::Full),
            Line::Begin(4),
            Line::Ack(4, Answer::Ok),
            Line::Shut,
            Line::Done,
        ];
        assert_eq!(read(text), lines);
    }
}
