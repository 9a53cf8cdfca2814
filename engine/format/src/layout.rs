//! How are fixed structures declared, so that code and `format-spec.md` can be held against each other?
//!
//! [`layout!`](crate::layout!) makes a `#[repr(C)]` struct of unaligned little-endian fields and a table of
//! them. The test suite `spec` compares the tables with the document, both ways.

use zerocopy::little_endian::{U16, U32, U64};

/// A field of a fixed structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Bytes from the structure's start.
    pub offset: usize,
    /// How many bytes it takes.
    pub bytes: usize,
    /// `u8`, `u16`, `u32`, `u64` or `bytes`.
    pub kind: &'static str,
}

/// A fixed structure.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The struct's name.
    pub name: &'static str,
    /// How long it is.
    pub bytes: usize,
    /// Its fields, in order, without gaps.
    pub fields: &'static [Field],
}

/// The name that `format-spec.md` gives a field's type.
pub trait Kind {
    /// `u8`, `u16`, `u32`, `u64` or `bytes`.
    const KIND: &'static str;
}
impl Kind for u8 {
    const KIND: &'static str = "u8";
}
impl Kind for U16 {
    const KIND: &'static str = "u16";
}
impl Kind for U32 {
    const KIND: &'static str = "u32";
}
impl Kind for U64 {
    const KIND: &'static str = "u64";
}
impl<const N: usize> Kind for [u8; N] {
    const KIND: &'static str = "bytes";
}

/// Declares a fixed structure of exactly the given length.
#[macro_export]
macro_rules! layout {
    ($(#[$meta:meta])* $name:ident: $bytes:literal { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout,
            zerocopy::Immutable, zerocopy::Unaligned,
        )]
        #[repr(C)]
        pub struct $name { $($(#[$field_meta])* pub $field: $kind,)* }

        impl $name {
            /// How long it is.
            pub const BYTES: usize = $bytes;
            /// Its table.
            pub const LAYOUT: &'static $crate::layout::Layout = &$crate::layout::Layout {
                name: stringify!($name),
                bytes: $bytes,
                fields: &[$($crate::layout::Field {
                    name: stringify!($field),
                    offset: core::mem::offset_of!($name, $field),
                    bytes: core::mem::size_of::<$kind>(),
                    kind: <$kind as $crate::layout::Kind>::KIND,
                },)*],
            };
        }

        const _: () = assert!(core::mem::size_of::<$name>() == $bytes);
    };
}

/// Checks that bytes kept for later are zero.
pub(crate) fn zero(field: &'static str, bytes: &[u8]) -> Result<(), crate::Damage> {
    if bytes.iter().all(|&byte| byte == 0) {
        Ok(())
    } else {
        Err(crate::Damage::new(field, "zero", "not zero"))
    }
}

/// Checks a CRC32 that stands in the last four bytes of a structure.
pub(crate) fn check_crc(field: &'static str, structure: &[u8]) -> Result<(), crate::Damage> {
    let (body, stored) = structure.split_at(structure.len() - 4);
    let computed = crc32fast::hash(body);
    let stored = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
    if computed == stored {
        Ok(())
    } else {
        Err(crate::Damage::new(field, format_args!("{computed:#010x}"), format_args!("{stored:#010x}")))
    }
}

/// The CRC32 of a structure without its last four bytes, where it is going to stand.
pub(crate) fn crc_of(structure: &[u8]) -> U32 {
    U32::new(crc32fast::hash(&structure[..structure.len() - 4]))
}
