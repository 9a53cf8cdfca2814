//! What does a file say, as Markdown?
//!
//! This crate is a leaf: bytes in, text out. It opens no file, starts no process and knows no tenant. The files that it reads
//! were written by strangers: the server runs it in a process of its own, which the operating system bounds in memory and
//! time (`server/src/worker`). What can be bounded by counting is bounded here, by [`Limits`].
//!
//! | kind | reader | becomes |
//! |---|---|---|
//! | PDF | `pdf-extract` | paragraphs and headings (by their letters' size), page by page |
//! | DOCX | `zip`, `quick-xml` | headings, paragraphs, lists, tables, footnotes |
//! | PPTX | `zip`, `quick-xml` | a section for each slide: title, paragraphs, tables, notes |
//! | XLSX | `calamine` | a section with a table for each sheet |
//! | HTML | `html5gum` | headings, paragraphs, lists, tables, code |
//!
//! Invariants:
//! 1. The kind is that of the content. What a caller claims is checked against it, never believed.
//! 2. Whatever the bytes, the outcome is text or a [`Refusal`]. A library that panics is a refusal as well; what takes the process
//!    down (memory, stack, time) is the caller's to notice.
//! 3. The text has no control characters but line feeds and tabs, and at most [`Limits::text_bytes`] bytes.
//! 4. [`Extracted::starts`] rise, and each stands on a character's border of the text.
//!
//! ```
//! use strongroom_extract::{Kind, Limits, extract};
//!
//! let page = "<h1>Refunds</h1><p>Paid within <b>14 days</b>.</p>";
//! let found = extract(Some(Kind::Html), page.as_bytes(), &Limits::default())?;
//! assert_eq!(found.text, "# Refunds\n\nPaid within 14 days.\n");
//! # Ok::<(), strongroom_extract::Refusal>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails should stop where it fails"))]

mod docx;
mod html;
mod kind;
mod markdown;
mod package;
mod pdf;
mod pptx;
mod refusal;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
mod sniff;
mod xlsx;
mod xml;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use kind::Kind;
pub use refusal::Refusal;
pub use sniff::is_marked;

/// What a file may ask for at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pages of a PDF or DOCX, slides, sheets.
    pub pages: usize,
    /// Elements within one another, in XML and HTML.
    pub nesting: usize,
    /// What all parts of an archive are together once they are unpacked, in bytes.
    pub unpacked_bytes: u64,
    /// The text that comes out, in bytes.
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pages: 5000, nesting: 256, unpacked_bytes: 512 << 20, text_bytes: 16 << 20 }
    }
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// What it is.
    pub kind: Kind,
    /// Its text, as Markdown.
    pub text: String,
    /// The byte of the text at which each page, slide or sheet begins; empty where the file tells of none.
    pub starts: Vec<usize>,
}

/// Reads a file. `claimed` is what its sender says that it is, if anything.
///
/// # Errors
/// When it can't be read within the limits; the text says what to do.
pub fn extract(claimed: Option<Kind>, bytes: &[u8], limits: &Limits) -> Result<Extracted, Refusal> {
    let kind = match (claimed, sniff::sniffed(bytes)) {
        (Some(claimed), found) => sniff::agreed(claimed, found)?,
        (None, sniff::Sniffed::Is(kind)) => kind,
        (None, sniff::Sniffed::Ole { is_sealed: true }) => {
            return Err(Refusal::Encrypted { kind: "Office file" });
        }
        (None, _) => return Err(Refusal::Unknown),
    };
    // A reader that meets what it never expected must not take the answer with it.
    let read = || match kind {
        Kind::Pdf => pdf::read(bytes, limits),
        Kind::Docx => docx::read(bytes, limits),
        Kind::Pptx => pptx::read(bytes, limits),
        Kind::Xlsx => xlsx::read(bytes, limits),
        Kind::Html => html::read(bytes, limits),
    };
    let written = catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Refusal::broken(kind, "its reader met what it did not expect")))?;
    let (text, starts) = written.finish();
    Ok(Extracted { kind, text, starts })
}
