//! Is every segment that the manifest names whole, and is nothing else in the segment files?
//!
//! What no segment covers was erased: it is zero. While an erasure is under way it may be anything, and a
//! segment that was written and never published may be left over as well. Files that nothing names are collected
//! when the store is opened.

use super::Hits;
use super::keys::StoreKeys;
use super::manifest::Manifest;
use super::report::Report;
use super::segment::Sealed;
use crate::io::BlobStore;
use crate::segment::file_name;
use std::collections::BTreeMap;
use std::ops::Range;
use strongroom_format::Damage;
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::manifest::SegmentPlace;
use strongroom_format::record::CollectionSpec;
use strongroom_format::segment::{BlockHeader, SegmentHeader};

/// Why a range of a segment file is as it is.
enum Use {
    /// A partition's segment.
    Segment { incarnation: [u8; 16], spec: CollectionSpec },
    /// Nobody needs it any more, and it may be erased or not.
    Released,
}

type Uses = BTreeMap<u64, Vec<(SegmentPlace, Use)>>;

/// Reads all files.
pub(super) fn check(
    blobs: &dyn BlobStore,
    files: &[String],
    manifest: &Manifest,
    keys: &StoreKeys,
    report: &mut Report<'_>,
) {
    let mut named = ranges(manifest, keys);
    for file in files {
        let Some(bytes) = report.map(blobs, file) else { continue };
        match named.remove(file) {
            Some(uses) => check_file(file, &bytes, &uses, manifest, keys, report),
            None => {
                let found = if manifest.is_incomplete { "unknown" } else { "nowhere" };
                report.note(Damage::new("segment file", "named by the manifest", found).at(file, 0));
            }
        }
        report.file(bytes.len());
    }
    for (file, uses) in named {
        for (place, what) in uses.into_values().flatten() {
            if let Use::Segment { incarnation, .. } = what {
                let damage = Damage::new("segment file", "there", "missing").at(&file, place.offset);
                report.fault(damage, report.partition(incarnation));
            }
        }
    }
}

/// The ranges of each file that the manifest speaks of, by their offset.
fn ranges(manifest: &Manifest, keys: &StoreKeys) -> BTreeMap<String, Uses> {
    let mut named: BTreeMap<String, Uses> = BTreeMap::new();
    let mut add = |place: &SegmentPlace, what| {
        named.entry(file_name(place)).or_default().entry(place.offset).or_default().push((*place, what));
    };
    for (&incarnation, entry) in &manifest.partitions {
        for place in &entry.state.segments {
            let spec = entry.state.spec;
            let is_gone = keys.is_gone(&incarnation);
            add(place, if is_gone { Use::Released } else { Use::Segment { incarnation, spec } });
        }
    }
    manifest.released.iter().for_each(|place| add(place, Use::Released));
    named
}

fn check_file(
    file: &str,
    bytes: &[u8],
    uses: &Uses,
    manifest: &Manifest,
    keys: &StoreKeys,
    report: &mut Report<'_>,
) {
    let header = FileHeader::read(bytes, FileKind::Segments);
    match &header {
        Ok(header) => {
            let (epoch, file_id) = (header.run.get(), header.file_id);
            let named = SegmentPlace { epoch, file_id, offset: 0, bytes: 0, documents: 0, rows: 0 };
            if file_name(&named) != file {
                let damage = Damage::new("FileHeader.file_id", "as the name says", "another");
                report.fault(damage.at(file, 0), Hits::Nobody);
            }
        }
        // Nobody looks at it but here.
        Err(damage) => report.fault(damage.clone().at(file, 0), Hits::Nobody),
    }
    let mut end = FileHeader::BYTES as u64;
    for (place, what) in uses.values().flatten() {
        if place.offset < end {
            let damage = Damage::new("SegmentRef.offset", format_args!("at least {end}"), place.offset);
            report.fault(damage.at(file, place.offset), Hits::Store);
        } else {
            gap(file, bytes, end..place.offset, manifest, keys, report);
        }
        end = end.max(place.offset.saturating_add(place.bytes));
        let Use::Segment { incarnation, spec } = *what else { continue };
        let key = keys.partition(&incarnation);
        let hits = report.partition(incarnation);
        let sealed = Sealed { file: bytes, place: *place, incarnation, spec };
        sealed.check(key.as_ref(), &mut |damage| report.fault(damage.at(file, 0), hits.clone()));
        report.verified.segments += 1;
    }
    gap(file, bytes, end..bytes.len() as u64, manifest, keys, report);
}

/// A range that nothing names must have been erased.
fn gap(
    file: &str,
    bytes: &[u8],
    range: Range<u64>,
    manifest: &Manifest,
    keys: &StoreKeys,
    report: &mut Report<'_>,
) {
    let length = bytes.len() as u64;
    let (mut at, end) = (range.start.min(length) as usize, range.end.min(length) as usize);
    while let Some(begin) = bytes[at..end].iter().position(|&byte| byte != 0).map(|zeros| at + zeros) {
        let found = |what: &str| Damage::new("erased range", "zeros", what).at(file, begin as u64);
        if let Some(left) = left_over(&bytes[begin..end]) {
            report.note(found("a segment that nothing names"));
            at = begin + left;
        } else if keys.is_erasing() || manifest.is_incomplete {
            return report.note(found("not erased yet"));
        } else {
            return report.fault(found("something else"), Hits::Nobody);
        }
    }
}

/// How long the whole segment is that begins here, if one does.
fn left_over(bytes: &[u8]) -> Option<usize> {
    let header = SegmentHeader::read(bytes).ok()?;
    let segment = bytes.get(..usize::try_from(header.bytes.get()).ok()?)?;
    let (mut at, mut block) = (SegmentHeader::BYTES, 0);
    while at < segment.len() {
        let (_, taken) = BlockHeader::open(&segment[at..], block).ok()?;
        at += taken;
        block += 1;
    }
    (segment.len() >= SegmentHeader::BYTES).then_some(segment.len())
}
