//! Does every version of the manifest check, does each follow the one before, and what do they come to?
//!
//! The versions lie in generations: a checkpoint (the very first has none) and the edits after it. The last
//! generation is the one that counts; the one before it must come to what the last checkpoint says. Versions
//! before that are left over from a deletion that a crash cut short. What an edit says stands twice in it.

use super::keys::StoreKeys;
use super::report::Report;
use super::torn::is_torn;
use super::{Hits, hex};
use crate::io::BlobStore;
use crate::partition::identity_of;
use std::collections::BTreeMap;
use strongroom_format::Damage;
use strongroom_format::header::FileHeader;
use strongroom_format::keyring::SlotState;
use strongroom_format::manifest::{FoundVersion, Head, PartitionState, SegmentPlace, VersionKind};

/// What the manifest comes to.
#[derive(Default)]
pub(super) struct Manifest {
    /// The first log file that is still needed: run and number.
    pub(super) log_floor: (u64, u64),
    /// Ranges of segments that nobody needs and that may not be erased yet.
    pub(super) released: Vec<SegmentPlace>,
    pub(super) partitions: BTreeMap<[u8; 16], Entry>,
    /// Whether a version is missing that others rely on: what files are for can't be told then.
    pub(super) is_incomplete: bool,
}

/// A partition, and where its entry lies.
pub(super) struct Entry {
    pub(super) state: PartitionState,
    version: u64,
    offset: u64,
}

impl Entry {
    pub(super) fn located(&self, damage: Damage) -> Damage {
        damage.at(&name(self.version), self.offset)
    }
}

/// A version that checks.
#[derive(Clone, Copy)]
struct Link {
    version: u64,
    kind: VersionKind,
    /// For a checkpoint the edit that it is the state of.
    head: Head,
    /// The edit that an edit follows.
    previous: Head,
}

/// A version that doesn't.
struct Broken {
    damage: Damage,
    /// As a crash leaves it that came while it was published.
    is_cut: bool,
    is_checkpoint: bool,
}

/// A checkpoint, if there is one, and the edits up to the next.
struct Generation {
    base: Option<Link>,
    edits: Vec<Link>,
}

/// Reads all versions twice: what each says by itself, and then what they come to in their order.
pub(super) fn check(
    blobs: &dyn BlobStore,
    names: &[String],
    keys: &StoreKeys,
    report: &mut Report<'_>,
) -> Manifest {
    let mut versions = Versions::default();
    for file in names {
        match number(file) {
            Some(version) => versions.read(blobs, version, report),
            None => report.note(Damage::new("file", "a version of the manifest", "another").at(file, 0)),
        }
    }
    tell_gaps(names, report);
    let mut manifest = Manifest::default();
    let generations = versions.generations(report);
    let last = generations.len().saturating_sub(1);
    for (index, generation) in generations.iter().enumerate() {
        let next = generations.get(index + 1).and_then(|generation| generation.base);
        let holds = versions.chain(generation, next, index == last, report, &mut manifest);
        for link in holds {
            manifest.apply(blobs, link, report);
        }
    }
    versions.tell_broken(report);
    for entry in manifest.partitions.values() {
        entry.check(keys, report);
    }
    report.verified.partitions = manifest.partitions.len() as u64;
    manifest
}

/// Versions that are missing between others. A publishing that fails uses up its number; what else is missing
/// may have been a checkpoint, which nothing names.
fn tell_gaps(names: &[String], report: &mut Report<'_>) {
    let versions: Vec<u64> = names.iter().filter_map(|file| number(file)).collect();
    for pair in versions.windows(2).filter(|pair| pair[0] + 1 < pair[1]) {
        let damage = Damage::new("manifest version", "there, unless its publishing failed", "missing");
        report.note(damage.at(&name(pair[1] - 1), 0));
    }
}

#[derive(Default)]
struct Versions {
    links: Vec<Link>,
    broken: BTreeMap<u64, Broken>,
    /// Of the broken ones, those that others rely on, and whether these can do without.
    followed: BTreeMap<u64, Hits>,
}

impl Versions {
    /// Reads one version, with all its entries.
    fn read(&mut self, blobs: &dyn BlobStore, version: u64, report: &mut Report<'_>) {
        let file = name(version);
        let Some(bytes) = report.map(blobs, &file) else { return };
        report.file(bytes.len());
        match read_whole(&bytes, version) {
            Ok(found) => {
                if let Some(damage) = found.mended.clone() {
                    report.fault_unless(is_cut(&bytes, &damage), damage.at(&file, 0), Hits::Mended);
                }
                let (head, previous) = (found.head(), found.info.previous);
                self.links.push(Link { version, kind: found.info.kind, head, previous });
            }
            Err(damage) => {
                let is_checkpoint = bytes.get(FileHeader::BYTES) == Some(&(VersionKind::Checkpoint as u8));
                let is_cut = is_cut(&bytes, &damage);
                let broken = Broken { damage: damage.at(&file, 0), is_cut, is_checkpoint };
                self.broken.insert(version, broken);
            }
        }
    }

    fn generations(&self, report: &mut Report<'_>) -> Vec<Generation> {
        let mut generations = vec![Generation { base: None, edits: Vec::new() }];
        for &link in &self.links {
            match link.kind {
                VersionKind::Checkpoint => {
                    generations.push(Generation { base: Some(link), edits: Vec::new() })
                }
                VersionKind::Edit => {
                    generations.last_mut().into_iter().for_each(|last| last.edits.push(link))
                }
            }
        }
        // With a second checkpoint, what is before the first goes.
        if generations.len() > 2 {
            for link in generations.remove(0).edits {
                let damage = Damage::new("file", "deleted: two later checkpoints are there", "there");
                report.note(damage.at(&name(link.version), 0));
            }
        }
        if generations.len() > 1 && generations[0].base.is_none() && generations[0].edits.is_empty() {
            generations.remove(0);
        }
        generations
    }

    /// The versions of a generation that hold, in their order.
    fn chain(
        &mut self,
        generation: &Generation,
        next: Option<Link>,
        is_last: bool,
        report: &mut Report<'_>,
        manifest: &mut Manifest,
    ) -> Vec<Link> {
        let hits = if is_last { Hits::Store } else { Hits::Mended };
        let mut holds: Vec<Link> = generation.base.into_iter().collect();
        let start = generation.base.map_or_else(Head::default, |base| base.head);
        let mut missing: Option<Head> = None;
        for &edit in generation.edits.iter().filter(|edit| edit.version > start.version) {
            let bases = usize::from(generation.base.is_some());
            let follows = if edit.previous == start {
                Some(bases)
            } else {
                holds[bases..].iter().position(|before| before.head == edit.previous).map(|at| bases + at + 1)
            };
            let Some(kept) = follows else {
                missing = missing.or(Some(edit.previous));
                break;
            };
            holds.truncate(kept);
            holds.push(edit);
        }
        let end = holds.last().map_or(start, |link| link.head);
        if let Some(next) = next
            && missing.is_none()
            && next.head != end
        {
            missing = Some(next.head);
        }
        if let Some(missing) = missing {
            manifest.is_incomplete |= is_last;
            self.miss(missing, generation, hits, report);
        }
        holds
    }

    /// A version that others follow is not there, or doesn't check.
    fn miss(&mut self, missing: Head, generation: &Generation, hits: Hits, report: &mut Report<'_>) {
        if self.broken.contains_key(&missing.version) {
            self.followed.insert(missing.version, hits);
            return;
        }
        // Edits that follow none of those there: the checkpoint before them is gone, if no edit is. One that
        // doesn't check is told as such.
        let first = generation.edits.first().map_or(missing.version + 1, |edit| edit.version);
        let is_checkpoint = generation.base.is_none() && first > missing.version + 1;
        let version = if is_checkpoint { first - 1 } else { missing.version };
        if !is_checkpoint || !self.broken.contains_key(&version) {
            let damage = Damage::new("manifest version", "there", "missing");
            report.fault(damage.at(&name(version), 0), hits);
        }
    }

    /// What doesn't check: cut short when it was published, or damaged.
    fn tell_broken(self, report: &mut Report<'_>) {
        for (version, Broken { damage, is_cut, is_checkpoint }) in self.broken {
            match self.followed.get(&version) {
                Some(hits) => report.fault(damage, hits.clone()),
                // What a checkpoint says, the one before it and the edits since say as well.
                None if is_checkpoint => report.fault_unless(is_cut, damage, Hits::Mended),
                None => report.fault_unless(is_cut, damage, Hits::Store),
            }
        }
    }
}

impl Manifest {
    /// Takes over what a version says. A checkpoint must say what the edits before it came to.
    fn apply(&mut self, blobs: &dyn BlobStore, link: Link, report: &mut Report<'_>) {
        let file = name(link.version);
        let Some(bytes) = report.map(blobs, &file) else { return };
        // It checked a moment ago.
        let Ok(found) = read_whole(&bytes, link.version) else { return };
        let entries: Vec<Entry> = found
            .partitions()
            .filter_map(Result::ok)
            .map(|(state, raw)| {
                let offset = (raw.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize) as u64;
                Entry { state, version: link.version, offset }
            })
            .collect();
        let place = (found.info.log_floor, found.info.released);
        if link.kind == VersionKind::Checkpoint {
            let is_first = self.partitions.is_empty() && self.log_floor == (0, 0);
            let is_same = entries.len() == self.partitions.len()
                && (&self.log_floor, &self.released) == (&place.0, &place.1)
                && entries.iter().all(|entry| {
                    self.partitions.get(&entry.state.incarnation).is_some_and(|old| old.state == entry.state)
                });
            if !is_first && !is_same && !self.is_incomplete {
                let damage = Damage::new("checkpoint", "what the edits before it say", "something else");
                report.fault(damage.at(&file, 0), Hits::Store);
            }
            self.partitions.clear();
        }
        self.partitions.extend(entries.into_iter().map(|entry| (entry.state.incarnation, entry)));
        for removed in &found.removed {
            self.partitions.remove(removed);
        }
        (self.log_floor, self.released) = place;
    }
}

impl Entry {
    /// Whether the partition's key is where the entry says, and the key opens its identity.
    fn check(&self, keys: &StoreKeys, report: &mut Report<'_>) {
        let state = &self.state;
        let incarnation = state.incarnation;
        if keys.is_gone(&incarnation) {
            let damage = Damage::new("PartitionEntry", "removed, for its key is", "there");
            return report.note(self.located(damage));
        }
        let slot = keys.slot(state.key_slot).filter(|slot| slot.incarnation == incarnation);
        if slot.is_none_or(|slot| slot.state() != SlotState::Live) {
            let damage = Damage::new("PartitionEntry.key_slot", "the slot of its key", state.key_slot);
            return report.fault(self.located(damage), report.partition(incarnation));
        }
        if state.is_damaged {
            let damage = Damage::new("PartitionEntry.is_damaged", "0: nothing acknowledged is lost", "1");
            report.note(self.located(damage));
        }
        let Some(key) = keys.partition(&incarnation) else { return };
        if state.sealed_identity.is_empty() && state.is_damaged {
            return;
        }
        match identity_of(state, &key) {
            Ok(identity) => {
                let tag = keys
                    .workspace(&state.workspace)
                    .map(|workspace| workspace.name_tag(&identity.collection, identity.partition.as_deref()));
                let spec = identity.spec;
                report.name(incarnation, identity);
                if tag.is_some_and(|tag| tag != state.name_tag) || spec != state.spec {
                    let damage =
                        Damage::new("PartitionEntry.name_tag", "its identity's", hex(&state.name_tag));
                    report.fault(self.located(damage), report.partition(incarnation));
                }
            }
            Err(damage) => report.fault(self.located(damage), report.partition(incarnation)),
        }
    }
}

/// A version with its entries, checked to stand under its own name.
fn read_whole(bytes: &[u8], version: u64) -> Result<FoundVersion<'_>, Damage> {
    let found = FoundVersion::read(bytes)?;
    if found.info.version != version {
        return Err(Damage::new("FileHeader.number", version, found.info.version));
    }
    found.partitions().try_for_each(|entry| entry.map(drop))?;
    Ok(found)
}

/// Whether what is wrong with a version is what a crash leaves of one that was being published.
fn is_cut(bytes: &[u8], damage: &Damage) -> bool {
    let ends_early = match damage.field {
        "FileHeader" | "ManifestHeader" => true,
        // Its header checks, and says that there was to be more.
        "ManifestHeader.body_bytes" => {
            let [found, there] = [&damage.found, &damage.expected].map(|text| text.parse::<u64>().ok());
            found > there
        }
        _ => false,
    };
    ends_early || is_torn(bytes, 0..bytes.len())
}

fn name(version: u64) -> String {
    format!("manifest/0/{version:016x}")
}

/// The version that a file of this name holds.
fn number(file: &str) -> Option<u64> {
    let version = u64::from_str_radix(file.strip_prefix("manifest/0/")?, 16).ok()?;
    (name(version) == file).then_some(version)
}
