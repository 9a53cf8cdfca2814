//! What does a version of the manifest say?

use super::Lines;
use crate::segment::file_name;
use crate::verify::hex;
use strongroom_format::header::{FileHeader, FileKind};
use strongroom_format::manifest::{FoundVersion, PartitionState, SegmentPlace, VersionKind};

pub(super) fn inspect(bytes: &[u8], out: &mut Lines<'_>) {
    let Some(found) = out.or_damage(FoundVersion::read(bytes), 0) else {
        if let Ok(header) = FileHeader::read(bytes, FileKind::Manifest) {
            let (version, run) = (header.number, header.run);
            out.say(format_args!("manifest: version {version}, run {run}; nothing else can be read"));
        }
        return;
    };
    let info = &found.info;
    let kind = match info.kind {
        VersionKind::Checkpoint => "checkpoint",
        VersionKind::Edit => "edit",
    };
    let (version, run, epoch, nonce) = (info.version, info.run, info.epoch, hex(&info.nonce));
    out.say(format_args!("manifest: version {version}, {kind}, run {run}, epoch {epoch}, nonce {nonce}"));
    if let Some(damage) = &found.mended {
        out.damage(damage, 0);
    }
    let (previous, nonce) = (info.previous.version, hex(&info.previous.nonce));
    match info.kind {
        VersionKind::Edit => out.say(format_args!("follows: version {previous}, nonce {nonce}")),
        VersionKind::Checkpoint => out.say(format_args!("holds: version {previous}, nonce {nonce}")),
    }
    let ((run, number), next) = (info.log_floor, info.next_record);
    out.say(format_args!(
        "log: needed from log/{run:016x}/{number:016x} on, records from {next} on are in no segment"
    ));
    for partition in found.partitions() {
        if let Some((state, raw)) = out.or_damage(partition, 0) {
            let offset = (raw.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
            say_partition(&state, offset, out);
        }
    }
    for incarnation in &found.removed {
        out.say(format_args!("removed: {}", hex(incarnation)));
    }
    for place in &info.released {
        say_place("released", place, out);
    }
}

fn say_partition(state: &PartitionState, offset: usize, out: &mut Lines<'_>) {
    let (incarnation, workspace) = (hex(&state.incarnation), hex(&state.workspace));
    let PartitionState { key_slot, spec, flushed_through, documents, deleted, passages, .. } = state;
    out.say(format_args!(
        "partition at byte {offset}: {incarnation}, workspace {workspace}, name tag {}, key in slot {key_slot}, \
         dimension {}, {}, flushed through record {flushed_through}, {documents} documents, {deleted} deleted, \
         {passages} passages",
        hex(&state.name_tag),
        spec.dimension,
        spec.metric
    ));
    if state.replaces != [0; 16] {
        out.say(format_args!("  replaces: {}", hex(&state.replaces)));
    }
    if state.deleted_since_ms != 0 {
        out.say(format_args!("  deleted since: {}", state.deleted_since_ms));
    }
    if state.purge_since_ms != 0 {
        out.say(format_args!("  purge since: {}", state.purge_since_ms));
    }
    if let Some(first_expiry_ms) = state.first_expiry_ms {
        out.say(format_args!("  first expiry: {first_expiry_ms}"));
    }
    if state.is_damaged {
        out.say(format_args!("  lost something that was acknowledged"));
    }
    for place in &state.segments {
        say_place("  segment", place, out);
    }
}

fn say_place(what: &str, place: &SegmentPlace, out: &mut Lines<'_>) {
    let SegmentPlace { offset, bytes, documents, rows, .. } = place;
    let file = file_name(place);
    out.say(format_args!(
        "{what}: {file} at byte {offset}, {bytes} bytes, {documents} documents, {rows} rows"
    ));
}
