//! Does any story that a journal allows end with the store that is there?
//!
//! A story is what the store holds now, and which operations may still take effect when it is opened again. Each
//! line of the journal keeps the stories that it fits, and splits those that it leaves open:
//!
//! - `ok`: the operation happened.
//! - `refused`: nothing happened, and the store had to refuse.
//! - `full`, to a write of documents: nothing happened.
//! - any other failure, and a journal that ends in the midst: it happened wholly, or not at all, or it will when the
//!   store is opened again. What is acknowledged afterwards can't be undone by it: an end that was not acknowledged
//!   must not take later writes along.

use std::path::Path;

use super::life::{Answer, Line, open, read};
use super::script::{Op, script};
use crate::chance::Chance;
use crate::model::State;
use crate::model::check::compare;

/// The numbers that the script's workspaces have, and one that none has.
const WORKSPACES: std::ops::Range<u8> = 1..6;

/// More open stories than this are a mistake of the script's or the judge's.
const STORIES_MAX: usize = 4096;

/// What may have happened.
#[derive(Debug, Clone, PartialEq)]
struct Story {
    now: State,
    /// Operations, by their number, that may take effect at the next opening.
    later: Vec<usize>,
}

/// What the store may hold after this journal; why not even one answer fits, otherwise.
fn possible(script: &[Op], journal: &[Line]) -> Result<Vec<State>, String> {
    let mut stories = vec![Story { now: State::default(), later: Vec::new() }];
    for (at, line) in journal.iter().enumerate() {
        let before = stories.len();
        stories = match *line {
            Line::Begin(op) if at + 1 == journal.len() => in_doubt(script, op, stories),
            Line::Begin(_) | Line::Shut | Line::Done => stories,
            Line::Opened => reopened(script, stories),
            Line::Ack(op, answer) => answered(script, op, answer, stories),
        };
        if stories.is_empty() {
            let Line::Ack(op, answer) = *line else { unreachable!("only answers end a story") };
            return Err(format!(
                "operation {op} ({}) was answered {answer:?}, in none of {before} stories could it be",
                script[op]
            ));
        }
        assert!(stories.len() <= STORIES_MAX, "{} stories", stories.len());
    }
    Ok(reopened(script, stories).into_iter().map(|story| story.now).collect())
}

fn answered(script: &[Op], number: usize, answer: Answer, stories: Vec<Story>) -> Vec<Story> {
    let op = &script[number];
    let kept = stories.into_iter();
    match answer {
        Answer::Ok => {
            let happened = kept.filter_map(|mut story| {
                story.later.retain(|later| !script[*later].touches(op));
                op.apply(&mut story.now).then_some(story)
            });
            distinct(happened)
        }
        Answer::Refused => kept.filter(|story| !op.apply(&mut story.now.clone())).collect(),
        Answer::Dropped => {
            kept.filter(|story| story.later.iter().any(|later| script[*later].ends(op))).collect()
        }
        Answer::Full | Answer::Failed | Answer::Poisoned if answer.leaves_doubt(op) => {
            in_doubt(script, number, kept.collect())
        }
        Answer::Full | Answer::Failed | Answer::Poisoned => kept.collect(),
    }
}

fn in_doubt(script: &[Op], number: usize, stories: Vec<Story>) -> Vec<Story> {
    let split = stories.into_iter().flat_map(|story| {
        let (mut did, mut will) = (story.clone(), story.clone());
        let changes = script[number].apply(&mut did.now) && did.now != story.now;
        will.later.push(number);
        // What may take effect later may also never: that it did nothing is no story of its own.
        if changes { vec![did, will] } else { vec![story] }
    });
    distinct(split)
}

/// Each of the operations that were left open took effect by now, or never will.
fn reopened(script: &[Op], stories: Vec<Story>) -> Vec<Story> {
    let split = stories.into_iter().flat_map(|story| {
        let mut ends = vec![story.now];
        for later in story.later {
            for mut state in ends.clone() {
                if script[later].apply(&mut state) && !ends.contains(&state) {
                    ends.push(state);
                }
            }
        }
        ends.into_iter().map(|now| Story { now, later: Vec::new() })
    });
    distinct(split)
}

fn distinct(stories: impl Iterator<Item = Story>) -> Vec<Story> {
    let mut kept: Vec<Story> = Vec::new();
    for story in stories {
        if !kept.contains(&story) {
            kept.push(story);
        }
    }
    kept
}

/// Opens the store that a life left behind and finds which of the states it holds that its journal allows; then
/// flushes it, and it must hold that still. The error says what a user would lose.
pub fn judge(folder: &Path, journal: &Path) -> Result<(), String> {
    let journal = std::fs::read_to_string(journal).map_err(|error| format!("no journal: {error}"))?;
    let possible = possible(&script(), &read(&journal))?;
    let chance = &mut Chance::new(journal.len() as u64);
    let store = open(folder).map_err(|error| format!("the store does not open: {error}"))?;
    let mut found = Vec::new();
    let holds = possible.iter().find(|state| {
        let differences = compare(state, &store, chance, WORKSPACES);
        let same = differences.is_same();
        found.push(differences.to_string());
        same
    });
    let Some(holds) = holds else {
        found.sort_by_key(String::len);
        return Err(format!(
            "the store holds none of {} possible states; the nearest:\n{}",
            found.len(),
            found[0]
        ));
    };
    store.flush().map_err(|error| format!("the recovered store does not flush: {error}"))?;
    drop(store);
    let store = open(folder).map_err(|error| format!("the store opened once and does not again: {error}"))?;
    let differences = compare(holds, &store, chance, WORKSPACES);
    if differences.is_same() { Ok(()) } else { Err(format!("flushed and opened again:\n{differences}")) }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Line, possible};
    use crate::faults::script::Op;
    use crate::model::{Doc, Spot, State};

    fn spot() -> Spot {
        Spot { workspace: 1, name: None }
    }

    fn put(id: &str) -> Op {
        let doc = Doc {
            version: 1,
            content: id.to_owned(),
            vectors: vec![vec![1.0]],
            live: true,
            ..Doc::default()
        };
        Op::Put(spot(), vec![(id.to_owned(), doc)])
    }

    fn told(script: &[Op], answers: &[Answer]) -> Vec<Line> {
        let lines = (0..script.len()).zip(answers).flat_map(|(n, a)| [Line::Begin(n), Line::Ack(n, *a)]);
        [Line::Opened].into_iter().chain(lines).collect()
    }

    fn ids(states: &[State]) -> Vec<String> {
        let mut ids: Vec<String> = states
            .iter()
            .map(|s| s.partitions.get(&spot()).map(|d| d.keys().cloned().collect()).unwrap_or_default())
            .collect();
        ids.sort();
        ids
    }

    // A judge that excuses a lost or resurrected document would pass any engine.
    #[test]
    fn only_what_was_not_acknowledged_is_in_doubt() {
        use Answer::{Failed, Full, Ok, Refused};
        let script = [Op::CreateWorkspace(1), put("a"), put("b")];
        let after = |answers: &[Answer]| possible(&script, &told(&script, answers)).map(|s| ids(&s));
        assert_eq!(after(&[Ok, Ok, Ok]), Result::Ok(vec!["ab".to_owned()]));
        assert_eq!(after(&[Ok, Ok, Full]), Result::Ok(vec!["a".to_owned()]));
        assert_eq!(after(&[Ok, Ok, Failed]), Result::Ok(vec!["a".to_owned(), "ab".to_owned()]));
        assert!(after(&[Ok, Ok, Refused]).is_err(), "a refusal without a reason");
        assert!(after(&[Refused, Ok, Ok]).is_err(), "a workspace was refused");
    }

    // An operation that was cut short by a kill may have happened; the one before it must have.
    #[test]
    fn a_journal_may_end_in_the_midst() {
        let script = [Op::CreateWorkspace(1), put("a"), put("b")];
        let mut journal = told(&script, &[Answer::Ok, Answer::Ok]);
        journal.push(Line::Begin(2));
        assert_eq!(ids(&possible(&script, &journal).expect("a story that fits")), ["a", "ab"]);
    }

    // A drop that failed must not take along what was written and acknowledged after it.
    #[test]
    fn a_late_drop_takes_no_later_write() {
        use Answer::{Failed, Ok};
        let end = Op::DropPartition(spot());
        let script = [Op::CreateWorkspace(1), put("a"), end.clone(), put("b")];
        let open = possible(&script, &told(&script, &[Ok, Ok, Failed, Ok])).expect("a story that fits");
        assert_eq!(ids(&open), ["ab", "b"]);
        let open = possible(&script[..3], &told(&script[..3], &[Ok, Ok, Failed])).expect("a story that fits");
        assert_eq!(ids(&open), ["", "a"]);
        let open =
            possible(&script, &told(&script, &[Ok, Ok, Failed, Answer::Dropped])).expect("a story that fits");
        assert_eq!(ids(&open), ["", "a"]);
    }
}
