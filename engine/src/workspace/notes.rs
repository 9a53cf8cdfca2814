//! How does the host keep notes of a partition outside of the store, that end with it?
//!
//! Who read which document, say, in the host's own audit log. A note is sealed here under the partition's own key: it is
//! worth nothing without the store, and nothing at all once the key is destroyed, be it that the partition is dropped or that
//! documents of it are purged and the rest goes on under another key.
//!
//! What comes out: the key's slot, the incarnation, a random salt of 16 bytes, and behind them the sealed note (`seal.rs`),
//! whose place is the incarnation and the salt.
//!
//! Invariants:
//! 1. A note opens for scopes alone that cover the partition, in the workspace that it is of.

use super::{PartitionRef, Reach, Scope, Store, StoreError};
use crate::keyring::KeyringError;
use crate::partition::ReadError;
use crate::seal::{Key, Place, Purpose};
use std::collections::HashMap;

const SLOT_BYTES: usize = 4;
const ID_BYTES: usize = 16;

/// A note as the host keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The incarnation of the partition that it is of.
    pub incarnation: [u8; 16],
    /// What it is found again by, and it, sealed.
    pub sealed: Vec<u8>,
}

impl Store {
    /// Seals a note of a partition under its key; `None` when there is no such partition. Notes are short: some kilobytes at
    /// most.
    pub fn seal_note(
        &self,
        scope: &Scope,
        at: &PartitionRef,
        note: &[u8],
    ) -> Result<Option<Note>, StoreError> {
        let workspace = self.reach(scope, at)?;
        let core = self.find(&workspace, at)?.filter(|core| core.is_born());
        let Some((key, incarnation, slot)) = core.and_then(|core| core.kept_key()) else { return Ok(None) };
        let mut salt = [0; ID_BYTES];
        self.env.medium.entropy.fill(&mut salt);
        let sealed = key.cipher(&salt, Purpose::Note).seal(0, place(incarnation, salt), note);
        let sealed = [&slot.to_le_bytes()[..], &incarnation, &salt, &sealed].concat();
        Ok(Some(Note { incarnation, sealed }))
    }

    /// Opens notes; `None` for those whose key is gone, for those of other partitions than the scope covers, and for bytes that
    /// are no notes. A scope for a collection opens none.
    pub fn open_notes(&self, scope: &Scope, notes: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let workspace = self.workspace(scope.workspace())?;
        let own = match scope.reach() {
            Reach::Workspace => None,
            Reach::Collection(_) => return Ok(vec![None; notes.len()]),
            Reach::Partition(at) => match workspace.entries().get(at) {
                Some(entry) => Some(entry.incarnation()),
                None => return Ok(vec![None; notes.len()]),
            },
        };
        let mut keys: HashMap<(u32, [u8; 16]), Option<Key>> = HashMap::new();
        let mut opened = Vec::with_capacity(notes.len());
        for note in notes {
            let Some(Parts { slot, incarnation, salt, sealed }) = parts(note) else {
                opened.push(None);
                continue;
            };
            if own.is_some_and(|own| own != incarnation) {
                opened.push(None);
                continue;
            }
            let key = match keys.entry((slot, incarnation)) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => {
                    let found = match self.keyring.find(&workspace.key, slot, incarnation) {
                        Ok(key) => key,
                        // Its slot doesn't check: the note waits as the partition does.
                        Err(KeyringError::Unsealable(_)) => None,
                        Err(KeyringError::Fault(fault)) => return Err(ReadError::from(fault).into()),
                    };
                    place.insert(found)
                }
            };
            let open =
                |key: &Key| key.cipher(&salt, Purpose::Note).open(0, place(incarnation, salt), sealed).ok();
            opened.push(key.as_ref().and_then(open));
        }
        Ok(opened)
    }
}

fn place(incarnation: [u8; ID_BYTES], salt: [u8; ID_BYTES]) -> Place {
    Place { incarnation, file_id: salt, position: 0, kind: 0 }
}

/// A note's parts.
struct Parts<'a> {
    slot: u32,
    incarnation: [u8; ID_BYTES],
    salt: [u8; ID_BYTES],
    sealed: &'a [u8],
}

fn parts(note: &[u8]) -> Option<Parts<'_>> {
    let (slot, rest) = note.split_first_chunk::<SLOT_BYTES>()?;
    let (incarnation, rest) = rest.split_first_chunk::<ID_BYTES>()?;
    let (salt, sealed) = rest.split_first_chunk::<ID_BYTES>()?;
    Some(Parts { slot: u32::from_le_bytes(*slot), incarnation: *incarnation, salt: *salt, sealed })
}
