//! Which fixed structures does the format have?
//!
//! The list that the test suite `spec` holds against `format-spec.md`.

use crate::header::FileHeader;
use crate::keyring::KeySlot;
use crate::layout::Layout;
use crate::log::{BatchHeader, DirectoryEntry, LogStart};
use crate::manifest::{ManifestHeader, PartitionEntry, SegmentRef};
use crate::receipt::Receipt;
use crate::segment::{BlockHeader, SectionEntry, SegmentHeader};

/// Every fixed structure of the format.
pub const LAYOUTS: &[&Layout] = &[
    FileHeader::LAYOUT,
    KeySlot::LAYOUT,
    LogStart::LAYOUT,
    BatchHeader::LAYOUT,
    DirectoryEntry::LAYOUT,
    SegmentHeader::LAYOUT,
    BlockHeader::LAYOUT,
    SectionEntry::LAYOUT,
    ManifestHeader::LAYOUT,
    PartitionEntry::LAYOUT,
    SegmentRef::LAYOUT,
    Receipt::LAYOUT,
];
