//! What does the log hold after a crash?
//!
//! Each file names the file before it and where that one's last whole batch ends. The newest file with a
//! whole start leads the chain; following it back gives every file whose records count. Only the end of the
//! newest file may be torn: a bad batch there with a valid later one behind it, or any bad batch before an
//! end that the next file has confirmed, is damage.

use super::file_tag;
use crate::io::{Fault, LogFile, LogStore};
use strongroom_format::Damage;
use strongroom_format::log::{
    ALIGN, BatchPlace, FoundRecord, Previous, Start, decode_batch, decode_start, later_batch_follows,
};

/// The files that count, found but not yet read.
pub struct Recovery<'a> {
    store: &'a dyn LogStore,
    /// Oldest first, each with the end that the file after it confirmed.
    chain: Vec<(LogFile, Option<u64>)>,
}

/// What recovery learned of the log as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The file that the next run chains to.
    pub previous: Option<Previous>,
    /// One more than the highest number seen.
    pub next_record: u64,
    /// The highest run that ever began a file, whole or not.
    pub last_run: u64,
}

impl<'a> Recovery<'a> {
    /// Finds the chain of files from `floor` on.
    pub fn find(store: &'a dyn LogStore, floor: LogFile) -> Result<Self, Fault> {
        let files = store.list()?;
        let mut chain: Vec<(LogFile, Option<u64>)> = Vec::new();
        let mut wanted: Option<Previous> = None;
        for &file in files.iter().rev().filter(|&&file| file >= floor) {
            if let Some(previous) = wanted
                && file != (LogFile { run: previous.run, number: previous.number })
            {
                if file < (LogFile { run: previous.run, number: previous.number }) {
                    return Err(missing(previous));
                }
                continue;
            }
            let bytes = store.replay(file)?;
            match decode_start(&bytes) {
                Ok(start) => {
                    chain.push((file, wanted.map(|previous| previous.end)));
                    match start.previous {
                        None => {
                            wanted = None;
                            break;
                        }
                        some => wanted = some,
                    }
                }
                // Its start never became durable, so nothing in it was acknowledged.
                Err(_) if wanted.is_none() && bytes.len() <= ALIGN => {}
                Err(damage) => return Err(damage.at(&file.to_string(), 0).into()),
            }
        }
        if let Some(previous) = wanted
            && (LogFile { run: previous.run, number: previous.number }) >= floor
        {
            return Err(missing(previous));
        }
        chain.reverse();
        Ok(Self { store, chain })
    }

    /// Reads every record, oldest first, with the id of its file.
    pub fn visit(
        &self,
        mut record: impl FnMut(&[u8; 16], &FoundRecord<'_>) -> Result<(), Fault>,
    ) -> Result<Recovered, Fault> {
        let mut recovered = Recovered::default();
        for &(file, confirmed_end) in &self.chain {
            let name = file.to_string();
            let bytes = self.store.replay(file)?;
            let start = decode_start(&bytes).map_err(|damage| damage.at(&name, 0))?;
            let end = visit_batches(&name, &bytes, &start, confirmed_end, |found| {
                recovered.next_record = recovered.next_record.max(found.record + 1);
                record(&start.header.file_id, found)
            })?;
            recovered.next_record = recovered.next_record.max(start.first_record);
            recovered.previous = Some(Previous { run: file.run, number: file.number, end });
        }
        recovered.last_run = self.store.list()?.last().map_or(0, |file| file.run);
        Ok(recovered)
    }
}

fn visit_batches(
    name: &str,
    bytes: &[u8],
    start: &Start,
    confirmed_end: Option<u64>,
    mut record: impl FnMut(&FoundRecord<'_>) -> Result<(), Fault>,
) -> Result<u64, Fault> {
    let file_tag = file_tag(&start.header.file_id);
    let mut place = BatchPlace { file_tag, batch: 0, previous_crc32: start.crc32, offset: ALIGN as u64 };
    let limit = confirmed_end.unwrap_or(bytes.len() as u64);
    if limit > bytes.len() as u64 {
        return Err(Damage::new("log file", limit, bytes.len()).at(name, 0).into());
    }
    while place.offset < limit {
        let rest = &bytes[place.offset as usize..];
        let batch = match decode_batch(rest, place) {
            Ok(batch) => batch,
            Err(_) if confirmed_end.is_none() && !later_batch_follows(rest, file_tag, place.batch) => break,
            Err(damage) => return Err(damage.at(name, place.offset).into()),
        };
        for found in &batch.records {
            record(found)?;
        }
        place.offset += batch.bytes as u64;
        place.batch += 1;
        place.previous_crc32 = batch.crc32;
    }
    if confirmed_end.is_some_and(|end| end != place.offset) {
        return Err(Damage::new("LogStart.previous_end", limit, place.offset).at(name, place.offset).into());
    }
    Ok(place.offset)
}

fn missing(previous: Previous) -> Fault {
    let file = LogFile { run: previous.run, number: previous.number };
    Damage::new("log file", "there", "missing").at(&file.to_string(), 0).into()
}
