//! What does the log hold after a crash?
//!
//! Each file names the file before it and where that one's last whole batch ends. The newest file with a
//! whole start leads the chain; following it back gives every file whose records count. What lies between
//! two files of the chain, or after the newest, and has no whole start, is what a failed or interrupted
//! rotation left: nothing in it was acknowledged.
//!
//! Only the end of the newest file may be torn: a batch that doesn't check, with no later batch of the file
//! behind it. Whatever else doesn't check is damage, for it was durable: the next file confirms the end of the
//! one before, a batch that of all before it. Damage is mended from the second copy, or laid at the door of
//! the record that it hit; what neither helps is told as the whole log's.

use super::file_tag;
use crate::io::{Fault, LogFile, LogStore};
use strongroom_format::Damage;
use strongroom_format::log::{
    ALIGN, BatchPlace, FoundBatch, FoundRecord, Previous, Start, decode_batch, decode_start, later_batch,
};

/// The files that count, found but not yet read.
pub struct Recovery<'a> {
    store: &'a dyn LogStore,
    /// Oldest first, each with the end that the file after it confirmed.
    chain: Vec<(LogFile, Option<u64>)>,
}

/// What recovery learned of the log as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The file that the next run chains to.
    pub previous: Option<Previous>,
    /// One more than the highest number seen.
    pub next_record: u64,
    /// The highest run that ever began a file, whole or not.
    pub last_run: u64,
    /// Damage that cost nothing: it hit one of two copies, or padding.
    pub notes: Vec<Damage>,
}

impl<'a> Recovery<'a> {
    /// Finds the chain of files from `floor` on: the file that was being written when the manifest was, and
    /// whose absence is therefore damage.
    pub fn find(store: &'a dyn LogStore, floor: LogFile) -> Result<Self, Fault> {
        let files = store.list()?;
        let mut chain: Vec<(LogFile, Option<u64>)> = Vec::new();
        let mut wanted: Option<Previous> = None;
        for &file in files.iter().rev().filter(|&&file| file >= floor) {
            if let Some(previous) = wanted
                && file != name_of(previous)
            {
                if file < name_of(previous) {
                    return Err(missing(name_of(previous)));
                }
                continue;
            }
            let bytes = store.replay(file)?;
            match read_start(file, &bytes) {
                Ok(start) => {
                    chain.push((file, wanted.map(|previous| previous.end)));
                    wanted = start.previous;
                    if wanted.is_none() {
                        break;
                    }
                }
                // Its start never became durable, so nothing in it was acknowledged.
                Err(_) if wanted.is_none() && bytes.len() <= ALIGN => {}
                Err(damage) => return Err(damage.into()),
            }
        }
        if let Some(previous) = wanted
            && name_of(previous) >= floor
        {
            return Err(missing(name_of(previous)));
        }
        // Runs count from 1: a floor of 0 is that of a manifest that was never written.
        if floor.run > 0 && chain.last().is_none_or(|(oldest, _)| *oldest != floor) {
            return Err(missing(floor));
        }
        chain.reverse();
        Ok(Self { store, chain })
    }

    /// Reads every record, oldest first, with the id of its file. Of a record whose sealed bytes are damaged,
    /// the directory still says whose it is: it is handed out as well, the damage in place of the bytes.
    pub fn visit(
        &self,
        mut record: impl FnMut(&[u8; 16], &FoundRecord<'_>) -> Result<(), Fault>,
    ) -> Result<Recovered, Fault> {
        let mut recovered = Recovered::default();
        for &(file, confirmed_end) in &self.chain {
            let name = file.to_string();
            let bytes = self.store.replay(file)?;
            let start = read_start(file, &bytes)?;
            recovered.notes.extend(start.mended.clone().map(|damage| damage.at(&name, 0)));
            recovered.next_record = recovered.next_record.max(start.first_record);
            let mut batches = Batches::new(&bytes, &start, confirmed_end);
            while let Some((offset, batch)) = batches.next(&name)? {
                recovered.notes.extend(batch.mended.map(|damage| damage.at(&name, offset)));
                for mut found in batch.records {
                    found.sealed = found.sealed.map_err(|damage| damage.at(&name, offset));
                    recovered.next_record = recovered.next_record.max(found.record.saturating_add(1));
                    record(&start.header.file_id, &found)?;
                }
            }
            let end = batches.place.offset;
            recovered.previous = Some(Previous { run: file.run, number: file.number, end });
        }
        recovered.last_run = self.store.list()?.last().map_or(0, |file| file.run);
        Ok(recovered)
    }
}

/// The batches of one file, in their order.
struct Batches<'a> {
    bytes: &'a [u8],
    confirmed_end: Option<u64>,
    /// Of the batch to come.
    place: BatchPlace,
}

impl<'a> Batches<'a> {
    fn new(bytes: &'a [u8], start: &Start, confirmed_end: Option<u64>) -> Self {
        let file_tag = file_tag(&start.header.file_id);
        let place = BatchPlace { file_tag, batch: 0, previous_crc32: start.crc32, offset: ALIGN as u64 };
        Self { bytes, confirmed_end, place }
    }

    /// The next batch and where it begins; `None` at the end, be it torn or confirmed.
    fn next(&mut self, name: &str) -> Result<Option<(u64, FoundBatch<'a>)>, Fault> {
        let (offset, length) = (self.place.offset, self.bytes.len() as u64);
        let end = self.confirmed_end.unwrap_or(length);
        if end > length {
            return Err(Damage::new("log file", format_args!("{end} bytes"), length).at(name, 0).into());
        }
        if offset >= end {
            return if self.confirmed_end.is_none_or(|end| end == offset) {
                Ok(None)
            } else {
                Err(Damage::new("LogStart.previous_end", end, offset).at(name, offset).into())
            };
        }
        let rest = &self.bytes[offset as usize..end as usize];
        let batch = match self.read(rest) {
            Ok(Some(batch)) => batch,
            Ok(None) => return Ok(None),
            Err(damage) => return Err(damage.at(name, offset).into()),
        };
        self.place.offset += batch.bytes as u64;
        self.place.batch += 1;
        self.place.previous_crc32 = batch.crc32;
        Ok(Some((offset, batch)))
    }

    /// The batch that begins `rest`, or `None` when it is torn.
    fn read(&self, rest: &'a [u8]) -> Result<Option<FoundBatch<'a>>, Damage> {
        let by_header = decode_batch(rest, self.place, None);
        if by_header.as_ref().is_ok_and(FoundBatch::is_whole) {
            return by_header.map(Some);
        }
        let later = later_batch(rest, self.place.file_tag, self.place.batch);
        // Where the header's copy ends: before the very next batch, or with the file.
        let end = match later {
            Some((begins, is_next)) => is_next.then_some(begins),
            None => Some(rest.len() / ALIGN * ALIGN),
        };
        let found = by_header.or_else(|_| decode_batch(rest, self.place, end));
        let is_tail = self.confirmed_end.is_none() && later.is_none();
        match found {
            Ok(batch) if is_tail && !batch.is_whole() => Ok(None),
            Err(_) if is_tail => Ok(None),
            found => found.map(Some),
        }
    }
}

/// Reads the start of the file that has this name.
fn read_start(file: LogFile, bytes: &[u8]) -> Result<Start, Damage> {
    let name = file.to_string();
    let start = decode_start(bytes).map_err(|damage| damage.at(&name, 0))?;
    let found = LogFile { run: start.header.run.get(), number: start.header.number.get() };
    if found != file {
        return Err(Damage::new("FileHeader.number", file, found).at(&name, 0));
    }
    Ok(start)
}

fn name_of(previous: Previous) -> LogFile {
    LogFile { run: previous.run, number: previous.number }
}

fn missing(file: LogFile) -> Fault {
    Damage::new("log file", "there", "missing").at(&file.to_string(), 0).into()
}
