//! What does a Word document say?
//!
//! `word/document.xml` in one pass: paragraphs, whose styles (`word/styles.xml`) tell headings; lists; tables, a row of Markdown
//! for each of theirs; footnotes at the end. Text that was deleted under tracked changes, instructions of fields and a drawing's second
//! telling for old programs are left out. Headers, footers and comments are, too.
//!
//! Pages are those that the program which saved the file last laid out; a file without such marks has the page breaks that its
//! author set, or none.

use std::collections::HashMap;

use crate::markdown::Markdown;
use crate::package::Package;
use crate::xml::{Step, walk};
use crate::{Kind, Limits, Refusal};

const KIND: Kind = Kind::Docx;
/// Styles that are based on one another.
const BASES_MAX: usize = 16;

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Markdown, Refusal> {
    let mut package = Package::open(KIND, bytes, limits)?;
    let document = package.needed("word/document.xml")?;
    let standings = match package.text("word/styles.xml")? {
        Some(styles) => standings(&styles, limits)?,
        None => HashMap::new(),
    };
    let mut out = Markdown::new(limits);
    let has_layout = document.contains("lastRenderedPageBreak");
    let mut body = Body::new(&mut out, &standings, has_layout);
    if has_layout || document.contains("w:type=\"page\"") {
        body.out.page()?;
    }
    walk(KIND, &document, limits, |step| body.step(step))?;
    for part in ["word/footnotes.xml", "word/endnotes.xml"] {
        if let Some(notes) = package.text(part)? {
            // Their pages are told where they are referred to.
            let mut notes_body = Body::new(&mut out, &standings, true);
            walk(KIND, &notes, limits, |step| notes_body.step(step))?;
        }
    }
    Ok(out)
}

/// What a style makes of a paragraph.
#[derive(Clone, Copy)]
enum Standing {
    Heading(usize),
    Item,
}

/// What each style makes of its paragraphs, where that is anything.
fn standings(styles: &str, limits: &Limits) -> Result<HashMap<String, Standing>, Refusal> {
    #[derive(Default)]
    struct Style {
        standing: Option<Standing>,
        base: Option<String>,
    }
    let (mut styles_by_id, mut open): (HashMap<String, Style>, Option<(String, Style)>) =
        (HashMap::new(), None);
    walk(KIND, styles, limits, |step| {
        match step {
            Step::Start("style", attributes) => {
                open = attributes.get("styleId").map(|id| (id, Style::default()));
            }
            Step::Start(name, attributes) => {
                if let (Some((_, style)), "numPr") = (&mut open, name) {
                    style.standing = style.standing.or(Some(Standing::Item));
                }
                if let (Some((_, style)), Some(value)) = (&mut open, attributes.get("val")) {
                    match name {
                        "name" => {
                            style.standing = style.standing.or(level_of_name(&value).map(Standing::Heading))
                        }
                        "outlineLvl" => {
                            style.standing = outline_level(&value).map(Standing::Heading);
                        }
                        "basedOn" => style.base = Some(value),
                        _ => {}
                    }
                }
            }
            Step::End("style") => styles_by_id.extend(open.take()),
            _ => {}
        }
        Ok(())
    })?;
    let standing = |id: &String| {
        let mut at = id;
        for _ in 0..BASES_MAX {
            let style = styles_by_id.get(at)?;
            if style.standing.is_some() {
                return style.standing;
            }
            at = style.base.as_ref()?;
        }
        None
    };
    Ok(styles_by_id.keys().filter_map(|id| Some((id.clone(), standing(id)?))).collect())
}

/// A level as the format counts it, from 0; the tenth is that of text.
fn outline_level(value: &str) -> Option<usize> {
    value.parse::<usize>().ok().filter(|level| *level < 9).map(|level| level + 1)
}

fn level_of_name(name: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    if name == "title" {
        return Some(1);
    }
    name.strip_prefix("heading ")?.trim().parse().ok().filter(|level| (1..=9).contains(level))
}

/// A paragraph in the making.
#[derive(Default)]
struct Paragraph {
    text: String,
    style: Option<String>,
    outline: Option<usize>,
    item_depth: Option<usize>,
    /// A page begins in it, before any of its text.
    turns: usize,
}

/// A table in the making: cells of one row.
#[derive(Default)]
struct Row {
    cells: Vec<String>,
}

struct Body<'a> {
    out: &'a mut Markdown,
    standings: &'a HashMap<String, Standing>,
    /// Whether pages are told by layout.
    has_layout: bool,
    /// A drawing's text has paragraphs within one.
    open: Vec<Paragraph>,
    tables: usize,
    row: Row,
    /// Elements whose content is not the document's, within one another.
    hidden: usize,
    in_text: bool,
}

impl<'a> Body<'a> {
    fn new(out: &'a mut Markdown, standings: &'a HashMap<String, Standing>, has_layout: bool) -> Self {
        Self {
            out,
            standings,
            has_layout,
            open: Vec::new(),
            tables: 0,
            row: Row::default(),
            hidden: 0,
            in_text: false,
        }
    }

    fn step(&mut self, step: Step<'_>) -> Result<(), Refusal> {
        match step {
            Step::Start("Fallback" | "moveFrom" | "del", _) => self.hidden += 1,
            Step::End("Fallback" | "moveFrom" | "del") => self.hidden = self.hidden.saturating_sub(1),
            _ if self.hidden > 0 => {}
            Step::Start("p", _) => self.open.push(Paragraph::default()),
            Step::End("p") => return self.end_paragraph(),
            Step::Start("tbl", _) => self.tables += 1,
            Step::End("tbl") => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    self.out.end_table();
                }
            }
            // Tables within a cell are its text.
            Step::Start("tr", _) if self.tables == 1 => self.row = Row::default(),
            Step::Start("tc", _) if self.tables == 1 => self.row.cells.push(String::new()),
            Step::End("tr") if self.tables == 1 => {
                let row = std::mem::take(&mut self.row);
                return self.out.row(&row.cells);
            }
            Step::Start(name, attributes) => {
                let Some(paragraph) = self.open.last_mut() else { return Ok(()) };
                match name {
                    "t" => self.in_text = true,
                    "tab" => paragraph.text.push('\t'),
                    "br" if attributes.get("type").as_deref() == Some("page") && self.has_layout => {}
                    "br" if attributes.get("type").as_deref() == Some("page") => return self.turn(),
                    "lastRenderedPageBreak" => return self.turn(),
                    "br" | "cr" => paragraph.text.push('\n'),
                    "noBreakHyphen" => paragraph.text.push('-'),
                    "pStyle" => paragraph.style = attributes.get("val"),
                    "outlineLvl" => {
                        paragraph.outline = attributes.get("val").and_then(|value| outline_level(&value));
                    }
                    "numPr" => paragraph.item_depth = Some(0),
                    "ilvl" => {
                        let depth = attributes.get("val").and_then(|value| value.parse().ok());
                        paragraph.item_depth = Some(depth.unwrap_or(0));
                    }
                    _ => {}
                }
            }
            Step::Text(text) if self.in_text => {
                if let Some(paragraph) = self.open.last_mut() {
                    paragraph.text.push_str(text);
                }
            }
            Step::End("t") => self.in_text = false,
            Step::Text(_) | Step::End(_) => {}
        }
        Ok(())
    }

    /// A page begins here. What stands before it in its paragraph is on the page before, unless that is in a table.
    fn turn(&mut self) -> Result<(), Refusal> {
        if self.tables > 0 || self.open.len() > 1 {
            return self.out.page();
        }
        if let Some(paragraph) = self.open.last_mut() {
            if paragraph.text.trim().is_empty() {
                paragraph.turns += 1;
                return Ok(());
            }
            let rest = Paragraph {
                style: paragraph.style.clone(),
                outline: paragraph.outline,
                item_depth: paragraph.item_depth,
                turns: 1,
                ..Paragraph::default()
            };
            let first = std::mem::replace(paragraph, rest);
            return self.write(&first);
        }
        self.out.page()
    }

    fn end_paragraph(&mut self) -> Result<(), Refusal> {
        let Some(paragraph) = self.open.pop() else { return Ok(()) };
        if self.tables > 0 {
            if let Some(cell) = self.row.cells.last_mut() {
                cell.push_str(&paragraph.text);
                cell.push('\n');
            }
            return Ok(());
        }
        self.write(&paragraph)
    }

    fn write(&mut self, paragraph: &Paragraph) -> Result<(), Refusal> {
        for _ in 0..paragraph.turns {
            self.out.page()?;
        }
        let styled = paragraph.style.as_ref().and_then(|style| self.standings.get(style).copied());
        let text = &paragraph.text;
        match (paragraph.outline.map(Standing::Heading).or(styled), paragraph.item_depth) {
            (Some(Standing::Heading(level)), _) => self.out.heading(level, text),
            (_, Some(depth)) => self.out.item(depth, text),
            (Some(Standing::Item), None) => self.out.item(0, text),
            (None, None) => self.out.paragraph(text),
        }
    }
}
