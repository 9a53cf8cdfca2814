//! How is text written down as Markdown?
//!
//! Blocks, one empty line apart: headings, paragraphs, items, tables (whose first row is their head) and code. What the file's own
//! text has that would look like one of these is escaped, so that whoever cuts the text sees the blocks that the file has and no
//! others.
//!
//! Invariants:
//! 1. White space within a line is one space; a block begins and ends with something that is none.
//! 2. Nothing is written beyond the limits: the first byte too many is a refusal.

use crate::{Limits, Refusal};

/// Cells of one row.
const CELLS_MAX: usize = 16_384;

/// A text in the making.
pub(crate) struct Markdown {
    text: String,
    starts: Vec<usize>,
    /// A page has begun whose first block is still to come.
    is_turned: bool,
    last: Last,
    pages_max: usize,
    text_bytes_max: usize,
}

/// What was written last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Block,
    Item,
    Row,
}

impl Markdown {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            text: String::new(),
            starts: Vec::new(),
            is_turned: false,
            last: Last::Nothing,
            pages_max: limits.pages,
            text_bytes_max: limits.text_bytes,
        }
    }

    /// The text, and where its pages begin.
    pub(crate) fn finish(mut self) -> (String, Vec<usize>) {
        if self.is_turned {
            self.starts.push(self.text.len());
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        (self.text, self.starts)
    }

    /// Begins a page, slide or sheet: what is written next is on it.
    pub(crate) fn page(&mut self) -> Result<(), Refusal> {
        if self.is_turned {
            // The one before was empty.
            self.starts.push(self.text.len());
        }
        if self.starts.len() >= self.pages_max {
            return Err(Refusal::Pages { most: self.pages_max });
        }
        self.is_turned = true;
        Ok(())
    }

    /// A heading; levels beyond 6 are 6.
    pub(crate) fn heading(&mut self, level: usize, text: &str) -> Result<(), Refusal> {
        let text = one_line(text);
        if text.is_empty() {
            return Ok(());
        }
        self.apart(Last::Block)?;
        let marks = "######";
        self.put(&marks[..level.clamp(1, marks.len())])?;
        self.put(" ")?;
        self.put(&text)
    }

    /// A paragraph; its lines stay lines.
    pub(crate) fn paragraph(&mut self, text: &str) -> Result<(), Refusal> {
        let mut lines = text.split('\n').map(one_line).filter(|line| !line.is_empty()).peekable();
        if lines.peek().is_none() {
            return Ok(());
        }
        self.apart(Last::Block)?;
        let mut between = "";
        for line in lines {
            self.put(between)?;
            self.put(escape_of(&line))?;
            self.put(&line)?;
            between = "\n";
        }
        Ok(())
    }

    /// An item of a list, at a depth counted from 0.
    pub(crate) fn item(&mut self, depth: usize, text: &str) -> Result<(), Refusal> {
        let text = one_line(text);
        if text.is_empty() {
            return Ok(());
        }
        self.apart(Last::Item)?;
        for _ in 0..depth.min(8) {
            self.put("  ")?;
        }
        self.put("- ")?;
        self.put(&text)
    }

    /// A row of a table; the first one is its head.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: &[S]) -> Result<(), Refusal> {
        let cells = &cells[..cells.len().min(CELLS_MAX)];
        if cells.iter().all(|cell| cell.as_ref().trim().is_empty()) {
            return Ok(());
        }
        let is_head = self.last != Last::Row;
        self.apart(Last::Row)?;
        self.put("|")?;
        for cell in cells {
            self.put(" ")?;
            self.put(&one_line(cell.as_ref()).replace('|', "\\|"))?;
            self.put(" |")?;
        }
        if is_head {
            self.put("\n|")?;
            for _ in cells {
                self.put(" --- |")?;
            }
        }
        Ok(())
    }

    /// Ends a table: a row that follows is another one's head.
    pub(crate) fn end_table(&mut self) {
        if self.last == Last::Row {
            self.last = Last::Block;
        }
    }

    /// Code, line by line as it is.
    pub(crate) fn code(&mut self, text: &str) -> Result<(), Refusal> {
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.chars().filter(|c| *c == '\t' || !c.is_control()).collect::<String>())
            .map(|line| line.trim_end().to_owned())
            .collect();
        let first = lines.iter().position(|line| !line.is_empty());
        let Some(first) = first else { return Ok(()) };
        let end = lines.iter().rposition(|line| !line.is_empty()).map_or(lines.len(), |last| last + 1);
        let longest =
            lines.iter().map(|line| line.trim_start().chars().take_while(|c| *c == '`').count()).max();
        let fence = "`".repeat((longest.unwrap_or(0) + 1).clamp(3, 64));
        self.apart(Last::Block)?;
        self.put(&fence)?;
        for line in &lines[first..end] {
            self.put("\n")?;
            self.put(line)?;
        }
        self.put("\n")?;
        self.put(&fence)
    }

    /// Ends what was written last, and begins a block of this kind.
    fn apart(&mut self, next: Last) -> Result<(), Refusal> {
        match (self.last, next) {
            (Last::Nothing, _) => {}
            (Last::Item, Last::Item) | (Last::Row, Last::Row) => self.put("\n")?,
            _ => self.put("\n\n")?,
        }
        self.last = next;
        if self.is_turned {
            self.is_turned = false;
            self.starts.push(self.text.len());
        }
        Ok(())
    }

    fn put(&mut self, text: &str) -> Result<(), Refusal> {
        // One byte is kept for the end of the last line.
        if self.text.len() + text.len() >= self.text_bytes_max {
            return Err(Refusal::Text { most: self.text_bytes_max });
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// A text on one line, its white space single, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// What must stand before a line of text that looks like a block of another kind.
fn escape_of(line: &str) -> &'static str {
    let marks = line.trim_start_matches('#');
    let is_heading = marks.len() < line.len() && (marks.is_empty() || marks.starts_with(' '));
    let is_block = is_heading || line.starts_with('|') || line.starts_with("```") || line.starts_with("~~~");
    if is_block { "\\" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a line of a text would be taken for a heading that the file does not have.
    #[test]
    fn blocks_are_apart_and_text_that_looks_like_one_is_escaped() {
        let mut out = Markdown::new(&Limits::default());
        out.page().unwrap();
        out.heading(2, " A \n title ").unwrap();
        out.paragraph("# no heading\n\n|no row\n plain\u{0}  text ").unwrap();
        out.item(0, "one").unwrap();
        out.item(1, "two").unwrap();
        out.page().unwrap();
        out.page().unwrap();
        out.row(&["a", "b|c"]).unwrap();
        out.row(&["1", "2"]).unwrap();
        out.end_table();
        out.row(&["x"]).unwrap();
        out.code("\n  let x = 1;\n\n```\n").unwrap();
        let (text, starts) = out.finish();
        let expected = "## A title\n\n\\# no heading\n\\|no row\nplain text\n\n- one\n  - two\n\n| a | b\\|c |\n| --- | --- |\n| 1 | 2 |\n\n\
                        | x |\n| --- |\n\n````\n  let x = 1;\n\n```\n````\n";
        assert_eq!(text, expected);
        let table = text.find("| a").unwrap();
        assert_eq!(starts, [0, table - 2, table]);
    }

    /// Lost otherwise: a small file would fill the memory with text.
    #[test]
    fn limits_hold_to_the_byte() {
        let limits = Limits { text_bytes: 6, pages: 1, ..Limits::default() };
        let mut out = Markdown::new(&limits);
        out.paragraph("12345").unwrap();
        assert_eq!(out.finish().0.len(), 6);
        assert_eq!(Markdown::new(&limits).paragraph("123456"), Err(Refusal::Text { most: 6 }));
        let mut out = Markdown::new(&limits);
        out.page().unwrap();
        assert_eq!(out.page(), Err(Refusal::Pages { most: 1 }));
    }
}
