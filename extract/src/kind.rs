//! Which kinds of files can be read, and what are they called?

use std::fmt;

/// Kinds of files that have to be read to have a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Portable Document Format.
    Pdf,
    /// Word.
    Docx,
    /// PowerPoint.
    Pptx,
    /// Excel.
    Xlsx,
    /// A page of the web.
    Html,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pdf, Self::Docx, Self::Pptx, Self::Xlsx, Self::Html];

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Html => "text/html",
        }
    }

    /// The kind of this media type, without parameters and in lower case.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/x-pdf" => Some(Self::Pdf),
            "application/xhtml+xml" => Some(Self::Html),
            _ => Self::ALL.into_iter().find(|kind| kind.media_type() == media_type),
        }
    }

    /// The ending of its files' names.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Xlsx => "xlsx",
            Self::Html => "html",
        }
    }

    /// The kind of files whose names end so.
    pub fn of_ending(ending: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.ending() == ending)
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pdf => "PDF",
            Self::Docx => "Word document (DOCX)",
            Self::Pptx => "presentation (PPTX)",
            Self::Xlsx => "spreadsheet (XLSX)",
            Self::Html => "HTML page",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
