//! What does the manifest say when a store is opened?
//!
//! The newest checkpoint that checks, and the edits after it, each following the one before. A version that
//! doesn't check and that nothing follows is void: its publishing was cut short. One that something follows
//! can be neither passed over nor attributed.

use super::{ManifestStore, check, name, read, versions};
use crate::io::{BlobStore, Entropy, Fault, Mapped};
use std::collections::HashSet;
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::manifest::{FoundVersion, Head, PartitionState, SegmentPlace, VersionKind};

/// A version is believed to be damaged when it is found so each of so many times.
const LOOKS: usize = 4;

/// The manifest as it was found.
pub struct Loaded {
    /// Publishes what comes next.
    pub store: ManifestStore,
    /// The highest run that wrote a version.
    pub run: u64,
    /// The first log file that is still needed.
    pub log_floor: (u64, u64),
    /// Every record that is in a segment has a smaller number.
    pub next_record: u64,
    /// Ranges of segments that nobody needs and that may not be erased yet.
    pub released: Vec<SegmentPlace>,
    /// What didn't check but was said elsewhere, or never relied on.
    pub notes: Vec<Damage>,
    /// What is wrong with the newest version, if it is one of those: then what it may name is to be left alone.
    pub doubt: Option<Damage>,
    base: Option<(u64, Mapped)>,
    /// The edits since the base.
    chain: Vec<Link>,
}

/// An edit that was read.
struct Link {
    head: Head,
    previous: Head,
    bytes: Mapped,
}

impl Loaded {
    /// Reads the versions.
    pub fn open(blobs: Arc<dyn BlobStore>, entropy: Arc<dyn Entropy>) -> Result<Self, Fault> {
        let versions = versions(&*blobs)?;
        let mut notes = Vec::new();
        let mut void = Vec::new();
        let mut links: Vec<Link> = Vec::new();
        let mut base = None;
        let mut run = 0;
        for &version in versions.iter().rev() {
            let name = name(version);
            blobs.settle(&name)?;
            let bytes = read_well(&*blobs, &name, version)?;
            match check(&bytes, version) {
                Ok(found) => {
                    run = run.max(found.info.run);
                    notes.extend(found.mended.clone().map(|damage| damage.at(&name, 0)));
                    if found.info.kind == VersionKind::Checkpoint {
                        base = Some((version, found.head(), bytes));
                        break;
                    }
                    links.push(Link { head: found.head(), previous: found.info.previous, bytes });
                }
                Err(damage) => {
                    notes.push(damage.at(&name, 0));
                    void.push(name);
                }
            }
        }
        let newest = versions.last().map(|version| name(*version));
        let doubt = if void.first() == newest.as_ref() { notes.first().cloned() } else { None };
        links.reverse();
        let start = base.as_ref().map_or_else(Head::default, |(_, head, _)| *head);
        let chain = chain(start, links).map_err(|damage| notes.first().cloned().unwrap_or(damage))?;
        let store = ManifestStore {
            head: chain.last().map_or(start, |link| link.head),
            last_version: versions.last().copied().unwrap_or(0),
            base: base.as_ref().map(|(version, _, bytes)| (*version, bytes.len() as u64)),
            edits: chain.iter().map(|link| link.head.version).collect(),
            edit_bytes: chain.iter().map(|link| link.bytes.len() as u64).sum(),
            log_floor: (0, 0),
            next_record: 0,
            released: Vec::new(),
            void,
            blobs,
            entropy,
        };
        let mut loaded = Self {
            store,
            run,
            log_floor: (0, 0),
            next_record: 0,
            released: Vec::new(),
            notes,
            doubt,
            base: base.map(|(version, _, bytes)| (version, bytes)),
            chain,
        };
        loaded.take_over()?;
        Ok(loaded)
    }

    fn take_over(&mut self) -> Result<(), Fault> {
        let newest = match (self.chain.last(), &self.base) {
            (Some(link), _) => Some((link.head.version, &link.bytes)),
            (None, base) => base.as_ref().map(|(version, bytes)| (*version, bytes)),
        };
        if let Some((version, bytes)) = newest {
            let info = check(bytes, version).map_err(|damage| damage.at(&name(version), 0))?.info;
            (self.log_floor, self.next_record) = (info.log_floor, info.next_record);
            self.released = info.released;
        }
        (self.store.log_floor, self.store.next_record) = (self.log_floor, self.next_record);
        self.store.released = self.released.clone();
        Ok(())
    }

    /// Every partition there is, as the newest version that tells of it does. Decoded one by one: there may
    /// be a million.
    pub fn visit<E: From<Fault>>(
        &self,
        mut partition: impl FnMut(PartitionState) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut told: HashSet<[u8; 16]> = HashSet::new();
        for link in self.chain.iter().rev() {
            let located = |damage: Damage| Fault::from(damage.at(&name(link.head.version), 0));
            let found = FoundVersion::read(&link.bytes).map_err(located)?;
            told.extend(&found.removed);
            for entry in found.partitions() {
                let (state, _) = entry.map_err(located)?;
                if told.insert(state.incarnation) {
                    partition(state)?;
                }
            }
        }
        let Some((version, bytes)) = &self.base else { return Ok(()) };
        let located = |damage: Damage| Fault::from(damage.at(&name(*version), 0));
        for entry in check(bytes, *version).map_err(located)?.partitions() {
            let (state, _) = entry.map_err(located)?;
            if !told.contains(&state.incarnation) {
                partition(state)?;
            }
        }
        Ok(())
    }
}

/// A version's bytes. What doesn't check is read again: a read may have been led elsewhere.
fn read_well(blobs: &dyn BlobStore, name: &str, version: u64) -> Result<Mapped, Fault> {
    let mut bytes = read(blobs, name)?;
    for _ in 1..LOOKS {
        if check(&bytes, version).is_ok() {
            break;
        }
        bytes = read(blobs, name)?;
    }
    Ok(bytes)
}

/// The edits that hold, from the one that follows `start`.
fn chain(start: Head, links: Vec<Link>) -> Result<Vec<Link>, Damage> {
    let mut chain: Vec<Link> = Vec::new();
    for link in links {
        if link.head.version <= start.version {
            continue;
        }
        let follows = if link.previous == start {
            Some(0)
        } else {
            chain.iter().position(|before| before.head == link.previous).map(|position| position + 1)
        };
        let Some(kept) = follows else {
            return Err(Damage::new("ManifestHeader.previous_version", "a version that checks", "another")
                .at(&name(link.previous.version), 0));
        };
        chain.truncate(kept);
        chain.push(link);
    }
    Ok(chain)
}
