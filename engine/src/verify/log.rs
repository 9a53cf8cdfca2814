//! Is every batch of the log whole, and does every record open?
//!
//! Follows the chain of files backwards from the newest that has a whole start, as recovery does, and reads every
//! batch of each. Only the end of the newest file may be torn, and what lies behind the end that the next file
//! confirms. Files before the manifest's floor are leftovers: they are read all the same, but nobody depends on
//! them.

use super::Hits;
use super::keys::StoreKeys;
use super::manifest::Manifest;
use super::report::Report;
use super::torn::is_torn;
use crate::io::{LogFile, LogStore};
use crate::partition::open_record;
use std::collections::HashSet;
use strongroom_format::Damage;
use strongroom_format::header::FileHeader;
use strongroom_format::keyring::SlotState;
use strongroom_format::log::{
    ALIGN, BatchHeader, BatchPlace, DirectoryEntry, FoundBatch, FoundRecord, LogStart, START_COPY, Start,
    decode_batch, decode_start, later_batch,
};
use strongroom_format::record::{Change, DropNote, Identity, RecordKind, decode_put};
use zerocopy::FromBytes;

/// The incarnations that the log has records of.
#[derive(Default)]
pub(super) struct Claimed(pub(super) HashSet<[u8; 16]>);

/// Reads all files.
pub(super) fn check(
    store: &dyn LogStore,
    files: &[LogFile],
    manifest: &Manifest,
    keys: &StoreKeys,
    report: &mut Report<'_>,
) -> Claimed {
    let floor = LogFile { run: manifest.log_floor.0, number: manifest.log_floor.1 };
    let mut check = Check { store, floor, manifest, keys, claimed: Claimed::default() };
    let chain = check.chain(files, report);
    for (file, confirmed_end) in chain.into_iter().rev() {
        check.file(file, confirmed_end, report);
    }
    check.claimed
}

struct Check<'a> {
    store: &'a dyn LogStore,
    /// The first file that is still needed.
    floor: LogFile,
    manifest: &'a Manifest,
    keys: &'a StoreKeys,
    claimed: Claimed,
}

impl Check<'_> {
    /// The files that count, newest first, each with the end that the file after it confirmed.
    fn chain(&self, files: &[LogFile], report: &mut Report<'_>) -> Vec<(LogFile, Option<u64>)> {
        let mut chain: Vec<(LogFile, Option<u64>)> = Vec::new();
        // The file that must come next, and where it ends; `None` before the newest was found, and after an end.
        let mut wanted: Option<(LogFile, u64)> = None;
        let mut is_ended = false;
        for &file in files.iter().rev() {
            let name = file.to_string();
            if let Some((missing, _)) = wanted.filter(|(wanted, _)| file < *wanted) {
                self.missing(missing, report);
                (wanted, is_ended) = (None, true);
            }
            let Some(bytes) = report.whole(&name, self.store.replay(file)) else { continue };
            let start = read_start(file, &bytes);
            let is_next = wanted.is_none_or(|(wanted, _)| wanted == file);
            match start {
                Ok(start) if is_next && !is_ended => {
                    let previous = start.previous.map(|p| (LogFile { run: p.run, number: p.number }, p.end));
                    chain.push((file, wanted.map(|(_, end)| end)));
                    (wanted, is_ended) = (previous, previous.is_none());
                }
                Ok(_) => {
                    let damage =
                        Damage::new("log file", "one that a later file names", "another").at(&name, 0);
                    report.fault_unless(file < self.floor, damage, Hits::Store);
                    report.file(bytes.len());
                }
                // Its start never became durable, so nothing in it was acknowledged.
                Err(damage) if bytes.len() <= ALIGN && (wanted.is_none() || !is_next) => {
                    report.note(damage);
                    report.file(bytes.len());
                }
                Err(damage) => {
                    let hits = if file < self.floor { Hits::Nobody } else { Hits::Store };
                    report.fault(damage, hits);
                    report.file(bytes.len());
                    // Where the files before it end, nobody can tell.
                    (wanted, is_ended) = (None, false);
                }
            }
        }
        if let Some((missing, _)) = wanted {
            self.missing(missing, report);
        } else if self.floor.run > 0 && !files.contains(&self.floor) {
            self.missing(self.floor, report);
        }
        chain
    }

    /// A file that a later one names is not there. Those before the floor are deleted, the oldest first.
    fn missing(&self, file: LogFile, report: &mut Report<'_>) {
        if file >= self.floor {
            let damage = Damage::new("log file", "there", "missing");
            report.fault(damage.at(&file.to_string(), 0), Hits::Store);
        }
    }

    /// Every batch of one file.
    fn file(&mut self, file: LogFile, confirmed_end: Option<u64>, report: &mut Report<'_>) {
        let name = file.to_string();
        let Some(bytes) = report.whole(&name, self.store.replay(file)) else { return };
        report.file(bytes.len());
        let Ok(start) = read_start(file, &bytes) else { return };
        if let Some(damage) = start.mended.clone() {
            const COPY_BYTES: usize = FileHeader::BYTES + LogStart::BYTES;
            let is_cut = [0, START_COPY].into_iter().any(|at| is_torn(&bytes, at..at + COPY_BYTES));
            let hits = copy_or_padding(&damage);
            report.fault_unless(is_cut, damage.at(&name, 0), hits);
        }
        let mut walk = Walk::new(&name, &bytes, &start, confirmed_end);
        while let Some((offset, batch)) = walk.next(report) {
            for found in &batch.records {
                self.record(&name, offset, &start, file, found, report);
            }
        }
    }

    /// One record: its checksum, and with its key what it says.
    fn record(
        &mut self,
        name: &str,
        offset: u64,
        start: &Start,
        file: LogFile,
        found: &FoundRecord<'_>,
        report: &mut Report<'_>,
    ) {
        report.verified.records += 1;
        self.claimed.0.insert(found.incarnation);
        let damage = match &found.sealed {
            Err(damage) => Err(damage.clone()),
            Ok(_) if found.record < start.first_record => Err(Damage::new(
                "DirectoryEntry.record",
                format_args!("at least {}", start.first_record),
                found.record,
            )),
            Ok(sealed) => self.opens(start, found, sealed, report),
        };
        if let Err(damage) = damage {
            let is_left = self.is_unknown_leftover(file, &damage);
            let hits = self.hits(file, found, report);
            report.fault_unless(is_left, damage.at(name, offset), hits);
        }
    }

    /// Whether a record is of an incarnation that nobody knows any more, in a file that nobody needs.
    fn is_unknown_leftover(&self, file: LogFile, damage: &Damage) -> bool {
        file < self.floor && damage.field == "DirectoryEntry.incarnation"
    }

    /// Whom it hits that a record can't be read.
    fn hits(&self, file: LogFile, found: &FoundRecord<'_>, report: &Report<'_>) -> Hits {
        let is_flushed = || {
            let entry = self.manifest.partitions.get(&found.incarnation);
            entry.is_some_and(|entry| found.record <= entry.state.flushed_through)
        };
        match found.kind {
            // That it was dropped stands in the directory.
            RecordKind::DropPartition | RecordKind::DropWorkspace | RecordKind::Replace => Hits::Nobody,
            _ if file < self.floor || self.keys.is_gone(&found.incarnation) || is_flushed() => Hits::Nobody,
            _ => report.partition(found.incarnation),
        }
    }

    /// Whether a record opens under its key and says what its kind may say. Records whose key was destroyed
    /// need not.
    fn opens(
        &self,
        start: &Start,
        found: &FoundRecord<'_>,
        sealed: &[u8],
        report: &mut Report<'_>,
    ) -> Result<(), Damage> {
        let incarnation = found.incarnation;
        if self.keys.state(&incarnation) == SlotState::Free && !self.keys.is_incomplete {
            return Err(Damage::new("DirectoryEntry.incarnation", "one of the keyring's", "unknown"));
        }
        let partition;
        let key = match found.kind {
            RecordKind::DropWorkspace => self.keys.root(),
            RecordKind::DropPartition | RecordKind::Replace => self.keys.above(&incarnation),
            RecordKind::Genesis | RecordKind::Put | RecordKind::Change | RecordKind::Amend => {
                partition = self.keys.partition(&incarnation);
                partition.as_ref()
            }
        };
        let Some(key) = key else { return Ok(()) };
        let plain = open_record(key, incarnation, start.header.file_id, found.record, found.kind, sealed)
            .map_err(|_| Damage::new("log record", "sealed under its key for its place", "not"))?;
        match found.kind {
            RecordKind::Genesis | RecordKind::Amend => {
                let identity = Identity::decode(&plain)?;
                let above = self.keys.above(&incarnation);
                let tag = above.map(|key| key.name_tag(&identity.collection, identity.partition.as_deref()));
                report.name(incarnation, identity);
                if tag.is_some_and(|tag| tag != found.name_tag) {
                    return Err(Damage::new("DirectoryEntry.name_tag", "its identity's", "another"));
                }
            }
            RecordKind::Put => {
                let Some(dimension) = report.dimension(&incarnation) else { return Ok(()) };
                let document = decode_put(&plain, dimension)?;
                if !document.vectors.iter().all(|component| component.is_finite()) {
                    return Err(Damage::new("Put.vectors", "finite components", "others"));
                }
            }
            RecordKind::Change => drop(Change::decode(&plain)?),
            RecordKind::DropPartition | RecordKind::DropWorkspace | RecordKind::Replace => {
                DropNote::decode(&plain)?;
            }
        }
        Ok(())
    }
}

/// Reads the start of the file that has this name.
fn read_start(file: LogFile, bytes: &[u8]) -> Result<Start, Damage> {
    let name = file.to_string();
    let start = decode_start(bytes).map_err(|damage| damage.at(&name, 0))?;
    let found = LogFile { run: start.header.run.get(), number: start.header.number.get() };
    if found == file { Ok(start) } else { Err(Damage::new("FileHeader.number", file, found).at(&name, 0)) }
}

fn copy_or_padding(damage: &Damage) -> Hits {
    if damage.field.ends_with("padding") { Hits::Nobody } else { Hits::Mended }
}

/// The batches of one file, in their order, past those that can't be read.
struct Walk<'a> {
    name: &'a str,
    bytes: &'a [u8],
    confirmed_end: Option<u64>,
    /// Of the batch to come; `None` when there is none.
    place: Option<BatchPlace>,
}

impl<'a> Walk<'a> {
    fn new(name: &'a str, bytes: &'a [u8], start: &Start, confirmed_end: Option<u64>) -> Self {
        let mut file_tag = [0; 8];
        file_tag.copy_from_slice(&start.header.file_id[..8]);
        let place = BatchPlace { file_tag, batch: 0, previous_crc32: start.crc32, offset: ALIGN as u64 };
        Self { name, bytes, confirmed_end, place: Some(place) }
    }

    /// The next batch that can be read, and where it begins.
    fn next(&mut self, report: &mut Report<'_>) -> Option<(u64, FoundBatch<'a>)> {
        loop {
            let place = self.place?;
            let there = self.bytes.len() as u64;
            let end = self.confirmed_end.unwrap_or(there);
            if place.offset >= end.min(there) {
                self.place = None;
                self.end(place.offset, end, there, report);
                return None;
            }
            let whole = self.bytes;
            let rest = &whole[place.offset as usize..end.min(there) as usize];
            match self.read(rest, place, report) {
                Some(batch) => {
                    let offset = place.offset + batch.bytes as u64;
                    let next =
                        BatchPlace { batch: place.batch + 1, previous_crc32: batch.crc32, offset, ..place };
                    self.place = Some(next);
                    return Some((place.offset, batch));
                }
                None => self.place = self.resume(rest, place),
            }
        }
    }

    /// What is behind the last batch.
    fn end(&self, offset: u64, end: u64, there: u64, report: &mut Report<'_>) {
        if end > there {
            let damage = Damage::new("log file", format_args!("{end} bytes"), format_args!("{there} bytes"));
            report.fault(damage.at(self.name, there), Hits::Store);
        } else if offset > end {
            let damage = Damage::new("LogStart.previous_end", end, offset);
            report.fault(damage.at(self.name, end), Hits::Store);
        } else if there > end {
            let damage =
                Damage::new("log tail", "nothing", format_args!("{} bytes that don't count", there - end));
            report.note(damage.at(self.name, end));
        }
    }

    /// The batch that begins `rest`; what is wrong with it is told.
    fn read(&self, rest: &'a [u8], place: BatchPlace, report: &mut Report<'_>) -> Option<FoundBatch<'a>> {
        let by_header = decode_batch(rest, place, None);
        let later = later_batch(rest, place.file_tag, place.batch);
        let ends = match later {
            Some((begins, is_next)) => is_next.then_some(begins),
            None => Some(rest.len() / ALIGN * ALIGN),
        };
        let found = by_header.or_else(|damage| decode_batch(rest, place, ends).map_err(|_| damage));
        let at = place.offset;
        match found {
            Ok(batch) => {
                let is_cut = later.is_none() && is_cut(rest, &batch);
                if self.confirmed_end.is_none() && is_cut && !batch.is_whole() {
                    self.torn(batch.bytes, at, report);
                    return None;
                }
                if let Some(damage) = batch.mended.clone() {
                    let hits = copy_or_padding(&damage);
                    report.fault_unless(is_cut, damage.at(self.name, at), hits);
                }
                Some(batch)
            }
            Err(_) if later.is_none() && self.confirmed_end.is_none() => {
                self.torn(rest.len(), at, report);
                None
            }
            Err(damage) => {
                report.fault(damage.at(self.name, at), Hits::Store);
                None
            }
        }
    }

    fn torn(&self, bytes: usize, at: u64, report: &mut Report<'_>) {
        let found = format!("the beginnings of one, {bytes} bytes that were not acknowledged");
        report.note(Damage::new("log tail", "a whole batch", found).at(self.name, at));
    }

    /// Where to go on behind a batch that can't be read: at the next whose header stands.
    fn resume(&self, rest: &[u8], place: BatchPlace) -> Option<BatchPlace> {
        let (begins, _) = later_batch(rest, place.file_tag, place.batch)?;
        let (header, _) = BatchHeader::read_from_prefix(&rest[begins..]).ok()?;
        let offset = place.offset + begins as u64;
        let previous_crc32 = header.previous_crc32.get();
        Some(BatchPlace { batch: header.batch.get(), previous_crc32, offset, ..place })
    }
}

/// Whether sectors of a batch are missing that hold its records or its copies: the padding between is zero anyway.
fn is_cut(rest: &[u8], batch: &FoundBatch<'_>) -> bool {
    let last = batch.bytes.saturating_sub(BatchHeader::BYTES);
    let headers = [0, last].map(|at| BatchHeader::read_from_prefix(rest.get(at..).unwrap_or_default()).ok());
    // One of the two may be damaged, and claim more than there is.
    let of_batch = headers.into_iter().flatten().filter(|(header, _)| header.crc32.get() == batch.crc32);
    let body_bytes = of_batch.map(|(header, _)| header.body_bytes.get() as usize).min().unwrap_or_default();
    let copy_bytes = BatchHeader::BYTES + batch.records.len() * DirectoryEntry::BYTES;
    let body_end = copy_bytes.saturating_add(body_bytes).min(batch.bytes);
    is_torn(rest, 0..body_end) || is_torn(rest, batch.bytes.saturating_sub(copy_bytes)..batch.bytes)
}
