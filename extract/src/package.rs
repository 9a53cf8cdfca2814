//! What is inside an Office file?
//!
//! An archive of XML parts. Its own tables of names and sizes are claims: an archive is unpacked once, counting, before any part of it
//! is read.
//!
//! Invariants:
//! 1. No part is read of an archive that unpacks to more than the limit.
//! 2. A part is found by its name alone; nothing is ever written to a disk, so a name that climbs out of its folder is only a name.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::{Kind, Limits, Refusal};

/// Parts of an archive.
const PARTS_MAX: usize = 20_000;

/// An archive that unpacks within the limit.
pub(crate) struct Package<'a> {
    kind: Kind,
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Package<'a> {
    pub(crate) fn open(kind: Kind, bytes: &'a [u8], limits: &Limits) -> Result<Self, Refusal> {
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| refused(kind, &error))?;
        if zip.len() > PARTS_MAX {
            return Err(Refusal::broken(kind, format!("it has more than {PARTS_MAX} parts")));
        }
        let mut left = limits.unpacked_bytes;
        for part in 0..zip.len() {
            let part = zip.by_index(part).map_err(|error| refused(kind, &error))?;
            // What a part says of its size may be a lie: this is what comes out.
            let unpacked = std::io::copy(&mut part.take(left.saturating_add(1)), &mut std::io::sink())
                .map_err(|error| Refusal::broken(kind, error.to_string()))?;
            left = left.checked_sub(unpacked).ok_or(Refusal::Unpacked { most: limits.unpacked_bytes })?;
        }
        Ok(Self { kind, zip })
    }

    /// A part's text; `None` when there is no such part.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let mut bytes = Vec::new();
        match self.zip.by_name(name) {
            Ok(mut part) => {
                part.read_to_end(&mut bytes).map_err(|error| Refusal::broken(self.kind, error.to_string()))?
            }
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(refused(self.kind, &error)),
        };
        // XML says its encoding by a mark at its beginning, and is UTF-8 without one.
        let encoding = encoding_rs::Encoding::for_bom(&bytes).map_or(encoding_rs::UTF_8, |(found, _)| found);
        let (text, _, is_wrong) = encoding.decode(&bytes);
        if is_wrong {
            return Err(Refusal::broken(self.kind, format!("its part {name} is not {}", encoding.name())));
        }
        Ok(Some(text.into_owned()))
    }

    /// A part that must be there.
    pub(crate) fn needed(&mut self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::broken(self.kind, format!("its part {name} is missing")))
    }
}

fn refused(kind: Kind, error: &ZipError) -> Refusal {
    match error {
        ZipError::UnsupportedArchive(why) if *why == ZipError::PASSWORD_REQUIRED => {
            Refusal::Encrypted { kind: kind.name() }
        }
        other => Refusal::broken(kind, other.to_string()),
    }
}

/// Which of the Office formats an archive is, by the part that each of them must have.
pub(crate) fn office_kind(bytes: &[u8]) -> Option<Kind> {
    let zip = ZipArchive::new(Cursor::new(bytes)).ok()?;
    [(Kind::Docx, "word/document.xml"), (Kind::Pptx, "ppt/presentation.xml"), (Kind::Xlsx, "xl/workbook.xml")]
        .into_iter()
        .find_map(|(kind, part)| zip.index_for_name(part).is_some().then_some(kind))
}

/// The name of the part that a relation's target means, beside the part that names it.
pub(crate) fn beside(part: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut path: Vec<&str> = part.split('/').collect();
    path.pop();
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(path.pop()),
            step => path.push(step),
        }
    }
    path.join("/")
}

/// The name of the part that holds a part's relations.
pub(crate) fn relations_of(part: &str) -> String {
    match part.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/_rels/{name}.rels"),
        None => format!("_rels/{part}.rels"),
    }
}
