//! What do the first 64 bytes of every file say?

use crate::layout::{check_crc, crc_of, zero};
use crate::{Damage, FORMAT_VERSION, layout};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

/// The first eight bytes of every file.
pub const MAGIC: [u8; 8] = *b"STRONGRM";

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum FileKind {
    /// Batches of sealed records.
    Log = 1,
    /// Sealed segments of one or more partitions.
    Segments = 2,
    /// One version of a shard's manifest.
    Manifest = 3,
    /// What is signed about one erasure.
    Receipt = 4,
}

layout! {
    /// Begins every log, segment, manifest and receipt file. (The keyring's files are slots alone.)
    FileHeader: 64 {
        /// [`MAGIC`].
        magic: [u8; 8],
        /// [`FORMAT_VERSION`].
        version: U32,
        /// A [`FileKind`].
        kind: U32,
        /// Random: the salt of every subkey that seals something in this file.
        file_id: [u8; 16],
        /// Which life of the process wrote it.
        run: U64,
        /// A log file's number in its run, from 0; a manifest's version, from 1; 0 elsewhere.
        number: U64,
        /// Zero.
        reserved: [u8; 12],
        /// Over the 60 bytes before.
        crc32: U32,
    }
}

impl FileHeader {
    /// A header for a new file.
    pub fn new(kind: FileKind, file_id: [u8; 16], run: u64, number: u64) -> Self {
        let mut header = Self {
            magic: MAGIC,
            version: U32::new(FORMAT_VERSION),
            kind: U32::new(kind as u32),
            file_id,
            run: U64::new(run),
            number: U64::new(number),
            reserved: [0; 12],
            crc32: U32::ZERO,
        };
        header.crc32 = crc_of(header.as_bytes());
        header
    }

    /// Reads and checks the header of a file of this kind.
    pub fn read(bytes: &[u8], kind: FileKind) -> Result<Self, Damage> {
        let (header, _) = Self::read_from_prefix(bytes)
            .map_err(|_| Damage::new("FileHeader", "64 bytes", format_args!("{} bytes", bytes.len())))?;
        if header.magic != MAGIC {
            return Err(Damage::new("FileHeader.magic", "STRONGRM", String::from_utf8_lossy(&header.magic)));
        }
        check_crc("FileHeader.crc32", header.as_bytes())?;
        if header.version.get() != FORMAT_VERSION {
            return Err(Damage::new("FileHeader.version", FORMAT_VERSION, header.version));
        }
        if header.kind.get() != kind as u32 {
            return Err(Damage::new("FileHeader.kind", kind as u32, header.kind));
        }
        if matches!(kind, FileKind::Segments | FileKind::Receipt) {
            zero("FileHeader.number", header.number.as_bytes())?;
        }
        zero("FileHeader.reserved", &header.reserved)?;
        Ok(header)
    }
}
