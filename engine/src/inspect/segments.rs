//! Which segments are in a segment file, and with their keys: which sections and documents?
//!
//! No manifest is needed: a segment's header says how long it is. What was erased is zeros; behind bytes that
//! can't be read the next header is looked for.

use super::{Lines, unread};
use crate::verify::{Opened, Sealed, StoreKeys, hex};
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::manifest::SegmentPlace;
use strongroom_format::segment::{SECTIONS, SEGMENT_MAGIC, SegmentHeader};

pub(super) fn inspect(bytes: &[u8], keys: Option<&StoreKeys>, out: &mut Lines<'_>) {
    let header = out.or_damage(FileHeader::read(bytes, FileKind::Segments), 0);
    if let Some(header) = &header {
        let (epoch, id) = (header.run, hex(&header.file_id));
        out.say(format_args!("segment file: epoch {epoch}, file id {id}"));
    }
    let mut at = FileHeader::BYTES.min(bytes.len());
    while at < bytes.len() {
        let rest = &bytes[at..];
        let zeros = rest.iter().position(|&byte| byte != 0).unwrap_or(rest.len());
        if zeros > 0 {
            unread(out, &rest[..zeros], at);
            at += zeros;
            continue;
        }
        let Some(segment) = out.or_damage(SegmentHeader::read(rest), at as u64) else {
            let skipped = next_header(rest).unwrap_or(rest.len());
            unread(out, &rest[..skipped], at);
            at += skipped;
            continue;
        };
        say_segment(bytes, at, &segment, header.as_ref(), keys, out);
        let length = usize::try_from(segment.bytes.get()).unwrap_or(usize::MAX);
        at = at.saturating_add(length.max(SegmentHeader::BYTES));
    }
}

fn say_segment(
    bytes: &[u8],
    at: usize,
    segment: &SegmentHeader,
    file: Option<&FileHeader>,
    keys: Option<&StoreKeys>,
    out: &mut Lines<'_>,
) {
    let (documents, rows) = (segment.documents, segment.rows);
    let Some(spec) = out.or_damage(segment.spec(), at as u64) else { return };
    let (length, incarnation) = (segment.bytes, hex(&segment.incarnation));
    out.say(format_args!(
        "segment at byte {at}: partition {incarnation}, dimension {}, {}, {documents} documents, {rows} rows, \
         {length} bytes",
        spec.dimension, spec.metric
    ));
    let place = SegmentPlace {
        epoch: file.map_or(0, |file| file.run.get()),
        file_id: file.map_or([0; 16], |file| file.file_id),
        offset: at as u64,
        bytes: segment.bytes.get(),
        documents: segment.documents.get(),
        rows: segment.rows.get(),
    };
    // Without the file's id nothing opens.
    let key = keys.filter(|_| file.is_some()).and_then(|keys| keys.partition(&segment.incarnation));
    let sealed = Sealed { file: bytes, place, incarnation: segment.incarnation, spec };
    let opened = sealed.check(key.as_ref(), &mut |damage| out.damage(&damage, 0));
    match opened {
        Some(opened) => say_sections(at, &opened, out),
        None if keys.is_some() && key.is_none() => out.say(format_args!("  no key opens it")),
        None => {}
    }
}

fn say_sections(at: usize, opened: &Opened, out: &mut Lines<'_>) {
    for (kind, section) in SECTIONS.iter().zip(&opened.sections) {
        let (offset, blocks, plain) = (at as u64 + section.offset, section.blocks(), section.plain_bytes);
        let packed =
            if kind.is_packed() { format!(", packed {}", section.stored_bytes) } else { String::new() };
        let kind = format!("{kind:?}").to_lowercase();
        out.say(format_args!("  {kind} at byte {offset}: {blocks} blocks, {plain} bytes{packed}"));
    }
    for row in opened.directory.iter().flatten() {
        let state = match row.deleted_ms {
            None => "live".to_owned(),
            Some(time) => format!("deleted at {time}"),
        };
        let (id, record, rows, content) = (&row.id, row.record, row.rows, row.content_bytes);
        out.say(format_args!(
            "  document {id:?}: record {record}, {state}, {rows} rows, content of {content} bytes"
        ));
    }
}

/// Where the next header that checks begins.
fn next_header(rest: &[u8]) -> Option<usize> {
    let magic = SEGMENT_MAGIC.to_le_bytes();
    let mut from = 1;
    while let Some(found) = rest.get(from..)?.windows(magic.len()).position(|window| window == magic) {
        if SegmentHeader::read(&rest[from + found..]).is_ok() {
            return Some(from + found);
        }
        from += found + 1;
    }
    None
}
