//! How do acts become records of one batch of the log?
//!
//! Numbers are reserved, the records sealed to their places, and queued: all for one batch, so they are durable together or not at all.

use super::standing::{Act, Pending};
use super::write::{limit, record_place};
use super::{Core, WriteError, Writer};
use crate::log::{Ticket, Urgency};
use crate::seal::Purpose;
use strongroom_format::limits::{MEMO_BYTES_MAX, RECORD_BYTES_MAX};
use strongroom_format::log::SealedRecord;
use strongroom_format::record::{Change, ChangeKind};
use zeroize::Zeroizing;

impl Writer {
    /// Has acts wait for the sync of their records, which have been queued.
    pub(super) fn queue(&mut self, ticket: &Ticket, first_record: u64, acts: Vec<Act>) {
        let pending =
            (first_record..).zip(acts).map(|(record, act)| Pending { ticket: ticket.clone(), record, act });
        self.pending.extend(pending);
    }
}

impl Core {
    /// Seals records and queues them for one batch.
    pub(super) fn submit(
        &self,
        writer: &mut Writer,
        acts: Vec<Act>,
        urgency: Urgency,
    ) -> Result<Ticket, WriteError> {
        let plain = self.plain(&acts)?;
        let (ticket, first_record) = loop {
            let at = self.env.log.reserve(acts.len() as u64, urgency)?;
            // The genesis that this write counted on may have found no room.
            self.settle(writer)?;
            if !self.begins_with(writer, &acts) {
                return Err(WriteError::Full);
            }
            let sealed = self.sealed(writer, at.file_id, at.first_record, &acts, &plain)?;
            if let Some(ticket) = self.env.log.enqueue(&at, sealed, urgency)? {
                break (ticket, at.first_record);
            }
        };
        writer.queue(&ticket, first_record, acts);
        Ok(ticket)
    }

    /// What the records of these acts say, within their limits.
    pub(super) fn plain(&self, acts: &[Act]) -> Result<Vec<Zeroizing<Vec<u8>>>, WriteError> {
        let who = self.who();
        let encoded = |act: &Act| {
            let plain = Zeroizing::new(act.encode(&who.identity));
            limit("a document with its vectors, in bytes", plain.len(), RECORD_BYTES_MAX)?;
            if let Act::Change(Change { kind: ChangeKind::Answered, id, .. }) = act {
                limit("ids of one request with a key, in bytes", id.len(), MEMO_BYTES_MAX)?;
            }
            Ok(plain)
        };
        acts.iter().map(encoded).collect()
    }

    /// The same, sealed to their places in this file of the log.
    pub(super) fn sealed(
        &self,
        writer: &mut Writer,
        file_id: [u8; 16],
        first_record: u64,
        acts: &[Act],
        plain: &[Zeroizing<Vec<u8>>],
    ) -> Result<Vec<SealedRecord>, WriteError> {
        let (incarnation, _) = self.incarnation();
        let cipher = match writer.cipher.take() {
            Some((of_file, cipher)) if of_file == file_id => cipher,
            _ => {
                let shelf = self.shelf();
                shelf.key.as_ref().ok_or(WriteError::Dropped)?.cipher(&file_id, Purpose::Log)
            }
        };
        let who = self.who();
        let sealed = (first_record..).zip(acts.iter().zip(plain)).map(|(record, (act, plain))| {
            let kind = act.kind();
            let name_tag = match act {
                Act::Amend(who) => who.name_tag,
                Act::Genesis | Act::Put(_) | Act::Change(_) => who.name_tag,
            };
            let place = record_place(incarnation, file_id, record, kind);
            let sealed = cipher.seal(record, place, plain);
            SealedRecord { incarnation, name_tag, record, kind, sealed }
        });
        let sealed = sealed.collect();
        writer.cipher = Some((file_id, cipher));
        Ok(sealed)
    }

    /// Whether it is there, or will be with what waits and these acts.
    pub(super) fn begins_with(&self, writer: &Writer, acts: &[Act]) -> bool {
        let is_genesis = |act: &Act| matches!(act, Act::Genesis);
        self.is_born() || acts.iter().chain(writer.pending.iter().map(|pending| &pending.act)).any(is_genesis)
    }
}
