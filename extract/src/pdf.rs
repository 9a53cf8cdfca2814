//! What does a PDF say?
//!
//! A PDF has glyphs at places and no words, lines or headings. `pdf-extract` tells which character stands where; here they are put
//! together: a gap is a space, a lower place a new line, a large gap between lines a new paragraph, and short lines in letters larger
//! than most are headings.
//!
//! Invariants:
//! 1. A page that its reader can't read fails the file: nobody searches in half a document without knowing.

use std::collections::BTreeMap;

use pdf_extract::{Document, MediaBox, OutputDev, OutputError, Transform, output_doc};

use crate::markdown::{Markdown, one_line};
use crate::{Kind, Limits, Refusal};

const KIND: Kind = Kind::Pdf;

/// Gaps and sizes, as shares of the letters' size.
const SPACE_GAP: f64 = 0.1;
const LINE_GAP: f64 = 0.5;
const PARAGRAPH_GAP: f64 = 1.75;
const HEADING_SIZE: f64 = 1.15;
/// Longer lines are text, however large.
const HEADING_CHARS_MAX: usize = 160;
/// Larger sizes than the body's that are told apart.
const LEVELS_MAX: usize = 4;

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Markdown, Refusal> {
    let mut document = Document::load_mem(bytes).map_err(|error| refused(&error))?;
    if document.is_encrypted() {
        // One without a password for reading opens with the empty one.
        document.decrypt("").map_err(|_| Refusal::Encrypted { kind: KIND.name() })?;
    }
    let pages = document.get_pages();
    if pages.is_empty() {
        return Err(Refusal::broken(KIND, "it has no pages"));
    }
    if pages.len() > limits.pages {
        return Err(Refusal::Pages { most: limits.pages });
    }
    let mut glyphs = Glyphs::new(limits.text_bytes);
    let read = output_doc(&document, &mut glyphs);
    if glyphs.is_full {
        return Err(Refusal::Text { most: limits.text_bytes });
    }
    read.map_err(|error| Refusal::broken(KIND, format!("page {}: {error}", glyphs.page)))?;
    write(&glyphs.lines, pages.len(), limits)
}

fn refused(error: &pdf_extract::Error) -> Refusal {
    match error {
        pdf_extract::Error::Decryption(_) | pdf_extract::Error::InvalidPassword => {
            Refusal::Encrypted { kind: KIND.name() }
        }
        other => Refusal::broken(KIND, other.to_string()),
    }
}

/// Characters of one line.
struct Line {
    page: usize,
    text: String,
    /// The letters' size.
    size: f64,
    /// How far below the line before, in sizes; negative for the first of a column.
    gap: f64,
}

/// Takes characters at their places.
struct Glyphs {
    lines: Vec<Line>,
    /// Which page, counted from 1.
    page: usize,
    height: f64,
    last: Option<At>,
    bytes_left: usize,
    is_full: bool,
}

impl Glyphs {
    fn new(bytes_left: usize) -> Self {
        Self { lines: Vec::new(), page: 0, height: 0.0, last: None, bytes_left, is_full: false }
    }

    fn line(&mut self, text: &str, size: f64, gap: f64) {
        self.lines.push(Line { page: self.page, text: text.to_owned(), size, gap });
    }
}

/// Where the last character ended, and how high it stood.
#[derive(Clone, Copy)]
struct At {
    x: f64,
    y: f64,
}

impl OutputDev for Glyphs {
    fn begin_page(
        &mut self,
        _number: u32,
        media_box: &MediaBox,
        _art_box: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        self.page += 1;
        self.height = media_box.ury - media_box.lly;
        self.last = None;
        Ok(())
    }

    fn output_character(
        &mut self,
        place: &Transform,
        width: f64,
        _spacing: f64,
        font_size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        let Some(left) = self.bytes_left.checked_sub(text.len()) else {
            self.is_full = true;
            return Err(OutputError::FormatError(std::fmt::Error));
        };
        self.bytes_left = left;
        // The size of letters as they are seen, whichever way the text runs.
        let size = font_size.abs() * (place.m11 * place.m22 - place.m12 * place.m21).abs().sqrt();
        let size = if size.is_finite() && size > 0.0 { size } else { 1.0 };
        let (x, y) = (place.m31, self.height - place.m32);
        match (self.last, self.lines.last_mut()) {
            (Some(last), Some(line)) if (y - last.y).abs() <= size * LINE_GAP => {
                // Back to the left at the same height is another column.
                if x > last.x + size * SPACE_GAP || x < last.x - size * 4.0 {
                    line.text.push(' ');
                }
                line.text.push_str(text);
                line.size = line.size.max(size);
            }
            (Some(last), _) => self.line(text, size, (y - last.y) / size),
            (None, _) => self.line(text, size, 0.0),
        }
        self.last = Some(At { x: x + width * size, y });
        Ok(())
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

/// Puts lines together, page by page.
fn write(lines: &[Line], pages: usize, limits: &Limits) -> Result<Markdown, Refusal> {
    let levels = levels(lines);
    let mut out = Markdown::new(limits);
    for page in 1..=pages {
        out.page()?;
        let first = lines.partition_point(|line| line.page < page);
        let lines = &lines[first..lines.partition_point(|line| line.page <= page)];
        let longest = lines.iter().map(|line| line.text.chars().count()).max().unwrap_or(0);
        let (mut paragraph, mut is_cut) = (String::new(), false);
        for line in lines {
            let text = one_line(&line.text);
            if text.is_empty() {
                continue;
            }
            if let Some(level) = heading_level(&levels, line, &text) {
                out.paragraph(&std::mem::take(&mut paragraph))?;
                out.heading(level, &text)?;
                continue;
            }
            if line.gap < 0.0 || line.gap > PARAGRAPH_GAP {
                out.paragraph(&std::mem::take(&mut paragraph))?;
            }
            let goes_on = text.chars().next().is_some_and(char::is_lowercase);
            match (is_cut, paragraph.ends_with('-')) {
                _ if paragraph.is_empty() => {}
                // A word that was parted at the line's end.
                (_, true) if goes_on => drop(paragraph.pop()),
                (true, _) => paragraph.push(' '),
                (false, _) => paragraph.push('\n'),
            }
            paragraph.push_str(&text);
            // A line that reaches far was cut by the page's width, a short one by its author.
            is_cut = text.chars().count() * 10 >= longest * 6;
        }
        out.paragraph(&paragraph)?;
    }
    Ok(out)
}

/// Sizes in tenths, so that equal ones are equal.
fn tenths(size: f64) -> u64 {
    (size * 10.0).round().clamp(0.0, 1e6) as u64
}

/// The sizes of headings, largest first: those above the size of most letters.
fn levels(lines: &[Line]) -> Vec<u64> {
    let mut letters: BTreeMap<u64, usize> = BTreeMap::new();
    for line in lines {
        *letters.entry(tenths(line.size)).or_default() += line.text.len();
    }
    let body = letters.iter().max_by_key(|(_, count)| **count).map_or(0, |(size, _)| *size);
    let larger = letters.keys().rev().filter(|size| **size as f64 >= body as f64 * HEADING_SIZE);
    larger.take(LEVELS_MAX).copied().collect()
}

fn heading_level(levels: &[u64], line: &Line, text: &str) -> Option<usize> {
    let level = levels.iter().position(|size| *size == tenths(line.size))? + 1;
    (text.chars().count() <= HEADING_CHARS_MAX && text.chars().any(char::is_alphabetic)).then_some(level)
}
