//! How does a document go from one partition to another?
//!
//! As it is: its content, fields and vectors under the same id, with the next version. It is put there and purged here by two
//! records, each sealed under its own partition's key, in one batch of the log: after a crash it is in exactly one of them. Here
//! its bytes become unreadable with the purge; see [`Partition::purge`].
//!
//! Invariants:
//! 1. No reader finds it in both: it goes here before it comes there.
//!
//! Concurrency: takes the writers of both partitions, in the order of where they are in memory, so that moves that cross each
//! other don't wait for each other for ever.

use super::once::{Again, Remembered, remember};
use super::standing::{Act, Overlay, Standing};
use super::view::{Location, Rows, View};
use super::write::limit;
use super::{Core, DocumentInfo, Partition, ReadError, WriteError, Writer, look_again};
use crate::io::lock;
use crate::log::{Ticket, Urgency};
use std::sync::{Arc, MutexGuard};
use strongroom_format::Damage;
use strongroom_format::document::Document;
use strongroom_format::limits::METADATA_BYTES_MAX;
use strongroom_format::record::ChangeKind;

impl Partition {
    /// Which incarnation of its name it is: what an audit log may say of it.
    pub fn incarnation(&self) -> [u8; 16] {
        self.core.incarnation().0
    }

    /// Moves live documents to another partition of the same collection, all together or none; they come there with the next
    /// version. [`WriteError::Exists`] when one of the ids is taken there. For a request that is done once, `to` is the handle
    /// that says so; see [`Partition::once`].
    pub fn move_to(&self, to: &Self, ids: &[&str]) -> Result<Vec<DocumentInfo>, WriteError> {
        self.move_to_telling(to, ids, |_, metadata| metadata.to_owned())
    }

    /// The same, where their metadata may tell of what they were before. `tell` is given that and the metadata.
    pub fn move_to_telling(
        &self,
        to: &Self,
        ids: &[&str],
        tell: impl Fn(&DocumentInfo, &str) -> String,
    ) -> Result<Vec<DocumentInfo>, WriteError> {
        if Arc::ptr_eq(&self.core, &to.core) {
            return Err(WriteError::Invalid {
                what: "the partition to move to",
                why: "is the one to move from",
            });
        }
        if self.core.spec != to.core.spec {
            return Err(WriteError::Invalid { what: "the partition to move to", why: "has other vectors" });
        }
        let (mut here, mut there) = both(&self.core, &to.core);
        self.core.make_ready(&mut here)?;
        to.core.make_ready(&mut there)?;
        self.is_served()?;
        to.is_served()?;
        if let Some(answered) = to.answered_before(&there)? {
            return Ok(answered);
        }
        if ids.is_empty() {
            return Err(WriteError::NotFound);
        }
        let documents = self.core.taken(&here, |overlay| {
            let whole = |id: &&str| match overlay.standing(id, self.eyes()) {
                Standing::Absent | Standing::Expired | Standing::Unseen | Standing::Deleted => {
                    Err(WriteError::NotFound)
                }
                Standing::Live(_) => {
                    let location = overlay.view.find(id).ok_or(WriteError::NotFound)?;
                    Ok(overlay.view.whole(location)?)
                }
            };
            ids.iter().map(whole).collect::<Result<Vec<_>, _>>()
        })?;
        to.core.taken(&there, |overlay| {
            let is_free =
                |document: &Document| matches!(overlay.standing(&document.id, to.eyes()), Standing::Absent);
            if documents.iter().all(is_free) { Ok(()) } else { Err(WriteError::Exists) }
        })?;
        let (mut arriving, mut infos) = (Vec::new(), Vec::new());
        for mut document in documents {
            let before = DocumentInfo::of(document.info(), document.content.len() as u64);
            document.metadata = tell(&before, &document.metadata);
            limit("metadata, in bytes", document.metadata.len(), METADATA_BYTES_MAX)?;
            document.version = document.version.saturating_add(1);
            document.expires_ms = to.core.end_of(document.expires_ms);
            infos.push(DocumentInfo::of(document.info(), document.content.len() as u64));
            arriving.push(Act::Put(Box::new(document)));
        }
        if let Some(once) = &to.once {
            let now_ms = self.core.now_ms().max(1);
            arriving.push(remember(once, &arriving, now_ms));
        }
        if !to.core.begins_with(&there, &[]) {
            arriving.insert(0, Act::Genesis);
        }
        let leaving: Vec<Act> = ids.iter().map(|id| self.change(id, ChangeKind::Purged)).collect();
        self.core.let_go(&here, &leaving)?;
        let ticket = submit((&self.core, &mut here, leaving), (&to.core, &mut there, arriving))?;
        // Held until both are applied: whoever settled one of them before the other would let readers see two.
        self.core.env.log.wait(&ticket)?;
        self.core.settle(&mut here)?;
        to.core.settle(&mut there)?;
        Ok(infos)
    }

    /// The answer, if this request had been done before.
    fn answered_before(&self, writer: &Writer) -> Result<Option<Vec<DocumentInfo>>, WriteError> {
        let Some(once) = &self.once else { return Ok(None) };
        let now_ms = self.core.now_ms().max(1);
        self.core.taken(writer, |overlay| match overlay.remembered(&once.key, now_ms) {
            Some(Remembered::Durable(memo, _) | Remembered::Queued(memo, _))
                if memo.request != once.request =>
            {
                Err(WriteError::AnotherRequest)
            }
            Some(Remembered::Durable(memo, at_ms)) => {
                once.found();
                Vec::again(overlay, &memo, at_ms, self.eyes()).map(Some)
            }
            Some(Remembered::Queued(..)) | None => Ok(None),
        })
    }
}

/// Both writers.
pub(super) fn both<'a>(here: &'a Core, there: &'a Core) -> (MutexGuard<'a, Writer>, MutexGuard<'a, Writer>) {
    if std::ptr::from_ref(here) < std::ptr::from_ref(there) {
        let first = lock(&here.writer);
        (first, lock(&there.writer))
    } else {
        let first = lock(&there.writer);
        (lock(&here.writer), first)
    }
}

pub(super) type Side<'a> = (&'a Core, &'a mut Writer, Vec<Act>);

/// Seals and queues the acts of both for one batch.
pub(super) fn submit(
    (here, leaver, leaving): Side<'_>,
    (there, comer, arriving): Side<'_>,
) -> Result<Ticket, WriteError> {
    let (plain_here, plain_there) = (here.plain(&leaving)?, there.plain(&arriving)?);
    let log = &here.env.log;
    let (ticket, first, second) = loop {
        let at = log.reserve((leaving.len() + arriving.len()) as u64, Urgency::Write)?;
        let (first, second) = (at.first_record, at.first_record + leaving.len() as u64);
        let mut records = here.sealed(leaver, at.file_id, first, &leaving, &plain_here)?;
        records.extend(there.sealed(comer, at.file_id, second, &arriving, &plain_there)?);
        if let Some(ticket) = log.enqueue(&at, records, Urgency::Write)? {
            break (ticket, first, second);
        }
    };
    leaver.queue(&ticket, first, leaving);
    comer.queue(&ticket, second, arriving);
    Ok(ticket)
}

impl Core {
    /// Waits for what is queued, so that nothing stands between the view and what is written next.
    pub(super) fn make_ready(&self, writer: &mut Writer) -> Result<(), WriteError> {
        if let Some(damage) = self.damage() {
            return Err(WriteError::Quarantined(damage));
        }
        if writer.fenced {
            return Err(WriteError::Dropped);
        }
        self.quiesce(writer)
    }

    /// Reads what a write needs to know.
    pub(super) fn taken<R>(
        &self,
        writer: &Writer,
        read: impl Fn(&Overlay<'_>) -> Result<R, WriteError>,
    ) -> Result<R, WriteError> {
        let taken = look_again(|| self.prepared(writer, |overlay| Ok((Vec::new(), read(overlay)?))));
        let taken = taken.map_err(|error| match error {
            WriteError::Read(error) => self.believe(error).into(),
            other => other,
        });
        taken.map(|(_, answer)| answer)
    }
}

impl View {
    /// A document with all that there is of it.
    pub(super) fn whole(&self, location: Location) -> Result<Document, ReadError> {
        let (mut document, _) = self.info(location)?;
        document.content = self.content(location, None)?;
        document.vectors = match self.source(location.source).map(|source| &source.rows) {
            Some(Rows::Segment(segment)) => {
                segment.vectors_of(&segment.directory()[location.ordinal as usize])?
            }
            Some(Rows::Memtable(memtable)) => {
                let entry = &memtable.entries()[location.ordinal as usize];
                let components = memtable.vectors().len() / (memtable.rows().max(1) as usize);
                let from = entry.first_row as usize * components;
                memtable.vectors()[from..from + entry.rows as usize * components].to_vec()
            }
            None => return Err(Damage::new("directory", "a source that is there", location.source).into()),
        };
        Ok(document)
    }
}
