//! How are documents that belong together numbered, listed, deleted, restored and purged?
//!
//! A host that gives such documents ids of one form names them by a test on the id. Each act is one durable write: all of them,
//! or none. Every id of the partition is tested, so this is for acts that are rare beside reads by id.

use super::once::Again;
use super::standing::{Act, Overlay, Standing};
use super::{DocumentInfo, NewDocument, Partition, ReadError, Said, WriteError};
use crate::filter::Eyes;
use crate::log::Urgency;
use strongroom_format::memo::Memo;
use strongroom_format::record::ChangeKind;

/// One of the documents that belong together, as the writer of the next one is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sibling<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whether it is soft-deleted.
    pub is_deleted: bool,
    /// Whether it is there, but not for whom the next one is written.
    pub is_hidden: bool,
}

/// How many documents an act was on; when it was done before, how many it had been on.
impl Again for u64 {
    fn again(_: &Overlay<'_>, memo: &Memo, _: u64, _: Eyes<'_>) -> Result<Self, WriteError> {
        Ok(memo.ids.len() as u64)
    }
}

impl Partition {
    /// The ids that this is true of, in their order, and whether each is of a soft-deleted document.
    pub fn ids(&self, is_one: impl Fn(&str) -> bool) -> Result<Vec<(String, bool)>, ReadError> {
        let eyes = self.eyes();
        self.attempt(|| {
            self.look(|view| {
                let found = view.directory().filter(|(id, at)| is_one(id) && view.sees(*at, eyes));
                let mut ids: Vec<_> =
                    found.map(|(id, location)| (id.to_owned(), location.deleted_ms.is_some())).collect();
                ids.sort_unstable();
                ids
            })
        })
    }

    /// Inserts a document among them, under the id that `next` gives it. It is told of them in the order of their ids, also of those that
    /// wait for their sync, so that two inserts never come to one id; what the last one of them is, whoever sees it; and what is
    /// said of the new one, which it may change. [`WriteError::Exists`] when the id is taken.
    pub fn put_next(
        &self,
        document: NewDocument,
        is_one: impl Fn(&str) -> bool,
        next: impl Fn(&[Sibling<'_>], Option<&DocumentInfo>, &mut Said) -> Result<String, WriteError>,
    ) -> Result<DocumentInfo, WriteError> {
        let mut document = self.prepare(document)?;
        let given = Said {
            entity: document.entity.take(),
            readers: document.readers.take(),
            metadata: std::mem::take(&mut document.metadata),
        };
        self.write(Urgency::Write, |overlay| {
            let ids = overlay.ids(&is_one);
            let mut known = Vec::with_capacity(ids.len());
            for id in &ids {
                let standing = overlay.standing(id, self.eyes());
                let (is_deleted, is_hidden) =
                    (matches!(standing, Standing::Deleted), matches!(standing, Standing::Unseen));
                // Its number is taken, whoever sees it.
                if !matches!(standing, Standing::Absent) {
                    known.push(Sibling { id, is_deleted, is_hidden });
                }
            }
            let last = known.last().map(|last| overlay.info(last.id)).transpose()?.flatten();
            let mut said = given.clone();
            document.id = next(&known, last.as_ref(), &mut said)?;
            if !matches!(overlay.standing(&document.id, self.eyes()), Standing::Absent) {
                return Err(WriteError::Exists);
            }
            said.check()?;
            let mut document = std::mem::take(&mut document);
            said.put_into(&mut document);
            let info = DocumentInfo::of(document.info(), document.content.len() as u64);
            Ok((vec![Act::Put(Box::new(document))], info))
        })
    }

    /// Soft-deletes the live ones of them, and answers how many those were.
    pub fn delete_all(&self, is_one: impl Fn(&str) -> bool) -> Result<u64, WriteError> {
        self.change_all(Urgency::Erasure, ChangeKind::Deleted, is_one)
    }

    /// Lifts the soft delete of those of them that are deleted, and answers how many those were.
    pub fn restore_all(&self, is_one: impl Fn(&str) -> bool) -> Result<u64, WriteError> {
        self.change_all(Urgency::Write, ChangeKind::Restored, is_one)
    }

    /// Purges them, live and soft-deleted, and answers how many those were. Their bytes become unreadable as with
    /// [`Partition::purge`].
    pub fn purge_all(&self, is_one: impl Fn(&str) -> bool) -> Result<u64, WriteError> {
        self.change_all(Urgency::Erasure, ChangeKind::Purged, is_one)
    }

    fn change_all(
        &self,
        urgency: Urgency,
        kind: ChangeKind,
        is_one: impl Fn(&str) -> bool,
    ) -> Result<u64, WriteError> {
        self.write(urgency, |overlay| {
            let (mut acts, mut others) = (Vec::new(), None);
            for id in overlay.ids(&is_one) {
                let standing = overlay.standing(&id, self.eyes());
                let concerns = match standing {
                    Standing::Absent | Standing::Expired | Standing::Unseen => continue,
                    Standing::Live(_) => kind != ChangeKind::Restored,
                    Standing::Deleted => kind != ChangeKind::Deleted,
                };
                if concerns {
                    acts.push(self.change(&id, kind));
                } else {
                    others = Some(match standing {
                        Standing::Live(_) => WriteError::NotDeleted,
                        _ => WriteError::AlreadyDeleted,
                    });
                }
            }
            if acts.is_empty() {
                return Err(others.unwrap_or(WriteError::NotFound));
            }
            let count = acts.len() as u64;
            Ok((acts, count))
        })
    }
}

impl Overlay<'_> {
    /// The ids that this is true of: of the view, and of what is queued.
    pub(super) fn ids(&self, is_one: impl Fn(&str) -> bool) -> Vec<String> {
        let known = self.view.directory().map(|(id, _)| id);
        let queued = self.queued().filter_map(Act::document_id);
        let mut ids: Vec<String> = known.chain(queued).filter(|id| is_one(id)).map(str::to_owned).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}
