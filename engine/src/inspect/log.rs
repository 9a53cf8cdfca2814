//! Which batches and records are in a log file?

use super::{Lines, unread};
use crate::verify::hex;
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::log::{
    ALIGN, BatchHeader, BatchPlace, FoundBatch, Start, decode_batch, decode_start, later_batch,
};
use zerocopy::FromBytes;

pub(super) fn inspect(bytes: &[u8], out: &mut Lines<'_>) {
    let Some(start) = out.or_damage(decode_start(bytes), 0) else {
        // The header alone may still stand.
        if let Ok(header) = FileHeader::read(bytes, FileKind::Log) {
            say_header(&header, out);
        }
        return unread(out, bytes.get(FileHeader::BYTES..).unwrap_or_default(), FileHeader::BYTES);
    };
    say_header(&start.header, out);
    if let Some(damage) = &start.mended {
        out.damage(damage, 0);
    }
    match start.previous {
        None => out.say(format_args!("start: no file before it, first record {}", start.first_record)),
        Some(previous) => out.say(format_args!(
            "start: follows log/{:016x}/{:016x} up to byte {}, first record {}",
            previous.run, previous.number, previous.end, start.first_record
        )),
    }
    batches(bytes, &start, out);
}

fn say_header(header: &FileHeader, out: &mut Lines<'_>) {
    let (run, number, id) = (header.run, header.number, hex(&header.file_id));
    out.say(format_args!("log file: run {run}, number {number}, file id {id}"));
}

fn batches(bytes: &[u8], start: &Start, out: &mut Lines<'_>) {
    let mut file_tag = [0; 8];
    file_tag.copy_from_slice(&start.header.file_id[..8]);
    let mut place = BatchPlace { file_tag, batch: 0, previous_crc32: start.crc32, offset: ALIGN as u64 };
    while let Some(rest) = bytes.get(place.offset as usize..).filter(|rest| !rest.is_empty()) {
        let later = later_batch(rest, file_tag, place.batch);
        let end = match later {
            Some((begins, is_next)) => is_next.then_some(begins),
            None => Some(rest.len() / ALIGN * ALIGN),
        };
        let read = decode_batch(rest, place, None);
        let read = read.or_else(|damage| decode_batch(rest, place, end).map_err(|_| damage));
        if let Some(batch) = out.or_damage(read, place.offset) {
            say_batch(&batch, place, out);
            let offset = place.offset + batch.bytes as u64;
            place = BatchPlace { batch: place.batch + 1, previous_crc32: batch.crc32, offset, ..place };
            continue;
        }
        // At the next batch whose header stands.
        let next = later.and_then(|(begins, _)| {
            let (header, _) = BatchHeader::read_from_prefix(&rest[begins..]).ok()?;
            Some((begins, header))
        });
        let skipped = next.as_ref().map_or(rest.len(), |(begins, _)| *begins);
        unread(out, &rest[..skipped], place.offset as usize);
        let Some((begins, header)) = next else { return };
        let offset = place.offset + begins as u64;
        let previous_crc32 = header.previous_crc32.get();
        place = BatchPlace { batch: header.batch.get(), previous_crc32, offset, ..place };
    }
}

fn say_batch(batch: &FoundBatch<'_>, place: BatchPlace, out: &mut Lines<'_>) {
    let (records, bytes) = (batch.records.len(), batch.bytes);
    out.say(format_args!("batch {} at byte {}: {records} records, {bytes} bytes", place.batch, place.offset));
    if let Some(damage) = &batch.mended {
        out.damage(damage, place.offset);
    }
    for found in &batch.records {
        let (kind, incarnation) = (found.kind, hex(&found.incarnation));
        let tag = hex(&found.name_tag);
        let sealed = match &found.sealed {
            Ok(sealed) => format!("{} sealed bytes", sealed.len()),
            Err(_) => "damaged".to_owned(),
        };
        out.say(format_args!("record {}: {kind:?} of {incarnation}, name tag {tag}, {sealed}", found.record));
        if let Err(damage) = &found.sealed {
            out.damage(damage, place.offset);
        }
    }
}
