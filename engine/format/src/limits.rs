//! Which lengths may a file claim? Checked before anything is allocated.

/// A document's content, in bytes.
pub const CONTENT_BYTES_MAX: usize = 100 << 20;
/// A log record before it is sealed, in bytes: a document, its vectors and what goes with it.
pub const RECORD_BYTES_MAX: usize = 512 << 20;
/// Records in one batch of the log.
pub const BATCH_RECORDS_MAX: usize = 1 << 16;
/// What is remembered of one request, in bytes.
pub const MEMO_BYTES_MAX: usize = 1 << 20;
/// A document id, in bytes.
pub const DOCUMENT_ID_BYTES_MAX: usize = 256;
/// A partition's name, in characters (of up to 4 bytes).
pub const PARTITION_NAME_CHARS_MAX: usize = 256;
/// A collection's name, in bytes.
pub const COLLECTION_NAME_BYTES_MAX: usize = 256;
/// A vector's components.
pub const DIMENSION_MAX: usize = 8192;
/// Passages of one document.
pub const PASSAGES_MAX: usize = 1 << 20;
/// Tags of one document.
pub const TAGS_MAX: usize = 64;
/// A tag, in bytes.
pub const TAG_BYTES_MAX: usize = 256;
/// Labels of those who may read one document.
pub const READERS_MAX: usize = 64;
/// Such a label, in bytes.
pub const READER_BYTES_MAX: usize = 256;
/// A document's metadata as JSON text, in bytes: a user's, and what the host notes beside it.
pub const METADATA_BYTES_MAX: usize = 256 << 10;
/// Fields of one document.
pub const FIELDS_MAX: usize = 1 << 14;
/// The path of a field, in bytes.
pub const FIELD_PATH_BYTES_MAX: usize = 1 << 10;
/// Paths and values of all fields of one document, in bytes.
pub const FIELDS_BYTES_MAX: usize = 1 << 20;
/// A filename, media type, entity or source, in bytes.
pub const LABEL_BYTES_MAX: usize = 1 << 10;
/// The plaintext of one block of a segment, in bytes.
pub const BLOCK_BYTES_MAX: usize = 64 << 10;
/// Segments of one partition that a manifest may name.
pub const SEGMENTS_MAX: usize = 1 << 16;
/// Partitions that one manifest may hold.
pub const PARTITIONS_MAX: usize = 1 << 28;
