//! What is a file, by its content?
//!
//! The first bytes tell a PDF, an archive and Microsoft's older container apart; which of the Office formats an archive is, its
//! parts tell. HTML has no mark of its own: it is whatever claims to be it and is nothing else.

use crate::{Kind, Refusal, package};

/// Whether these first bytes are those of a file that must be read, whatever its name and sender say: a PDF or an archive.
pub fn is_marked(bytes: &[u8]) -> bool {
    matches!(marked(bytes), Mark::Pdf | Mark::Zip | Mark::Ole)
}

/// What the first bytes say.
enum Mark {
    Pdf,
    Zip,
    Ole,
    None,
}

/// Readers of PDF accept its mark this far into the file.
const PDF_MARK_WITHIN: usize = 1024;

fn marked(bytes: &[u8]) -> Mark {
    let head = &bytes[..bytes.len().min(PDF_MARK_WITHIN)];
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        Mark::Zip
    } else if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]) {
        Mark::Ole
    } else if bytes.starts_with(b"%PDF-")
        // Behind text it is a word; behind what is no text it is a mark.
        || (head.windows(5).any(|five| five == b"%PDF-") && std::str::from_utf8(bytes).is_err())
    {
        Mark::Pdf
    } else {
        Mark::None
    }
}

/// What the content says.
pub(crate) enum Sniffed {
    Is(Kind),
    /// An archive that holds none of the Office formats.
    Zip,
    /// Microsoft's older container: formats before 2007, and encrypted ones of today.
    Ole {
        is_sealed: bool,
    },
    Nothing,
}

pub(crate) fn sniffed(bytes: &[u8]) -> Sniffed {
    match marked(bytes) {
        Mark::Pdf => Sniffed::Is(Kind::Pdf),
        Mark::Zip => package::office_kind(bytes).map_or(Sniffed::Zip, Sniffed::Is),
        Mark::Ole => {
            // The name of the stream that holds an encrypted package, in UTF-16.
            let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
            Sniffed::Ole { is_sealed: bytes.windows(name.len()).any(|window| window == name) }
        }
        Mark::None => Sniffed::Nothing,
    }
}

/// The kind, if claim and content agree.
pub(crate) fn agreed(claimed: Kind, found: Sniffed) -> Result<Kind, Refusal> {
    let wrong = |found| Err(Refusal::WrongType { claimed: claimed.name(), found });
    match found {
        Sniffed::Is(found) if found == claimed => Ok(claimed),
        Sniffed::Is(found) => wrong(match found {
            Kind::Pdf => "a PDF",
            Kind::Docx => "a Word document (DOCX)",
            Kind::Pptx => "a presentation (PPTX)",
            Kind::Xlsx => "a spreadsheet (XLSX)",
            Kind::Html => "an HTML page",
        }),
        // Cut off, it has lost the list of its parts: that is damage, not a lie.
        Sniffed::Zip if matches!(claimed, Kind::Docx | Kind::Pptx | Kind::Xlsx) => Ok(claimed),
        Sniffed::Zip => wrong("an archive"),
        Sniffed::Ole { is_sealed: true } if matches!(claimed, Kind::Docx | Kind::Pptx | Kind::Xlsx) => {
            Err(Refusal::Encrypted { kind: claimed.name() })
        }
        Sniffed::Ole { .. } => wrong("an Office file of the formats before 2007, or an encrypted one"),
        Sniffed::Nothing if claimed == Kind::Html => Ok(Kind::Html),
        Sniffed::Nothing => wrong("something else"),
    }
}
