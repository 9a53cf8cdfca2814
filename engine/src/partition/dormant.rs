//! What is kept of a partition that nobody uses?
//!
//! As little as finding, listing and waking it needs: there may be a million of them. Its key stays in the
//! keyring, its documents in their segments.

use super::Counts;
use crate::seal::{Key, Place, Purpose};
use std::num::NonZeroU64;
use std::ops::Deref;
use strongroom_format::Damage;
use strongroom_format::manifest::{PartitionState, SegmentPlace};
use strongroom_format::record::{CollectionSpec, Identity};
use strongroom_format::terms::Terms;

/// A partition at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dormant {
    /// Which incarnation.
    pub(crate) incarnation: [u8; 16],
    /// Its key's slot in the keyring.
    pub(crate) key_slot: u32,
    /// What its vectors are.
    pub(crate) spec: CollectionSpec,
    /// Its records up to and including this number are in its segments; 0 before the first flush.
    pub(crate) flushed_through: u64,
    /// How many documents its segments hold.
    pub(crate) counts: Counts,
    /// When the longest deleted was deleted; 0 when none is.
    pub(crate) deleted_since_ms: u64,
    /// When the first purge that still waits was asked for; 0 when none does.
    pub(crate) purge_since_ms: u64,
    /// When the first of its documents expires, or earlier; `None` when none does.
    pub(crate) first_expiry_ms: Option<NonZeroU64>,
    /// Whether damage took something that was acknowledged.
    pub(crate) is_damaged: bool,
    /// On what terms it is kept; `None` on the usual ones. While it is in use they stand in its identity instead.
    pub(crate) terms: Option<Box<Terms>>,
    /// Oldest first.
    pub(crate) segments: Places,
}

impl Dormant {
    /// A partition without a segment.
    pub(crate) fn new(incarnation: [u8; 16], key_slot: u32, spec: CollectionSpec) -> Self {
        Self {
            incarnation,
            key_slot,
            spec,
            flushed_through: 0,
            counts: Counts::default(),
            deleted_since_ms: 0,
            purge_since_ms: 0,
            first_expiry_ms: None,
            is_damaged: false,
            terms: None,
            segments: Places::default(),
        }
    }

    /// The same on these terms.
    pub(crate) fn on(self, terms: Terms) -> Self {
        Self { terms: (!terms.are_usual()).then(|| Box::new(terms)), ..self }
    }

    /// On what terms it is kept.
    pub(crate) fn terms(&self) -> Terms {
        self.terms.as_deref().copied().unwrap_or_default()
    }

    /// As the manifest tells it; its terms stand in the sealed identity.
    pub(crate) fn of(state: &PartitionState) -> Self {
        Self {
            incarnation: state.incarnation,
            key_slot: state.key_slot,
            spec: state.spec,
            flushed_through: state.flushed_through,
            counts: Counts { documents: state.documents, deleted: state.deleted, passages: state.passages },
            deleted_since_ms: state.deleted_since_ms,
            purge_since_ms: state.purge_since_ms,
            first_expiry_ms: state.first_expiry_ms.and_then(NonZeroU64::new),
            is_damaged: state.is_damaged,
            terms: None,
            segments: state.segments.iter().copied().collect(),
        }
    }

    /// Its bytes in segments.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// For the manifest, its identity sealed under its key with this salt.
    pub(crate) fn entry(
        &self,
        workspace: [u8; 16],
        name_tag: [u8; 16],
        identity: &Identity,
        key: &Key,
        identity_salt: [u8; 16],
    ) -> PartitionState {
        let cipher = key.cipher(&identity_salt, Purpose::Identity);
        let sealed_identity = cipher.seal(0, identity_place(self.incarnation), &identity.encode());
        PartitionState { identity_salt, sealed_identity, ..self.bare_entry(workspace, name_tag) }
    }

    /// For the manifest, without an identity: nobody knows it any more.
    pub(crate) fn bare_entry(&self, workspace: [u8; 16], name_tag: [u8; 16]) -> PartitionState {
        PartitionState {
            incarnation: self.incarnation,
            workspace,
            name_tag,
            identity_salt: [0; 16],
            sealed_identity: Vec::new(),
            replaces: [0; 16],
            key_slot: self.key_slot,
            spec: self.spec,
            flushed_through: self.flushed_through,
            documents: self.counts.documents,
            deleted: self.counts.deleted,
            passages: self.counts.passages,
            deleted_since_ms: self.deleted_since_ms,
            purge_since_ms: self.purge_since_ms,
            first_expiry_ms: self.first_expiry_ms.map(NonZeroU64::get),
            is_damaged: self.is_damaged,
            segments: self.segments.to_vec(),
        }
    }
}

/// Where the segments of a partition are. Most have one, which needs no allocation of its own then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Places {
    One(SegmentPlace),
    Several(Box<[SegmentPlace]>),
}

impl Default for Places {
    fn default() -> Self {
        Self::Several(Box::default())
    }
}

impl Deref for Places {
    type Target = [SegmentPlace];

    fn deref(&self) -> &[SegmentPlace] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Several(places) => places,
        }
    }
}

impl FromIterator<SegmentPlace> for Places {
    fn from_iter<I: IntoIterator<Item = SegmentPlace>>(places: I) -> Self {
        let places: Vec<SegmentPlace> = places.into_iter().collect();
        match places[..] {
            [place] => Self::One(place),
            _ => Self::Several(places.into_boxed_slice()),
        }
    }
}

/// Opens the identity in a partition's entry.
pub(crate) fn identity_of(state: &PartitionState, key: &Key) -> Result<Identity, Damage> {
    let cipher = key.cipher(&state.identity_salt, Purpose::Identity);
    let plain = cipher
        .open(0, identity_place(state.incarnation), &state.sealed_identity)
        .map_err(|_| Damage::new("PartitionEntry identity", "sealed under its key", "not"))?;
    Identity::decode(&plain)
}

fn identity_place(incarnation: [u8; 16]) -> Place {
    Place { incarnation, file_id: [0; 16], position: 0, kind: 0 }
}
