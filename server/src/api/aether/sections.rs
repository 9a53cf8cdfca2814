//! Which sections has a text, and which bytes are one of them or one page?
//!
//! Markdown headings in ATX form (`## Refunds`) outside of fenced code. A section reaches from its heading to the next
//! heading of the same or a higher rank. Pages end on character borders.
//!
//! Invariants:
//! 1. Line numbers count from 1 and are inclusive; `bytes` includes the lines' ends.
//! 2. Slugs are unique within a text, so each section can be named.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use crate::message::error::ApiError;

/// A section of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Section {
    pub(super) heading: String,
    pub(super) level: usize,
    pub(super) slug: String,
    pub(super) start_line: usize,
    pub(super) end_line: usize,
    pub(super) bytes: usize,
    #[serde(skip)]
    pub(super) start_byte: usize,
}

impl Section {
    /// Its bytes in the text.
    pub(super) fn range(&self) -> Range<usize> {
        self.start_byte..self.start_byte + self.bytes
    }
}

/// All sections of a text, in order.
pub(super) fn outline(text: &str) -> Vec<Section> {
    let (mut sections, mut fence): (Vec<Section>, Option<(char, usize)>) = (Vec::new(), None);
    let (mut line_number, mut at) = (0, 0);
    let mut open: Vec<usize> = Vec::new();
    for line in text.split_inclusive('\n') {
        line_number += 1;
        let content = line.trim_end_matches(['\n', '\r']);
        match (fence, fence_mark(content)) {
            (None, Some((mark, length, _))) => fence = Some((mark, length)),
            (Some((mark, length)), Some((other, found, true))) if mark == other && found >= length => {
                fence = None
            }
            (None, None) => {
                if let Some((level, heading)) = heading(content) {
                    while let Some(last) = open.pop_if(|last| sections[*last].level >= level) {
                        close(&mut sections[last], line_number - 1, at);
                    }
                    open.push(sections.len());
                    let slug = unique_slug(heading, &sections);
                    sections.push(Section {
                        heading: heading.to_owned(),
                        level,
                        slug,
                        start_line: line_number,
                        end_line: line_number,
                        bytes: 0,
                        start_byte: at,
                    });
                }
            }
            _ => {}
        }
        at += line.len();
    }
    for last in open {
        close(&mut sections[last], line_number, at);
    }
    sections
}

fn close(section: &mut Section, end_line: usize, end_byte: usize) {
    section.end_line = end_line;
    section.bytes = end_byte - section.start_byte;
}

/// The one section of this slug or heading.
pub(super) fn find<'a>(sections: &'a [Section], wanted: &str) -> Result<&'a Section, ApiError> {
    if let Some(section) = sections.iter().find(|section| section.slug == wanted) {
        return Ok(section);
    }
    let mut named = sections.iter().filter(|section| section.heading == wanted.trim());
    match (named.next(), named.next()) {
        (Some(section), None) => Ok(section),
        (None, _) => Err(ApiError::missing(
            "section_not_found",
            "the document has no such section; ask with outline=true for those it has",
        )),
        (Some(_), Some(_)) => Err(ApiError::conflict(
            "section_ambiguous",
            "several sections have this heading; name one by its slug, as outline=true lists them",
        )),
    }
}

/// The page of a text that begins at `offset`: at most `bytes_max` bytes, at least one character.
pub(super) fn page(text: &str, offset: usize, bytes_max: usize) -> Result<&str, ApiError> {
    let offset = offset.min(text.len());
    if !text.is_char_boundary(offset) {
        return Err(ApiError::malformed(
            "invalid_parameter",
            "offset lies inside a character; use the next_offset of the page before",
        ));
    }
    let rest = &text[offset..];
    let first = rest.chars().next().map_or(0, char::len_utf8);
    let end = rest.floor_char_boundary(bytes_max).max(first);
    Ok(&rest[..end])
}

/// The line without the up to three spaces that Markdown allows before a mark.
fn unindented(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches(' ');
    (line.len() - rest.len() <= 3).then_some(rest)
}

/// The level and text of an ATX heading.
fn heading(line: &str) -> Option<(usize, &str)> {
    let rest = unindented(line)?;
    let text = rest.trim_start_matches('#');
    let level = rest.len() - text.len();
    if !(1..=6).contains(&level) || !(text.is_empty() || text.starts_with([' ', '\t'])) {
        return None;
    }
    let text = text.trim();
    // A closing run of marks counts only after white space, or when it is all there is.
    let bare = text.trim_end_matches('#');
    let text = if bare.is_empty() || bare.ends_with([' ', '\t']) { bare.trim_end() } else { text };
    Some((level, text))
}

/// The mark, its length and whether it may close a block, when a line fences code.
fn fence_mark(line: &str) -> Option<(char, usize, bool)> {
    let rest = unindented(line)?;
    let mark = rest.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let info = rest.trim_start_matches(mark);
    let length = rest.len() - info.len();
    let is_fence = length >= 3 && !(mark == '`' && info.contains('`'));
    is_fence.then(|| (mark, length, info.trim().is_empty()))
}

fn unique_slug(heading: &str, before: &[Section]) -> String {
    let mut slug = String::new();
    for c in heading.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() || c == '_' {
            slug.push(c);
        } else if (c.is_whitespace() || c == '-') && !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { "section" } else { slug };
    let is_taken = |slug: &str| before.iter().any(|section| section.slug == slug);
    if !is_taken(slug) {
        return slug.to_owned();
    }
    (1..).map(|number| format!("{slug}-{number}")).find(|slug| !is_taken(slug)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "intro\n# Handbook\nhello\n## Refunds ##\n30 days\n```sh\n# not a heading\n```\n\
                        ### Exceptions\nnone\r\n## Refunds\nagain\n# #\nend";

    /// Lost otherwise: a reader would get another section than asked for, or half of it.
    #[test]
    fn sections_reach_to_the_next_of_their_rank() {
        let sections = outline(TEXT);
        let seen: Vec<_> =
            sections.iter().map(|s| (s.slug.as_str(), s.level, s.start_line, s.end_line)).collect();
        assert_eq!(
            seen,
            [
                ("handbook", 1, 2, 12),
                ("refunds", 2, 4, 10),
                ("exceptions", 3, 9, 10),
                ("refunds-1", 2, 11, 12),
                ("section", 1, 13, 14),
            ]
        );
        assert_eq!(
            &TEXT[sections[1].range()],
            "## Refunds ##\n30 days\n```sh\n# not a heading\n```\n### Exceptions\nnone\r\n"
        );
        assert_eq!(&TEXT[sections[3].range()], "## Refunds\nagain\n");
        assert_eq!(sections[4].heading, "");
        assert_eq!(&TEXT[sections[4].range()], "# #\nend");
    }

    /// Lost otherwise: of two sections of one name the wrong one would be returned in silence.
    #[test]
    fn a_name_that_means_two_sections_is_a_conflict() {
        let sections = outline(TEXT);
        assert_eq!(find(&sections, "refunds").unwrap().start_line, 4);
        assert_eq!(find(&sections, "refunds-1").unwrap().start_line, 11);
        assert_eq!(find(&sections, "Exceptions").unwrap().level, 3);
        assert_eq!(find(&sections, "Refunds").unwrap_err().code, "section_ambiguous");
        assert_eq!(find(&sections, "Returns").unwrap_err().code, "section_not_found");
    }

    #[test]
    fn what_only_looks_like_a_heading_is_none() {
        for line in ["#tag", "####### seven", "    # code", "text # x", "\\# x", ""] {
            assert_eq!(heading(line), None, "{line}");
        }
        assert_eq!(heading("   ## a # b"), Some((2, "a # b")));
        assert_eq!(heading("# C#"), Some((1, "C#")));
        assert_eq!(heading("#"), Some((1, "")));
    }

    /// Lost otherwise: the pages of a text, put together, would not be the text.
    #[test]
    fn pages_join_to_the_text() {
        let text = "aé😀b".repeat(10);
        for bytes_max in 1..12 {
            let (mut joined, mut offset) = (String::new(), 0);
            while offset < text.len() {
                let page = page(&text, offset, bytes_max).unwrap();
                assert!(!page.is_empty() && (page.len() <= bytes_max || page.chars().count() == 1));
                joined += page;
                offset += page.len();
            }
            assert_eq!(joined, text);
        }
        assert_eq!(page(&text, 2, 10).unwrap_err().code, "invalid_parameter");
        assert_eq!(page(&text, 1000, 10).unwrap(), "");
    }
}
