//! What does a page of the web say?
//!
//! The words that a reader would see, as headings, paragraphs, lists, tables and code. Scripts, styles and forms' inner workings are left
//! out. No tree is built: tokens come one by one, and a stack of the elements that are open tells what a text is. Elements whose end
//! HTML lets authors leave out (`p`, `li`, `td`, …) end where the next of their kind begins.

use encoding_rs::Encoding;
use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

use crate::markdown::{Markdown, one_line};
use crate::{Kind, Limits, Refusal};

const KIND: Kind = Kind::Html;
/// How far in a page tells its encoding, as browsers look.
const ENCODING_WITHIN: usize = 1024;

/// Elements that never have an end.
const VOID: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];
/// Elements whose content nobody reads.
const HIDDEN: [&str; 10] =
    ["script", "style", "noscript", "template", "svg", "iframe", "object", "select", "textarea", "math"];
/// Elements that stand within a line; all others are blocks.
const INLINE: [&str; 31] = [
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u",
    "var", "wbr",
];

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Markdown, Refusal> {
    let text = decoded(bytes)?;
    let mut emitter = DefaultEmitter::default();
    // The insides of scripts, styles and titles are not markup.
    emitter.naively_switch_states(true);
    let mut page = Page::new(limits);
    for token in Tokenizer::new_with_emitter(&text, emitter) {
        // Reading a text in memory can't fail.
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => page.start(&tag)?,
            Token::EndTag(tag) => page.end(&String::from_utf8_lossy(&tag.name))?,
            Token::String(text) => page.text(&String::from_utf8_lossy(&text)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    page.flush()?;
    page.say_title()?;
    Ok(page.out)
}

/// The page's text: in the encoding of its mark, or the one that it names; else UTF-8, else what browsers take it for.
fn decoded(bytes: &[u8]) -> Result<String, Refusal> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(ENCODING_WITHIN)]).to_ascii_lowercase();
    let named = head.split_once("charset=").and_then(|(_, rest)| {
        let rest = rest.trim_start_matches(['"', '\'', ' ']);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:".contains(c)).unwrap_or(rest.len());
        Encoding::for_label(&rest.as_bytes()[..end])
    });
    let marked = Encoding::for_bom(bytes).map(|(found, _)| found);
    let otherwise = || match std::str::from_utf8(bytes) {
        Ok(_) => encoding_rs::UTF_8,
        Err(_) => named.unwrap_or(encoding_rs::WINDOWS_1252),
    };
    let (text, _, _) = marked.unwrap_or_else(otherwise).decode(bytes);
    if text.contains('\0') {
        return Err(Refusal::broken(KIND, "it holds zero bytes"));
    }
    Ok(text.into_owned())
}

struct Page {
    out: Markdown,
    nesting_max: usize,
    /// Names of the elements that are open.
    open: Vec<String>,
    /// Text of the block in the making.
    line: String,
    title: String,
    has_said_title: bool,
    rows: Vec<String>,
}

impl Page {
    fn new(limits: &Limits) -> Self {
        Self {
            out: Markdown::new(limits),
            nesting_max: limits.nesting,
            open: Vec::new(),
            line: String::new(),
            title: String::new(),
            has_said_title: false,
            rows: Vec::new(),
        }
    }

    fn is_in(&self, name: &str) -> bool {
        self.open.iter().any(|open| open == name)
    }

    fn count(&self, names: [&str; 2]) -> usize {
        self.open.iter().filter(|open| names.contains(&open.as_str())).count()
    }

    fn start(&mut self, tag: &StartTag<()>) -> Result<(), Refusal> {
        let name = String::from_utf8_lossy(&tag.name).into_owned();
        match name.as_str() {
            "br" => {
                self.line.push('\n');
                return Ok(());
            }
            "img" => {
                if let Some(text) = tag.attributes.get("alt".as_bytes()) {
                    let text = String::from_utf8_lossy(text).into_owned();
                    self.text(&format!(" {text} "));
                }
                return Ok(());
            }
            "hr" => return self.flush(),
            _ => {}
        }
        let name = name.as_str();
        if VOID.contains(&name) || (tag.self_closing && HIDDEN.contains(&name)) {
            return Ok(());
        }
        if !INLINE.contains(&name) && !self.is_in("table") {
            self.flush()?;
        }
        self.end_what_this_ends(name)?;
        if self.open.len() == self.nesting_max {
            return Err(Refusal::Nesting { most: self.nesting_max });
        }
        match name {
            "table" if !self.is_in("table") => self.rows.clear(),
            "tr" if self.count(["table", "table"]) == 1 => self.rows.clear(),
            "td" | "th" if self.count(["table", "table"]) == 1 => self.line.clear(),
            "code" | "kbd" | "samp" | "tt" if !self.is_in("pre") && !self.is_hidden() => self.line.push('`'),
            _ if !INLINE.contains(&name) && self.is_in("table") => self.line.push(' '),
            _ => {}
        }
        self.open.push(name.to_owned());
        Ok(())
    }

    /// Ends what an author may leave open before an element of this name.
    fn end_what_this_ends(&mut self, name: &str) -> Result<(), Refusal> {
        let (ended, within): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol", "menu"]),
            "dt" | "dd" => (&["dt", "dd"], &["dl"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "tr" => (&["tr"], &["table"]),
            "thead" | "tbody" | "tfoot" => (&["thead", "tbody", "tfoot", "tr"], &["table"]),
            "option" => (&["option"], &["select"]),
            _ if INLINE.contains(&name) => return Ok(()),
            // A block ends a paragraph.
            _ => (&["p"], &["td", "th", "li", "div", "section", "article", "blockquote", "button", "table"]),
        };
        let border = self.open.iter().rposition(|open| within.contains(&open.as_str()));
        let from = border.map_or(0, |at| at + 1);
        let found = self.open[from..].iter().position(|open| ended.contains(&open.as_str()));
        match found {
            Some(at) => self.close_to(from + at),
            None => Ok(()),
        }
    }

    fn end(&mut self, name: &str) -> Result<(), Refusal> {
        // An end without a beginning is nobody's.
        match self.open.iter().rposition(|open| open == name) {
            Some(at) => self.close_to(at),
            None => Ok(()),
        }
    }

    /// Closes all elements from this one on, the innermost first.
    fn close_to(&mut self, at: usize) -> Result<(), Refusal> {
        while self.open.len() > at {
            let name = self.open.last().cloned().unwrap_or_default();
            let tables = self.count(["table", "table"]);
            match name.as_str() {
                "code" | "kbd" | "samp" | "tt" if !self.is_in("pre") && !self.is_hidden() => {
                    self.line.push('`')
                }
                "td" | "th" if tables == 1 => self.rows.push(std::mem::take(&mut self.line)),
                "tr" if tables == 1 => {
                    self.say_title()?;
                    let row = std::mem::take(&mut self.rows);
                    self.out.row(&row)?;
                    self.line.clear();
                }
                "caption" if tables == 1 => {
                    let line = std::mem::take(&mut self.line);
                    self.say_title()?;
                    self.out.paragraph(&line)?;
                }
                "table" if tables == 1 => {
                    // What stands in no cell is a table's all the same.
                    let line = std::mem::take(&mut self.line);
                    self.out.end_table();
                    self.out.paragraph(&line)?;
                }
                "title" if self.title.is_empty() && !self.is_in("svg") => {
                    self.title = one_line(&std::mem::take(&mut self.line));
                }
                block if !INLINE.contains(&block) && tables == 0 => self.flush()?,
                block if !INLINE.contains(&block) => self.line.push(' '),
                _ => {}
            }
            self.open.pop();
        }
        Ok(())
    }

    fn is_hidden(&self) -> bool {
        self.open.iter().any(|open| HIDDEN.contains(&open.as_str()))
    }

    fn text(&mut self, text: &str) {
        if !self.is_hidden() {
            self.append(text);
        }
    }

    fn append(&mut self, text: &str) {
        if self.is_in("pre") {
            self.line.push_str(text);
            return;
        }
        // A line's end in the source is a space; one that is meant is an element.
        for c in text.chars() {
            let c = if c.is_whitespace() { ' ' } else { c };
            if c != ' ' || !self.line.ends_with(' ') {
                self.line.push(c);
            }
        }
    }

    /// Writes the block in the making.
    fn flush(&mut self) -> Result<(), Refusal> {
        let line = std::mem::take(&mut self.line);
        if line.trim().is_empty() || self.is_in("title") {
            return Ok(());
        }
        let heading = self.open.iter().rev().find_map(|open| match open.as_bytes() {
            [b'h', level @ b'1'..=b'6'] => Some(usize::from(level - b'0')),
            _ => None,
        });
        if heading == Some(1) {
            self.has_said_title = true;
        }
        self.say_title()?;
        if let Some(level) = heading {
            return self.out.heading(level, &line);
        }
        if self.is_in("pre") {
            return self.out.code(&line);
        }
        let depth = self.count(["ul", "ol"]);
        if depth > 0 && self.is_in("li") {
            self.out.item(depth - 1, &line)
        } else {
            self.out.paragraph(&line)
        }
    }

    /// The page's title stands first, unless its first block is one.
    fn say_title(&mut self) -> Result<(), Refusal> {
        if self.has_said_title || self.title.is_empty() {
            return Ok(());
        }
        self.has_said_title = true;
        let title = std::mem::take(&mut self.title);
        self.out.heading(1, &title)
    }
}
