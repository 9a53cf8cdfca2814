//! What do calls on a partition's name and terms make of the model?
//!
//! A partition that is thrown away leaves the partitions that are there for the trash, with all its documents, until it is brought
//! back or its time is over. What is held stays where it is.

use std::sync::Arc;

use strongroom_engine::{Amendment, PartitionName, StoreError};

use super::world::{Came, World};
use super::{Doc, Docs, Spot, State};

/// A partition in the trash.
#[derive(Debug, Clone, PartialEq)]
pub struct Trashed {
    /// Its documents.
    pub docs: Arc<Docs>,
    /// When it is gone, in milliseconds since 1970.
    pub shred_ms: u64,
}

impl State {
    /// Whether nothing of a partition may go.
    pub fn is_held(&self, spot: &Spot) -> bool {
        self.held.contains_key(spot)
    }

    /// Takes away what lies in the trash for long enough.
    pub(super) fn empty_trash(&mut self, now_ms: u64) {
        let State { trash, held, expired, settled_ms, over, .. } = self;
        trash.retain(|spot, trashed| {
            let stays = trashed.shred_ms > now_ms || held.contains_key(spot);
            if !stays {
                *settled_ms = (*settled_ms).max(trashed.shred_ms);
                expired.remove(spot);
                over.insert(spot.clone());
            }
            stays
        });
    }

    /// A document as it is in a partition into which it is written now: it ends under no hold, as the clock was set since that began.
    pub(super) fn kept_in(&self, spot: &Spot, doc: &Doc, now_ms: u64) -> Arc<Doc> {
        let mut doc = doc.clone();
        if let (Some(end_ms), Some(held_ms)) = (doc.expires_ms, self.held.get(spot))
            && now_ms < end_ms
            && end_ms <= *held_ms
        {
            doc.expires_ms = Some(held_ms + 1);
        }
        doc.into()
    }

    /// Whether there is a partition of this name, in the trash or not.
    fn has(&self, spot: &Spot) -> bool {
        self.partitions.contains_key(spot) || self.trash.contains_key(spot)
    }
}

impl World {
    /// Holds a partition, or lifts that.
    pub fn keep(&mut self, spot: &Spot, held: bool) -> Came {
        let amendment = Amendment { held: Some(held), ..Amendment::default() };
        let outcome =
            self.operate().amend(&spot.scope(), &spot.at(), &amendment, |_| Ok::<(), StoreError>(()));
        let mut after = self.state.clone();
        if held && after.has(spot) {
            after.held.entry(spot.clone()).or_insert(self.now_ms());
        } else {
            after.held.remove(spot);
        }
        self.insist_on_it(&outcome, spot);
        let came = self.settle(&format!("hold {spot:?}: {held}"), outcome.map(drop), after);
        // What a hold kept from expiring does so when it is lifted.
        self.pass();
        came
    }

    /// Throws a partition away.
    pub fn throw_away(&mut self, spot: &Spot, grace_ms: u64) -> Came {
        let may = !self.state.is_held(spot) && !self.state.trash.contains_key(spot);
        let shred_ms = self.now_ms() + grace_ms;
        let outcome = self.operate().trash_partition(&spot.scope(), &spot.at(), grace_ms);
        let mut after = self.state.clone();
        if let (true, Some(docs)) = (may, after.partitions.remove(spot)) {
            after.trash.insert(spot.clone(), Trashed { docs, shred_ms });
        }
        if may {
            self.insist_on_it(&outcome, spot);
        } else {
            assert!(outcome.is_err(), "{spot:?} is held, or in the trash, and was thrown away");
            after = self.state.clone();
        }
        let came = self.settle(&format!("throw {spot:?} away"), outcome.map(drop), after);
        self.forget_handles(spot);
        self.pass();
        came
    }

    /// Brings a partition back.
    pub fn bring_back(&mut self, spot: &Spot) -> Came {
        let outcome = self.operate().restore_partition(&spot.scope(), &spot.at());
        let mut after = self.state.clone();
        match after.trash.remove(spot) {
            Some(trashed) => drop(after.partitions.insert(spot.clone(), trashed.docs)),
            None => assert!(!matches!(outcome, Ok(Some(_))), "{spot:?} was in no trash"),
        }
        let came = self.settle(&format!("bring {spot:?} back"), outcome.map(drop), after);
        self.pass();
        came
    }

    /// Gives a partition another name.
    pub fn rename(&mut self, spot: &Spot, to: &Spot) -> Came {
        let Some(name) = to.name.as_deref().map(|name| PartitionName::new(name).expect("a good name")) else {
            return Came::Refused;
        };
        let amendment = Amendment { name: Some(name), ..Amendment::default() };
        let scope = super::whole(spot.workspace);
        let outcome = self.operate().amend(&scope, &spot.at(), &amendment, |_| Ok::<(), StoreError>(()));
        let mut after = self.state.clone();
        let may = spot == to || !self.state.has(to);
        if self.state.has(spot) && may && spot != to {
            let State { partitions, trash, expired, held, over, memos, .. } = &mut after;
            memos.remove(spot).map(|memos_of_it| memos.insert(to.clone(), memos_of_it));
            partitions.remove(spot).map(|docs| partitions.insert(to.clone(), docs));
            trash.remove(spot).map(|trashed| trash.insert(to.clone(), trashed));
            expired.remove(to);
            expired.remove(spot).map(|count| expired.insert(to.clone(), count));
            over.remove(to);
            held.remove(spot).map(|held_ms| held.insert(to.clone(), held_ms));
        }
        if !may && self.state.has(spot) {
            assert!(outcome.is_err(), "{spot:?} took the name of {to:?}");
            after = self.state.clone();
        }
        let came = self.settle(&format!("call {spot:?} {:?}", to.name), outcome.map(drop), after);
        self.forget_handles(spot);
        self.forget_handles(to);
        came
    }

    /// An amendment finds a partition exactly when there is one.
    fn insist_on_it<T>(&self, outcome: &Result<Option<T>, StoreError>, spot: &Spot) {
        if let Ok(found) = outcome {
            assert_eq!(found.is_some(), self.state.has(spot), "whether {spot:?} is there");
        }
    }

    /// Handles on what goes elsewhere tell of neither place any more.
    fn forget_handles(&mut self, spot: &Spot) {
        self.held.retain(|(other, _)| other != spot);
    }
}
