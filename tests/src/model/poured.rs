//! What do calls make of the model that one makes twice, or that empty one partition into another?
//!
//! A request with a key is remembered for a day and answered the same when it comes again. What is remembered belongs to its partition:
//! it goes with it, under another name too, and nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_engine::{Once, StoreError, WriteError};

use super::world::{Came, World, is_refusal};
use super::{Doc, Spot, State};

/// So long a request is remembered, in milliseconds.
const KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// More than any partition of a life holds, in bytes.
const PAGE_BYTES: usize = 1 << 30;

/// A request that was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// What it asked for.
    pub request: u8,
    /// The document that it inserted.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// The requests that a partition remembers, by their keys.
pub type Memos = BTreeMap<u8, Answered>;

impl State {
    /// Forgets what is a day old.
    pub(super) fn forget_requests(&mut self, now_ms: u64) {
        let State { memos, settled_ms, .. } = self;
        for memos in memos.values_mut() {
            memos.retain(|_, answered| {
                let end_ms = answered.at_ms + KEPT_MS;
                let stays = now_ms < end_ms;
                if !stays {
                    *settled_ms = (*settled_ms).max(end_ms);
                }
                stays
            });
        }
    }

    /// Forgets what was asked of partitions that are gone.
    pub(super) fn forget_the_gone(&mut self) {
        let State { memos, partitions, trash, .. } = self;
        memos.retain(|spot, _| partitions.contains_key(spot) || trash.contains_key(spot));
    }

    /// The source and target of a pour as they are after it, as far as ids aren't others' there.
    fn poured(&self, from: &Spot, to: &Spot, now_ms: u64) -> State {
        let mut after = self.clone();
        for (id, doc) in self.docs(from).into_iter().flatten() {
            if !after.docs_mut(to).contains_key(id) {
                after.docs_mut(to).insert(id.clone(), self.kept_in(to, doc, now_ms));
                after.docs_mut(from).remove(id);
            }
        }
        after
    }
}

impl World {
    /// Inserts a document for a request that is done once, of this key.
    pub fn put_once(&mut self, spot: &Spot, key: u8, request: u8, doc: &Doc) -> Came {
        let id = format!("once {}", self.life().len());
        let known = self.state.memos.get(spot).and_then(|memos| memos.get(&key)).cloned();
        let (spec, now_ms) = (self.state.spec(), self.now_ms());
        let once = Arc::new(Once::new([key; 16], [request; 16]));
        let partition = self.operate().partition_for_write(&spot.scope(), &spot.at(), spec);
        let outcome =
            partition.and_then(|partition| Ok(partition.once(&once).put(doc.new_document(Some(&id)))?));
        let what = format!("put {id} into {spot:?} as request {request} of key {key}");
        let is_other = matches!(&outcome, Err(StoreError::Write(WriteError::AnotherRequest)));
        match (&known, &outcome) {
            (Some(known), Ok(info)) => {
                assert_eq!((known.request, &known.id), (request, &info.id), "{what}: it was answered before");
                assert!(once.was_answered(), "{what}: it was done again");
            }
            (None, Ok(info)) => {
                assert!(info.id == id && !once.was_answered(), "{what}: nobody asked for it before");
            }
            (known, Err(_)) => {
                let is_anothers = known.as_ref().is_some_and(|known| known.request != request);
                assert!(!is_other || is_anothers, "{what}: nobody used the key for another request");
            }
        }
        let mut after = self.state.clone();
        if known.is_none() {
            after.docs_mut(spot).insert(id.clone(), self.state.kept_in(spot, doc, now_ms));
            let answered = Answered { request, id, at_ms: now_ms };
            after.memos.entry(spot.clone()).or_default().insert(key, answered);
        }
        self.settle(&what, outcome.map(drop), after)
    }

    /// Pours a partition into another one, and drops it if nothing stays.
    pub fn pour(&mut self, from: &Spot, to: &Spot) -> Came {
        let is_held = self.state.is_held(from);
        // One that expired there before it was held is not purged for another of its id.
        let may_be_kept = self.state.is_held(to) && self.state.unswept(to) > 0;
        let both = self.state.docs(from).zip(self.state.docs(to)).is_some() && from != to;
        let store = self.operate();
        let partition = |spot: &Spot| -> Result<_, StoreError> {
            Ok(store.partition(&spot.scope(), &spot.at())?.ok_or(WriteError::NotFound)?)
        };
        let poured = partition(from).and_then(|source| {
            let mut pour = source.pour_into(&partition(to)?, PAGE_BYTES)?;
            Ok(pour.next_page()?)
        });
        let what = format!("pour {from:?} into {to:?}");
        match &poured {
            Ok(_) => assert!(both && !is_held, "{what} had to be refused"),
            Err(error) if is_refusal(error) && !matches!(error, StoreError::Write(WriteError::Full)) => {
                assert!(!both || is_held || may_be_kept, "{what} had to be done, not: {error}");
            }
            Err(_) => {}
        }
        let after =
            if both && !is_held { self.state.poured(from, to, self.now_ms()) } else { self.state.clone() };
        if let Ok(Some(poured)) = &poured {
            let left = after.docs(from).map_or(0, |docs| docs.len() as u64);
            assert_eq!((poured.taken, poured.known), (left, 0), "{what}: what stays");
        }
        match self.settle(&what, poured.map(drop), after) {
            Came::Done => self.drop_emptied(from),
            other => other,
        }
    }

    fn drop_emptied(&mut self, spot: &Spot) -> Came {
        let left = self.state.docs(spot).map_or(0, |docs| docs.len());
        let outcome = self.operate().drop_emptied(&spot.scope(), &spot.at());
        match &outcome {
            Ok(receipt) => {
                assert!(left == 0 && receipt.is_some(), "{spot:?} was dropped with what was in it")
            }
            Err(StoreError::Occupied) => assert!(left > 0, "{spot:?} is empty, and was not dropped"),
            Err(_) => {}
        }
        let mut after = self.state.clone();
        if left == 0 {
            after.partitions.remove(spot);
            after.expired.remove(spot);
        }
        let came = self.settle(&format!("drop {spot:?}, emptied"), outcome.map(drop), after);
        if came == Came::Done {
            self.let_go(|other| other == spot);
        }
        came
    }
}
