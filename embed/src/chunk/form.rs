//! Which parts of a text belong together, by its form?
//!
//! The step before units: a text is cut into blocks, and each block says how it is packed. Prose has none but itself; Markdown has headings,
//! tables, fenced code and prose; rows have records; JSON has the elements of its arrays and objects.
//!
//! Invariants:
//! 1. Blocks are in order, apart, and hold all that is not white space.
//! 2. Linear time: a line is looked at once; a byte of JSON at most once for each of [`JSON_LEVELS_MAX`] levels.

use std::ops::Range;

use super::sentence::trimmed;

/// Elements within one another that JSON is cut along; what is deeper is cut as prose.
const JSON_LEVELS_MAX: usize = 8;

/// How a text is built, which decides where it may be cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// Sentences.
    #[default]
    Prose,
    /// Markdown: a passage begins at each heading; tables and fenced code are cut between lines alone, and not at all where they fit.
    Markdown,
    /// Records, one a line (a quoted field may have lines of its own): cut between them.
    Rows,
    /// JSON: cut between the elements of the outermost array or object, and of the next inner one where an element does not fit.
    Json,
}

/// A part of a text that is packed in one way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Block {
    /// Cut along sentences.
    Prose(Range<usize>),
    /// Begins a passage.
    Heading(Range<usize>),
    /// Lines that stay in one passage if they fit one.
    Lines(Vec<Range<usize>>),
}

/// Calls `each` with the blocks of Markdown.
pub(super) fn markdown(text: &str, each: &mut dyn FnMut(Block)) {
    let mut blocks = Blocks { text, prose: None, lines: Vec::new(), each };
    let mut fence: Option<(char, usize)> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let range = start..start + line.len();
        start = range.end;
        let body = line.trim_end();
        match (fence, fence_mark(body)) {
            (Some((mark, length)), found) => {
                blocks.line(range);
                if found.is_some_and(|(other, count, is_bare)| other == mark && count >= length && is_bare) {
                    fence = None;
                    blocks.end();
                }
            }
            (None, Some((mark, length, _))) => {
                blocks.end();
                fence = Some((mark, length));
                blocks.line(range);
            }
            (None, None) if is_heading(body) => {
                blocks.end();
                (blocks.each)(Block::Heading(trimmed(text, range)));
            }
            (None, None) if body.trim_start().starts_with('|') => {
                blocks.end_prose();
                blocks.line(range);
            }
            (None, None) => {
                blocks.end_lines();
                let from = blocks.prose.take().map_or(range.start, |prose| prose.start);
                blocks.prose = Some(from..range.end);
            }
        }
    }
    blocks.end();
}

/// Blocks in the making.
struct Blocks<'a> {
    text: &'a str,
    prose: Option<Range<usize>>,
    lines: Vec<Range<usize>>,
    each: &'a mut dyn FnMut(Block),
}

impl Blocks<'_> {
    fn line(&mut self, range: Range<usize>) {
        let range = trimmed(self.text, range);
        if !range.is_empty() {
            self.lines.push(range);
        }
    }

    fn end_prose(&mut self) {
        if let Some(prose) = self.prose.take() {
            (self.each)(Block::Prose(prose));
        }
    }

    fn end_lines(&mut self) {
        if !self.lines.is_empty() {
            (self.each)(Block::Lines(std::mem::take(&mut self.lines)));
        }
    }

    fn end(&mut self) {
        self.end_prose();
        self.end_lines();
    }
}

/// The mark, its length and whether nothing stands behind it, of a line that fences code.
fn fence_mark(line: &str) -> Option<(char, usize, bool)> {
    let rest = line.trim_start_matches(' ');
    let mark = rest.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let behind = rest.trim_start_matches(mark);
    let length = rest.len() - behind.len();
    // A line of code within a line begins and ends on it.
    let is_fence = line.len() - rest.len() <= 3 && length >= 3 && !(mark == '`' && behind.contains('`'));
    is_fence.then_some((mark, length, behind.trim().is_empty()))
}

fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches(' ');
    let behind = rest.trim_start_matches('#');
    line.len() - rest.len() <= 3
        && (1..=6).contains(&(rest.len() - behind.len()))
        && (behind.is_empty() || behind.starts_with([' ', '\t']))
}

/// The records of rows. One that has more bytes than a passage can have ends at its line, for its quotes may never close.
pub(super) fn rows(text: &str, bytes_max: usize, each: &mut dyn FnMut(Range<usize>)) {
    let (mut start, mut at, mut is_quoted) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        at += line.len();
        is_quoted ^= line.bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
        if !is_quoted || at - start > bytes_max {
            is_quoted = false;
            let record = trimmed(text, start..at);
            start = at;
            if !record.is_empty() {
                each(record);
            }
        }
    }
    let rest = trimmed(text, start..text.len());
    if !rest.is_empty() {
        each(rest);
    }
}

/// Parts of JSON that fit, as `fits` says, or that can't be cut along their elements.
pub(super) fn json(text: &str, fits: &dyn Fn(&Range<usize>) -> bool, each: &mut dyn FnMut(Range<usize>)) {
    let mut waiting = vec![(trimmed(text, 0..text.len()), 0)];
    while let Some((part, level)) = waiting.pop() {
        if part.is_empty() {
            continue;
        }
        let parts = if level == JSON_LEVELS_MAX || fits(&part) { Vec::new() } else { elements(text, &part) };
        if parts.len() < 2 {
            each(part);
        } else {
            waiting.extend(parts.into_iter().rev().map(|part| (part, level + 1)));
        }
    }
}

/// The elements of the outermost array or object in this part that has several, with what stands around them.
fn elements(text: &str, part: &Range<usize>) -> Vec<Range<usize>> {
    let bytes = &text.as_bytes()[part.clone()];
    let mut outermost = usize::MAX;
    commas(bytes, |_, depth| outermost = outermost.min(depth));
    let (mut parts, mut start) = (Vec::new(), part.start);
    commas(bytes, |at, depth| {
        if depth == outermost {
            let end = part.start + at + 1;
            parts.push(trimmed(text, start..end));
            start = end;
        }
    });
    parts.push(trimmed(text, start..part.end));
    parts
}

/// Where commas stand within arrays and objects, and how deep.
fn commas(bytes: &[u8], mut each: impl FnMut(usize, usize)) {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth > 0 => each(at, depth),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        markdown(text, &mut |block| {
            found.push(match block {
                Block::Prose(range) => ("prose", text[range].trim().to_owned()),
                Block::Heading(range) => ("heading", text[range].to_owned()),
                Block::Lines(lines) => {
                    ("lines", lines.into_iter().map(|line| &text[line]).collect::<Vec<_>>().join("/"))
                }
            });
        });
        found
    }

    /// Lost otherwise: code that has a comment would be torn where it begins with `#`.
    #[test]
    fn markdown_is_told_apart() {
        let text = "intro\nmore\n# One\ntext\n```sh\n# no heading\n\n  x | y\n```\n| a | b |\n| - | - |\nafter\n~~~\nopen to the end\n# still";
        let expected = [
            ("prose", "intro\nmore"),
            ("heading", "# One"),
            ("prose", "text"),
            ("lines", "```sh/# no heading/x | y/```"),
            ("lines", "| a | b |/| - | - |"),
            ("prose", "after"),
            ("lines", "~~~/open to the end/# still"),
        ];
        assert_eq!(blocks(text), expected.map(|(kind, text)| (kind, text.to_owned())));
    }

    /// Lost otherwise: a record whose address has two lines would be two halves of a record.
    #[test]
    fn records_are_whole_with_the_lines_in_their_quotes() {
        let cut = |text: &str, most| {
            let mut found = Vec::new();
            rows(text, most, &mut |range| found.push(text[range].to_owned()));
            found
        };
        assert_eq!(cut("a,b\n1,\"x\ny\"\n\n2,\"\"\"z\"\n", 100), ["a,b", "1,\"x\ny\"", "2,\"\"\"z\""]);
        assert_eq!(cut("a,\"never\nclosed\nrows\n", 12), ["a,\"never\nclosed", "rows"]);
    }

    /// Lost otherwise: an answer would be cut off in the middle of the object that it stands in.
    #[test]
    fn json_is_cut_between_elements_as_deep_as_it_must() {
        let cut = |text: &str, most: usize| {
            let mut found = Vec::new();
            json(text, &|range| range.len() <= most, &mut |range| found.push(text[range].to_owned()));
            found
        };
        let text = r#"[{"a": "x,]\"y"}, {"b": [10, 20, 30]}, 7]"#;
        assert_eq!(cut(text, 100), [text]);
        assert_eq!(cut(text, 21), [r#"[{"a": "x,]\"y"},"#, r#"{"b": [10, 20, 30]},"#, "7]"]);
        let wrapped = r#"{"results": [{"id": 1}, {"id": 2}]}"#;
        assert_eq!(cut(wrapped, 25), [r#"{"results": [{"id": 1},"#, r#"{"id": 2}]}"#]);
        assert_eq!(cut("\"no commas at all\"", 3), ["\"no commas at all\""]);
        assert_eq!(cut("}]],,not json{", 3), ["}]],,not json{"]);
        assert!(cut(&"[".repeat(100_000), 3).len() == 1);
    }
}
