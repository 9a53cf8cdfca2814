//! Why is a file not read?

use thiserror::Error;

use crate::Kind;

/// Why a file is refused. The text says what its sender can do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is damaged, cut off, or not what its format allows.
    #[error(
        "the {kind} can't be read ({what}): open it in a program that knows it, save it anew and send that"
    )]
    Broken {
        /// What the file is.
        kind: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// It opens with a password alone.
    #[error("the {kind} is encrypted: send it without its password")]
    Encrypted {
        /// What the file is.
        kind: &'static str,
    },
    /// It is not what its sender says.
    #[error("the file says it is a {claimed} and is {found}: send it under its own type")]
    WrongType {
        /// What its sender says.
        claimed: &'static str,
        /// What its content says.
        found: &'static str,
    },
    /// Nobody said what it is, and its content does not say it either.
    #[error("the file is of no kind that can be read: PDF, DOCX, PPTX, XLSX, HTML, or text in UTF-8")]
    Unknown,
    /// Too many pages, slides or sheets.
    #[error(
        "the file has more than {most} pages, slides or sheets (limits.file_pages_max): send it in parts"
    )]
    Pages {
        /// How many it may have.
        most: usize,
    },
    /// Nested too deep.
    #[error("the file nests its elements more than {most} deep (limits.file_nesting_max): simplify it")]
    Nesting {
        /// How deep it may nest.
        most: usize,
    },
    /// Too large once it is unpacked.
    #[error("the file unpacks to more than {most} bytes (limits.file_unpacked_bytes_max): send it in parts")]
    Unpacked {
        /// How many bytes it may be.
        most: u64,
    },
    /// Too much text.
    #[error("the file has more than {most} bytes of text (limits.file_text_bytes_max): send it in parts")]
    Text {
        /// How many bytes it may have.
        most: usize,
    },
}

impl Refusal {
    /// Every word that [`Refusal::code`] answers.
    pub const CODES: [&'static str; 8] = [
        "file_broken",
        "file_encrypted",
        "file_type_mismatch",
        "file_unknown",
        "file_too_many_pages",
        "file_too_deep",
        "file_unpacks_too_large",
        "file_too_much_text",
    ];

    /// The word that programs compare.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Broken { .. } => "file_broken",
            Self::Encrypted { .. } => "file_encrypted",
            Self::WrongType { .. } => "file_type_mismatch",
            Self::Unknown => "file_unknown",
            Self::Pages { .. } => "file_too_many_pages",
            Self::Nesting { .. } => "file_too_deep",
            Self::Unpacked { .. } => "file_unpacks_too_large",
            Self::Text { .. } => "file_too_much_text",
        }
    }

    pub(crate) fn broken(kind: Kind, what: impl Into<String>) -> Self {
        // What a library says may quote the file at length.
        let what: String = what.into().chars().filter(|c| !c.is_control()).take(160).collect();
        Self::Broken { kind: kind.name(), what }
    }
}
