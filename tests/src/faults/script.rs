//! What does the store live through?
//!
//! 200 operations over three workspaces and several partitions, the same in every run. Each [`Op`] can be done to a
//! store and to the model; another operation of the engine joins by one more variant.

use std::sync::Arc;

use strongroom_engine::{OperatorScope, Store, StoreError, WriteError};

use crate::chance::Chance;
use crate::model::{DIMENSION, Doc, Spot, State, workspace_id};

/// Operations of the script.
pub const OPS: usize = 200;

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Makes a workspace of this number.
    CreateWorkspace(u8),
    /// Drops it and all that is in it.
    DropWorkspace(u8),
    /// Inserts documents, which become durable together.
    Put(Spot, Vec<(String, Doc)>),
    /// Replaces a document.
    Update(Spot, String, Doc),
    /// Deletes a document softly.
    Delete(Spot, String),
    /// Brings a deleted document back.
    Restore(Spot, String),
    /// Erases a document, live or deleted, under a fresh key for the others.
    Purge(Spot, String),
    /// Drops a partition.
    DropPartition(Spot),
    /// Flushes everything that waits in memory.
    Flush,
    /// Lets the host's jobs run.
    Maintain,
}

impl Op {
    /// Does it to a store.
    pub fn run(&self, store: &Store) -> Result<(), StoreError> {
        match self {
            Op::CreateWorkspace(number) => {
                store.create_workspace(&OperatorScope::grant(), workspace_id(*number))
            }
            Op::DropWorkspace(number) => {
                store.drop_workspace(&OperatorScope::grant(), workspace_id(*number)).map(drop)
            }
            Op::Put(spot, docs) => {
                let partition =
                    store.partition_for_write(&spot.scope(), &spot.at(), State::default().spec())?;
                let mut new: Vec<_> = docs.iter().map(|(id, doc)| doc.new_document(Some(id))).collect();
                match new.pop() {
                    Some(only) if new.is_empty() => partition.put(only)?,
                    Some(last) => {
                        new.push(last);
                        return Ok(partition.put_many(new).map(drop)?);
                    }
                    None => return Ok(()),
                };
                Ok(())
            }
            Op::Update(spot, id, doc) => {
                let partition = store.partition(&spot.scope(), &spot.at())?.ok_or(WriteError::NotFound)?;
                Ok(partition.update(id, doc.new_document(None)).map(drop)?)
            }
            Op::Delete(spot, id) => {
                let partition = store.partition(&spot.scope(), &spot.at())?.ok_or(WriteError::NotFound)?;
                Ok(partition.delete(id)?)
            }
            Op::Restore(spot, id) => {
                let partition = store.partition(&spot.scope(), &spot.at())?.ok_or(WriteError::NotFound)?;
                Ok(partition.restore(id)?)
            }
            Op::Purge(spot, id) => store.purge(&spot.scope(), &spot.at(), &[id]).map(drop),
            Op::DropPartition(spot) => store.drop_partition(&spot.scope(), &spot.at()).map(drop),
            Op::Flush => store.flush().map(drop),
            Op::Maintain => store.run_maintenance().map(drop),
        }
    }

    /// Does it to the model; `false`, and nothing changes, when the store must refuse it.
    pub fn apply(&self, state: &mut State) -> bool {
        let reachable = self.workspace().is_none_or(|number| state.workspaces.contains(&number));
        let live = |state: &State, spot: &Spot, id: &String| {
            state.partitions.get(spot).and_then(|docs| docs.get(id)).map(|doc| doc.live)
        };
        match self {
            Op::CreateWorkspace(number) => {
                state.workspaces.insert(*number);
            }
            Op::DropWorkspace(number) => {
                state.workspaces.remove(number);
                state.partitions.retain(|spot, _| spot.workspace != *number);
            }
            _ if !reachable => return false,
            Op::Put(spot, docs) => {
                let there = state.partitions.get(spot);
                if there.is_some_and(|there| docs.iter().any(|(id, _)| there.contains_key(id))) {
                    return false;
                }
                state.docs_mut(spot).extend(docs.iter().map(|(id, doc)| (id.clone(), doc.clone().into())));
            }
            Op::Update(spot, id, doc) => {
                let Some(version) = state.doc(spot, id).filter(|known| known.live).map(|known| known.version)
                else {
                    return false;
                };
                let doc = Doc { version: version + 1, ..doc.clone() };
                state.docs_mut(spot).insert(id.clone(), doc.into());
            }
            Op::Delete(spot, id) | Op::Restore(spot, id) => {
                let is_live = live(state, spot, id);
                let to_live = matches!(self, Op::Restore(..));
                if is_live != Some(!to_live) {
                    return false;
                }
                if let Some(doc) = state.docs_mut(spot).get_mut(id) {
                    Arc::make_mut(doc).live = to_live;
                }
            }
            Op::Purge(spot, id) => {
                if live(state, spot, id).is_none() {
                    return false;
                }
                state.docs_mut(spot).remove(id);
            }
            Op::DropPartition(spot) => {
                state.partitions.remove(spot);
            }
            Op::Flush | Op::Maintain => {}
        }
        true
    }

    /// Whether it only adds to a partition or changes it: such a write, refused for a full disk, did nothing.
    pub fn is_document_write(&self) -> bool {
        matches!(self, Op::Put(..) | Op::Update(..) | Op::Delete(..) | Op::Restore(..))
    }

    /// Whether it ends what another operation works on.
    pub fn ends(&self, other: &Op) -> bool {
        matches!(self, Op::DropPartition(_) | Op::DropWorkspace(_)) && self.touches(other)
    }

    /// Whether the two work on the same thing.
    pub fn touches(&self, other: &Op) -> bool {
        let whole = |a: Option<&Spot>, b: Option<&Spot>| a.is_none() || b.is_none() || a == b;
        self.workspace().is_some()
            && self.workspace() == other.workspace()
            && whole(self.spot(), other.spot())
    }

    fn spot(&self) -> Option<&Spot> {
        match self {
            Op::Put(spot, _)
            | Op::Update(spot, ..)
            | Op::Delete(spot, _)
            | Op::Restore(spot, _)
            | Op::Purge(spot, _)
            | Op::DropPartition(spot) => Some(spot),
            Op::CreateWorkspace(_) | Op::DropWorkspace(_) | Op::Flush | Op::Maintain => None,
        }
    }

    fn workspace(&self) -> Option<u8> {
        match self {
            Op::CreateWorkspace(number) | Op::DropWorkspace(number) => Some(*number),
            op => op.spot().map(|spot| spot.workspace),
        }
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = |spot: &Spot| format!("{:?} of workspace {}", spot.name, spot.workspace);
        match self {
            Op::CreateWorkspace(number) => write!(f, "create workspace {number}"),
            Op::DropWorkspace(number) => write!(f, "drop workspace {number}"),
            Op::Put(spot, docs) => {
                let ids: Vec<&str> = docs.iter().map(|(id, _)| id.as_str()).collect();
                write!(f, "put {ids:?} into {}", place(spot))
            }
            Op::Update(spot, id, _) => write!(f, "update {id} in {}", place(spot)),
            Op::Delete(spot, id) => write!(f, "delete {id} in {}", place(spot)),
            Op::Restore(spot, id) => write!(f, "restore {id} in {}", place(spot)),
            Op::Purge(spot, id) => write!(f, "purge {id} from {}", place(spot)),
            Op::DropPartition(spot) => write!(f, "drop {}", place(spot)),
            Op::Flush => f.write_str("flush"),
            Op::Maintain => f.write_str("maintenance"),
        }
    }
}

/// The script. Every operation of it is taken by a store whose disk never fails.
pub fn script() -> Vec<Op> {
    let mut writer = Writer { chance: Chance::new(11), state: State::default(), ops: Vec::new() };
    writer.push(Op::CreateWorkspace(1));
    writer.push(Op::CreateWorkspace(2));
    while writer.ops.len() < OPS {
        match writer.ops.len() {
            // A name is dropped while it waits in memory, and used again; then once its documents lie in segments.
            20 | 90 => writer.drop_and_use_again("acme"),
            60 => writer.drop_and_use_again("globex"),
            130 => {
                writer.push(Op::DropWorkspace(2));
                writer.push(Op::CreateWorkspace(3));
                writer.put(3, None, 2);
            }
            170 => writer.push(Op::DropPartition(spot(1, None))),
            // In memory, in segments, and in a partition that was dropped before.
            40 | 62 | 92 | 150 | 180 => writer.purge("acme"),
            55 | 88 | 128 | 168 | 190 => writer.push(Op::Flush),
            at if at % 6 == 5 => writer.push(Op::Maintain),
            _ => writer.anything(),
        }
    }
    writer.ops
}

fn spot(workspace: u8, name: Option<&str>) -> Spot {
    Spot { workspace, name: name.map(str::to_owned) }
}

/// Writes the script, and follows it on the model so that what it says can be done.
struct Writer {
    chance: Chance,
    state: State,
    ops: Vec<Op>,
}

impl Writer {
    fn push(&mut self, op: Op) {
        assert!(op.apply(&mut self.state), "the script says what can't be done: {op}");
        self.ops.push(op);
    }

    fn drop_and_use_again(&mut self, name: &str) {
        self.push(Op::DropPartition(spot(1, Some(name))));
        self.put(1, Some(name), 1);
    }

    fn purge(&mut self, name: &str) {
        let place = spot(1, Some(name));
        let mut known = self.state.docs(&place).into_iter().flatten().map(|(id, _)| id.clone());
        let id = known.next_back().expect("documents were put there");
        self.push(Op::Purge(place, id));
    }

    fn put(&mut self, workspace: u8, name: Option<&str>, count: usize) {
        let number = self.ops.len();
        let docs = (0..count).map(|n| (format!("d{number}.{n}"), doc(&mut self.chance))).collect();
        self.push(Op::Put(spot(workspace, name), docs));
    }

    fn anything(&mut self) {
        let places = [(1, None), (1, Some("acme")), (1, Some("globex")), (2, Some("acme")), (3, None)];
        let (workspace, name) = *self.chance.pick(&places);
        let workspace = if self.state.workspaces.contains(&workspace) { workspace } else { 1 };
        let place = spot(workspace, name);
        let of = |live: bool| -> Vec<String> {
            let docs = self.state.docs(&place).into_iter().flatten();
            docs.filter(|(_, doc)| doc.live == live).map(|(id, _)| id.clone()).collect()
        };
        let (live, deleted) = (of(true), of(false));
        match self.chance.below(100) {
            0..16 if !live.is_empty() => {
                let id = self.chance.pick(&live).clone();
                let doc = doc(&mut self.chance);
                self.push(Op::Update(place, id, doc));
            }
            16..34 if !live.is_empty() => {
                let id = self.chance.pick(&live).clone();
                self.push(Op::Delete(place, id));
            }
            34..46 if !deleted.is_empty() => {
                let id = self.chance.pick(&deleted).clone();
                self.push(Op::Restore(place, id));
            }
            46..58 => self.put(workspace, name, 3),
            _ => self.put(workspace, name, 1),
        }
    }
}

fn doc(chance: &mut Chance) -> Doc {
    let words =
        (0..4 + chance.below(30)).map(|_| *chance.pick(&["ledger ", "note ", "due ", "whale ", "sea "]));
    let content: String = words.collect();
    let tags =
        ["red", "green", "blue"].into_iter().filter(|_| chance.percent(35)).map(str::to_owned).collect();
    let passages = 1 + chance.below(2);
    Doc {
        version: 1,
        content: format!("{} {content}and so on.", chance.bits()),
        tags,
        entity: chance.percent(20).then(|| "ada".to_owned()),
        vectors: (0..passages).map(|_| (0..DIMENSION).map(|_| chance.unit()).collect()).collect(),
        live: true,
        ..Doc::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{OPS, Op, script};
    use crate::model::State;

    // A script that leaves something out would let its failures pass unseen.
    #[test]
    fn everything_happens_in_the_script() {
        let script = script();
        assert!(script.len() >= OPS, "{} operations", script.len());
        let count = |what: fn(&Op) -> bool| script.iter().filter(|op| what(op)).count();
        assert!(count(|op| matches!(op, Op::Put(_, docs) if docs.len() == 1)) > 30);
        assert!(count(|op| matches!(op, Op::Put(_, docs) if docs.len() > 1)) > 5);
        assert!(count(|op| matches!(op, Op::Update(..))) > 5);
        assert!(count(|op| matches!(op, Op::Delete(..))) > 5);
        assert!(count(|op| matches!(op, Op::Restore(..))) > 2);
        assert!(count(|op| matches!(op, Op::Purge(..))) > 3);
        assert!(count(|op| matches!(op, Op::DropPartition(_))) > 3);
        assert!(count(|op| matches!(op, Op::DropWorkspace(_))) > 0);
        assert!(count(|op| matches!(op, Op::Flush)) > 3);
        assert!(count(|op| matches!(op, Op::Maintain)) > 10);
        assert!(super::script() == script, "the script is the same each time");
    }

    // The judge believes the model: what it takes for possible must be.
    #[test]
    fn the_model_refuses_what_the_store_must() {
        let script = script();
        let mut state = State::default();
        for op in &script {
            let before = state.clone();
            assert!(op.apply(&mut state), "{op}");
            let mut again = state.clone();
            if matches!(op, Op::Put(..) | Op::Delete(..) | Op::Restore(..) | Op::Purge(..)) {
                assert!(!op.apply(&mut again) && again == state, "{op}, twice");
                assert!(before != state, "{op} changed nothing");
            }
        }
    }
}
