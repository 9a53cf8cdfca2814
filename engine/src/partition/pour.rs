//! How do all documents of a partition come into another one?
//!
//! Page by page. A page is one batch of the log: its documents are put there as they are (ids, versions, times, vectors, live or
//! soft-deleted) and purged here, each half sealed under its own partition's key. What is emptied so is dropped in the end
//! ([`Store::drop_emptied`](crate::Store::drop_emptied)), unless somebody wrote into it meanwhile: then there is another page.
//!
//! Invariants:
//! 1. After a crash each document is in exactly one of the two, and whoever begins anew goes on where it broke off.
//! 2. No document there is replaced. One whose id is taken there by another stays here; one that is there already, the same in
//!    all that there is of it, is purged here.
//! 3. Nobody keeps a document for longer than was promised: it goes at the end of the partition that it comes from, too.
//!
//! Concurrency: writes to both partitions go on between pages; see `moving` for the order of locks.

use super::moving::{both, submit};
use super::standing::{Act, Standing};
use super::view::View;
use super::{Partition, ReadError, Whole, WriteError};
use crate::filter::{ActingAs, Eyes};
use std::sync::Arc;
use strongroom_format::bundle::PAGE_DOCUMENTS_MAX;
use strongroom_format::record::{Change, ChangeKind};

/// Readers keep no document from this: what goes goes whole.
static EVERYTHING: ActingAs = ActingAs::Administrator;

/// Documents of one partition on their way into another.
pub struct Pour {
    from: Partition,
    to: Partition,
    /// About so much a page takes, in bytes.
    page_bytes: usize,
    ids: Vec<String>,
    /// How many of the ids were read.
    read: usize,
}

/// What was poured, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Poured {
    /// Documents that went over, soft-deleted ones among them.
    pub documents: u64,
    /// How many of these were soft-deleted.
    pub deleted: u64,
    /// Their contents' bytes.
    pub bytes: u64,
    /// Documents that were there already, the same.
    pub known: u64,
    /// Documents that stay, because their ids are others' there.
    pub taken: u64,
}

impl Poured {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            documents: self.documents + other.documents,
            deleted: self.deleted + other.deleted,
            bytes: self.bytes + other.bytes,
            known: self.known + other.known,
            taken: self.taken + other.taken,
        }
    }

    fn count(&mut self, whole: &Whole, there: There) {
        match there {
            There::Free | There::Expired => {
                self.documents += 1;
                self.deleted += u64::from(whole.deleted_ms.is_some());
                self.bytes += whole.document.content.len() as u64;
            }
            There::Same => self.known += 1,
            There::Another => self.taken += 1,
        }
    }
}

/// What stands under its id there.
#[derive(Clone, Copy)]
enum There {
    Free,
    /// Something that is gone and still to be purged.
    Expired,
    Same,
    Another,
}

impl Partition {
    /// Begins to pour all documents that are here now into another partition of the same collection, whoever may read them, in
    /// pages of about so many bytes, or of one document.
    pub fn pour_into(&self, to: &Self, page_bytes: usize) -> Result<Pour, WriteError> {
        if Arc::ptr_eq(&self.core, &to.core) {
            return Err(WriteError::Invalid {
                what: "the partition to pour into",
                why: "is the one to pour from",
            });
        }
        if self.core.spec != to.core.spec {
            return Err(WriteError::Invalid { what: "the partition to pour into", why: "has other vectors" });
        }
        self.is_served()?;
        to.is_served()?;
        if self.core.is_held() {
            return Err(WriteError::Held);
        }
        let ids = self.core.attempt(|| {
            self.look(|view| {
                let mut ids: Vec<String> = view.directory().map(|(id, _)| id.to_owned()).collect();
                ids.sort_unstable();
                ids
            })
        })?;
        Ok(Pour { from: self.clone(), to: to.clone(), page_bytes, ids, read: 0 })
    }

    /// This document with all that there is of it, if its time hasn't passed.
    fn whole(&self, view: &View, id: &str) -> Result<Option<Whole>, ReadError> {
        let Some(location) = view.find(id) else { return Ok(None) };
        let eyes = Eyes { acting: &EVERYTHING, now_ms: self.core.sight_ms() };
        if eyes.find_expired(view.expires_ms(location)) {
            return Ok(None);
        }
        Ok(Some(Whole { document: view.whole(location)?, deleted_ms: location.deleted_ms }))
    }

    /// What stands under this document's id here.
    fn beside(&self, view: &View, whole: &Whole) -> Result<There, ReadError> {
        let id = &whole.document.id;
        if view.find(id).is_none() {
            return Ok(There::Free);
        }
        Ok(match self.whole(view, id)? {
            None => There::Expired,
            Some(other) => {
                let is_same = other.document == whole.document
                    && other.deleted_ms.is_some() == whole.deleted_ms.is_some();
                if is_same { There::Same } else { There::Another }
            }
        })
    }
}

impl Pour {
    /// How many documents there were to begin with.
    pub fn documents(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Says what the next page would come to, and changes nothing; `None` behind the last one. Looks of both partitions may lie
    /// before and behind somebody's write.
    pub fn look(&mut self) -> Result<Option<Poured>, ReadError> {
        let page_bytes = self.page_bytes;
        self.step(|from, to, ids| {
            let (mut poured, mut bytes, mut read) = (Poured::default(), 0, 0);
            for id in ids.iter().take(PAGE_DOCUMENTS_MAX) {
                if bytes >= page_bytes {
                    break;
                }
                read += 1;
                let whole = from.core.attempt(|| from.look(|view| from.whole(view, id))?)?;
                if let Some(whole) = whole {
                    bytes += whole.bytes();
                    let there = to.core.attempt(|| to.look(|view| to.beside(view, &whole))?)?;
                    poured.count(&whole, there);
                }
            }
            Ok((poured, read))
        })
    }

    /// Begins anew with its first page.
    pub fn rewind(&mut self) {
        self.read = 0;
    }

    /// Pours the next page; `None` behind the last one.
    pub fn next_page(&mut self) -> Result<Option<Poured>, WriteError> {
        let page_bytes = self.page_bytes;
        self.step(|from, to, ids| from.pour_page(to, &ids[..ids.len().min(PAGE_DOCUMENTS_MAX)], page_bytes))
    }

    fn step<E>(
        &mut self,
        page: impl FnOnce(&Partition, &Partition, &[String]) -> Result<(Poured, usize), E>,
    ) -> Result<Option<Poured>, E> {
        if self.read >= self.ids.len() {
            return Ok(None);
        }
        let (poured, read) = page(&self.from, &self.to, &self.ids[self.read..])?;
        self.read += read;
        Ok(Some(poured))
    }
}

impl Partition {
    /// Pours as many of these documents as make a page, one at least, and answers how many ids that were.
    fn pour_page(&self, to: &Self, ids: &[String], page_bytes: usize) -> Result<(Poured, usize), WriteError> {
        let (mut here, mut there) = both(&self.core, &to.core);
        self.core.make_ready(&mut here)?;
        to.core.make_ready(&mut there)?;
        self.is_served()?;
        to.is_served()?;
        let eyes = Eyes { acting: &EVERYTHING, now_ms: self.core.sight_ms() };
        let (wholes, expired, read) = self.core.taken(&here, |overlay| {
            let (mut wholes, mut expired, mut bytes, mut read) = (Vec::new(), Vec::new(), 0, 0);
            for id in ids {
                if bytes >= page_bytes {
                    break;
                }
                read += 1;
                match overlay.standing(id, eyes) {
                    // It went meanwhile. (Nothing is kept from these eyes.)
                    Standing::Absent | Standing::Unseen => {}
                    Standing::Expired => expired.push(id.clone()),
                    Standing::Live(_) | Standing::Deleted => {
                        if let Some(whole) = self.whole(overlay.view, id)? {
                            bytes += whole.bytes();
                            wholes.push(whole);
                        }
                    }
                }
            }
            Ok((wholes, expired, read))
        })?;
        let found = to.core.taken(&there, |overlay| {
            let beside = wholes.iter().map(|whole| to.beside(overlay.view, whole));
            Ok(beside.collect::<Result<Vec<There>, ReadError>>()?)
        })?;
        let mut poured = Poured::default();
        let mut leaving: Vec<Act> = expired.iter().map(|id| self.change(id, ChangeKind::Purged)).collect();
        let mut arriving = Vec::new();
        let end_ms = self.core.terms().expires_ms;
        for (mut whole, there) in wholes.into_iter().zip(found) {
            poured.count(&whole, there);
            let id = whole.document.id.clone();
            match there {
                There::Another => continue,
                There::Expired => arriving.push(to.change(&id, ChangeKind::Purged)),
                There::Free | There::Same => {}
            }
            leaving.push(self.change(&id, ChangeKind::Purged));
            if matches!(there, There::Same) {
                continue;
            }
            let ends = whole.document.expires_ms.into_iter().chain(end_ms).min();
            whole.document.expires_ms = to.core.end_of(ends);
            arriving.push(Act::Put(Box::new(whole.document)));
            let deleted = |at_ms: u64| Change { kind: ChangeKind::Deleted, at_ms: at_ms.max(1), id };
            arriving.extend(whole.deleted_ms.map(|at_ms| Act::Change(deleted(at_ms))));
        }
        self.core.let_go(&here, &leaving)?;
        to.core.let_go(&there, &arriving)?;
        if leaving.is_empty() {
            return Ok((poured, read));
        }
        let ticket = submit((&self.core, &mut here, leaving), (&to.core, &mut there, arriving))?;
        // Held until both are applied: whoever settled one of them before the other would let readers see two.
        self.core.env.log.wait(&ticket)?;
        self.core.settle(&mut here)?;
        to.core.settle(&mut there)?;
        Ok((poured, read))
    }
}
