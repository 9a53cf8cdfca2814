//! Which pieces of the golden files does `format-spec.md` show, and how do they look as text?
//!
//! An example is a heading `### Example: …` and an indented block of lines `name = value`; a value that is bytes
//! stands as hexadecimal digits, over several lines if need be. A structure's first line, `all`, is its bytes, and
//! each of its fields has a line after that. `reading` reads them.

use std::fmt::Write as _;
use std::ops::Range;

use strongroom_format::catalogue::LAYOUTS;
use strongroom_format::document::{Document, Passage};
use strongroom_format::header::FileHeader;
use strongroom_format::layout::Layout;
use strongroom_format::record::{Change, DropNote, Identity, RecordKind, decode_put};
use strongroom_format::segment::TABLE_BYTES;

use super::hex;
use super::scene::{self, DIMENSION};
use super::sealing::{Subkey, authenticated, counting, keyed_hash, name_text};

/// The heading under which they stand: all that follows it in the document is generated.
pub const HEADING: &str = "## Worked examples\n";

/// Bytes of a value on one line.
const LINE_BYTES: usize = 48;

/// Where an example of each structure is.
const STRUCTURES: &[(&str, &str, usize)] = &[
    ("FileHeader", "log.bin", 0),
    ("KeySlot", "keyring.bin", 128),
    ("LogStart", "log.bin", 64),
    ("BatchHeader", "log.bin", 4096),
    ("DirectoryEntry", "log.bin", 4096 + 64),
    ("SegmentHeader", "segments.bin", 64),
    ("BlockHeader", "segments.bin", 128),
    ("SectionEntry", "segments.bin", 0),
    ("ManifestHeader", "manifest-edit.bin", 64),
    ("PartitionEntry", "manifest-edit.bin", 192),
    ("SegmentRef", "manifest-edit.bin", 360),
    ("Receipt", "receipt.bin", 64),
];

/// All that follows [`HEADING`] in the document.
pub fn text() -> String {
    let mut out = String::from(
        "\n\
         From the golden files `tests/golden/v1`, which tell of a partition `acme` of a collection `notes`: of a\n\
         document that was inserted, soft-deleted and purged, of the segment and the manifest that the purge wrote under\n\
         a successor's key, of its receipt, and of the drops of partition and workspace. Written by\n\
         `cargo run -p strongroom-tests --bin golden -- --write`; bytes are hexadecimal, numbers and texts as they are read.\n\n",
    );
    let keys = [
        ("root key", scene::ROOT_KEY),
        ("workspace key", scene::WORKSPACE_KEY),
        ("partition key", scene::PARTITION_KEY),
        ("successor's key", scene::SUCCESSOR_KEY),
    ];
    for (name, key) in keys {
        line(&mut out, name, &hex(&key));
    }
    for &(name, file, at) in STRUCTURES {
        structure(&mut out, name, file, at);
    }
    hashes(&mut out);
    sealed(&mut out);
    out
}

fn line(out: &mut String, name: &str, value: &str) {
    writeln!(out, "    {name} = {value}").expect("a string takes all");
}

fn bytes_line(out: &mut String, name: &str, bytes: &[u8]) {
    let mut lines = bytes.chunks(LINE_BYTES).map(hex);
    line(out, name, &lines.next().unwrap_or_default());
    for more in lines {
        writeln!(out, "        {more}").expect("a string takes all");
    }
}

fn heading(out: &mut String, what: &str) {
    write!(out, "\n### Example: {what}\n\n").expect("a string takes all");
}

/// The layout of this name.
///
/// # Panics
/// When there is none.
pub fn layout(name: &str) -> &'static Layout {
    LAYOUTS.iter().find(|layout| layout.name == name).unwrap_or_else(|| panic!("no structure {name}"))
}

fn structure(out: &mut String, name: &str, file: &str, at: usize) {
    let layout = layout(name);
    // A section's entry lies in the opened table.
    let (bytes, place) = if name == "SectionEntry" {
        (opened_table(), "the opened table of `segments.bin`".to_owned())
    } else {
        (scene::file(file)[at..].to_vec(), format!("`{file}` at {at}"))
    };
    heading(out, &format!("`{name}`"));
    writeln!(out, "{}{}:\n", place[..1].to_uppercase(), &place[1..]).expect("a string takes all");
    let bytes = &bytes[..layout.bytes];
    bytes_line(out, "all", bytes);
    for field in layout.fields {
        let value = &bytes[field.offset..field.offset + field.bytes];
        if field.kind == "bytes" {
            bytes_line(out, field.name, value);
        } else {
            line(out, field.name, &number(value, field.name));
        }
    }
}

/// A number as the examples show it: checksums and magic in hexadecimal.
pub fn number(bytes: &[u8], field: &str) -> String {
    let number = bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    if field.ends_with("crc32") || field == "magic" { format!("{number:#010x}") } else { number.to_string() }
}

fn hashes(out: &mut String) {
    let text = name_text(scene::COLLECTION, Some(scene::PARTITION));
    for (what, key, text) in [
        ("a name tag", &scene::WORKSPACE_KEY, text),
        ("a key fingerprint", &scene::PARTITION_KEY, b"strongroom 1 fingerprint".to_vec()),
    ] {
        heading(out, what);
        bytes_line(out, "key", key);
        bytes_line(out, "text", &text);
        bytes_line(out, "hash", &keyed_hash(key, &text));
    }
}

/// A sealed text, with all that is needed to open it.
struct Sealed<'a> {
    what: &'a str,
    file: &'a str,
    range: Range<usize>,
    subkey: Subkey<'a>,
    nonce: [u8; 12],
    authenticated: Vec<u8>,
}

impl Sealed<'_> {
    fn opened(&self) -> Vec<u8> {
        let sealed = &scene::file(self.file)[self.range.clone()];
        let opened = self.subkey.open(self.nonce, &self.authenticated, sealed);
        opened.unwrap_or_else(|| panic!("{} doesn't open", self.what))
    }

    fn write(&self, out: &mut String, says: Option<String>) {
        heading(out, self.what);
        writeln!(out, "`{}` at {}:\n", self.file, self.range.start).expect("a string takes all");
        bytes_line(out, "key", self.subkey.key);
        bytes_line(out, "salt", &self.subkey.salt);
        line(out, "info", self.subkey.info);
        bytes_line(out, "subkey", &self.subkey.bytes());
        bytes_line(out, "nonce", &self.nonce);
        bytes_line(out, "authenticated", &self.authenticated);
        bytes_line(out, "sealed", &scene::file(self.file)[self.range.clone()]);
        bytes_line(out, "opened", &self.opened());
        if let Some(says) = says {
            line(out, "says", &says);
        }
    }
}

fn table() -> Sealed<'static> {
    let begin = FileHeader::BYTES + 64 + 16;
    Sealed {
        what: "a segment's table, sealed",
        file: "segments.bin",
        range: begin..begin + TABLE_BYTES - 16,
        subkey: scene::segment_key(),
        nonce: counting(0),
        authenticated: authenticated(scene::SUCCESSOR, scene::SEGMENTS_ID, 128, 0),
    }
}

fn opened_table() -> Vec<u8> {
    table().opened()
}

fn sealed(out: &mut String) {
    for (what, number, kind, above, incarnation) in [
        ("a workspace's key, sealed", 0_u32, 1, &scene::ROOT_KEY, scene::WORKSPACE),
        ("a partition's key, sealed", 1, 2, &scene::WORKSPACE_KEY, scene::INCARNATION),
    ] {
        let (file, begin) = ("keyring.bin", 128 * number as usize + 64);
        let nonce = scene::run(0x10 * number as u8 + 1);
        let authenticated = authenticated(incarnation, scene::WORKSPACE, number.into(), kind);
        let (range, subkey) = (begin..begin + 48, scene::child_key(above));
        Sealed { what, file, range, subkey, nonce, authenticated }.write(out, None);
    }
    let mut shown = Vec::new();
    for (index, told) in scene::records().iter().enumerate() {
        if shown.contains(&(told.kind as u8)) {
            continue;
        }
        shown.push(told.kind as u8);
        let (_, nonce, authenticated) = scene::record_place(index, told);
        let (range, subkey) = (scene::record_range(index), scene::log_key(told.key));
        let what = format!("a record of kind {}, sealed", told.kind as u8);
        let record = Sealed { what: &what, file: "log.bin", range, subkey, nonce, authenticated };
        record.write(out, Some(says(told.kind, &told.plain)));
    }
    let length = scene::successor().sealed_identity.len();
    let identity = Sealed {
        what: "an identity, sealed",
        file: "manifest-edit.bin",
        range: 360 + 56..360 + 56 + length,
        subkey: scene::identity_key(),
        nonce: counting(0),
        authenticated: authenticated(scene::SUCCESSOR, [0; 16], 0, 0),
    };
    identity.write(out, Some(says(RecordKind::Genesis, &identity.opened())));
    table().write(out, None);
}

/// What an opened record says, in a line.
///
/// # Panics
/// When it says nothing of its kind.
pub fn says(kind: RecordKind, plain: &[u8]) -> String {
    match kind {
        RecordKind::Genesis | RecordKind::Amend => {
            format!("{:?}", Identity::decode(plain).expect("an identity"))
        }
        RecordKind::Put => put(&decode_put(plain, DIMENSION).expect("a document")),
        RecordKind::Change => format!("{:?}", Change::decode(plain).expect("a change")),
        RecordKind::DropPartition | RecordKind::DropWorkspace | RecordKind::Replace => {
            note(&DropNote::decode(plain).expect("a note"))
        }
    }
}

fn put(document: &Document) -> String {
    let Document { id, version, filename, content_type, tags, metadata, fields, .. } = document;
    let Document { entity, source, created_ms, updated_ms, expires_ms, readers, .. } = document;
    let Document { passages, vectors, .. } = document;
    let content = String::from_utf8_lossy(&document.content);
    let passages: Vec<String> = passages
        .iter()
        .map(|passage| match passage {
            Passage::Range { start, end } => format!("{start} to {end}"),
            Passage::Own(text) => format!("{text:?}"),
        })
        .collect();
    format!(
        "document {id}, version {version}, {filename}, {content_type}, {content:?}, tags {tags:?}, metadata \
         {metadata}, fields {fields:?}, entity {entity:?}, source {source:?}, created {created_ms}, updated {updated_ms:?}, expires \
         {expires_ms:?}, readers {readers:?}, passages \
         {passages:?}, vectors {vectors:?}",
    )
}

fn note(note: &DropNote) -> String {
    let DropNote { partitions, documents, deleted, passages, at_ms, .. } = note;
    let [salt, fingerprint, successor] =
        [note.name_salt, note.key_fingerprint, note.successor].map(|b| hex(&b));
    format!(
        "salt {salt}, name {}, fingerprint {fingerprint}, partitions {partitions}, documents {documents}, deleted \
         {deleted}, passages {passages}, asked for at {at_ms}, successor {successor}",
        hex(&note.name_hash)
    )
}
