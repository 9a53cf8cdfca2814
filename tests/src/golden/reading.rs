//! Can the worked examples be read by the document's own words?
//!
//! Takes the examples out of the document's text and checks them as its reader would: structures by the
//! document's tables, hashes and seals by its chapter "Keys and sealing". The code's encoders have no part in it.

use strongroom_format::record::RecordKind;

use super::examples::{HEADING, number, says};
use super::sealing::{Subkey, keyed_hash};
use crate::spec::{Table, tables_of_document};

/// An example of the document: what it is of, and its lines.
#[derive(Debug, Clone)]
pub struct Example {
    /// What stands behind `### Example: `.
    pub what: String,
    /// Name and value of each line.
    pub lines: Vec<(String, String)>,
}

impl Example {
    fn value(&self, name: &str) -> Result<&str, String> {
        let line = self.lines.iter().find(|(found, _)| found == name);
        line.map(|(_, value)| value.as_str()).ok_or_else(|| format!("{} states no {name}", self.what))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        unhex(self.value(name)?).ok_or_else(|| format!("{}: {name} is no hexadecimal", self.what))
    }

    fn array<const N: usize>(&self, name: &str) -> Result<[u8; N], String> {
        let bytes = self.bytes(name)?;
        bytes.try_into().map_err(|_| format!("{}: {name} has another length", self.what))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let is_hex = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    let bytes = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>().filter(|_| is_hex)
}

/// The examples of a document.
pub fn examples_of(document: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for text in document.split_once(HEADING).map_or("", |(_, text)| text).lines() {
        if let Some(heading) = text.strip_prefix('#') {
            let what = heading.strip_prefix("## Example: ");
            inside = what.is_some();
            examples.extend(what.map(|what| Example { what: what.to_owned(), lines: Vec::new() }));
        } else if let Some(example) = examples.last_mut().filter(|_| inside && text.starts_with("    ")) {
            match (text.trim().split_once(" = "), example.lines.last_mut()) {
                (Some((name, value)), _) => example.lines.push((name.to_owned(), value.to_owned())),
                (None, Some((_, value))) => value.push_str(text.trim()),
                (None, None) => {}
            }
        }
    }
    examples
}

/// What is wrong with the document's examples; nothing when each says what its bytes say.
pub fn faults_of(document: &str) -> Vec<String> {
    let (tables, _) = tables_of_document(document);
    let examples = examples_of(document);
    let mut faults: Vec<String> = examples.iter().filter_map(|e| check(e, &tables).err()).collect();
    let has = |what: &str| examples.iter().any(|example| example.what == what);
    let missing = tables.iter().filter(|table| !has(&format!("`{}`", table.name)));
    faults.extend(missing.map(|table| format!("{} has no example", table.name)));
    let kinds = (1..=u8::MAX).take_while(|kind| RecordKind::read(*kind).is_ok());
    let missing = kinds.filter(|kind| !has(&format!("a record of kind {kind}, sealed")));
    faults.extend(missing.map(|kind| format!("records of kind {kind} have no example")));
    faults
}

fn check(example: &Example, tables: &[Table]) -> Result<(), String> {
    let what = &example.what;
    if let Some(name) = what.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
        let table = tables.iter().find(|table| table.name == name);
        structure(example, table.ok_or_else(|| format!("{what} has no table"))?)
    } else if what.ends_with(", sealed") {
        seal(example)
    } else {
        let hash = keyed_hash(&example.array("key")?, &example.bytes("text")?);
        (hash == example.array("hash")?).then_some(()).ok_or_else(|| format!("{what} is another"))
    }
}

fn structure(example: &Example, table: &Table) -> Result<(), String> {
    let bytes = example.bytes("all")?;
    if bytes.len() != table.bytes || example.lines.len() != table.rows.len() + 1 {
        return Err(format!("{} has other bytes or fields than its table", table.name));
    }
    for row in &table.rows {
        let found = &bytes[row.offset..row.offset + row.bytes];
        let found = if row.kind == "bytes" { super::hex(found) } else { number(found, &row.name) };
        let stated = example.value(&row.name)?;
        if found != stated {
            return Err(format!("{}.{} is {found}, and {stated} is stated", table.name, row.name));
        }
    }
    // A block's checksum goes over its sealed bytes too, which stand elsewhere.
    let (body, crc32) = bytes.split_last_chunk::<4>().ok_or("too short")?;
    if table.name != "BlockHeader" && crc32fast::hash(body).to_le_bytes() != *crc32 {
        return Err(format!("{} doesn't check", table.name));
    }
    Ok(())
}

fn seal(example: &Example) -> Result<(), String> {
    let what = &example.what;
    let key = example.array("key")?;
    let subkey = Subkey { key: &key, salt: example.array("salt")?, info: example.value("info")? };
    if subkey.bytes() != example.array("subkey")? {
        return Err(format!("{what}: the subkey is another"));
    }
    let authenticated = example.bytes("authenticated")?;
    let opened = subkey.open(example.array("nonce")?, &authenticated, &example.bytes("sealed")?);
    let opened = opened.ok_or_else(|| format!("{what}: the seal doesn't open"))?;
    if opened != example.bytes("opened")? {
        return Err(format!("{what}: it opens to something else"));
    }
    let kind = if what.starts_with("an identity") { RecordKind::Genesis as u8 } else { authenticated[40] };
    if what.contains("record") || what.starts_with("an identity") {
        let kind = RecordKind::read(kind).map_err(|damage| damage.to_string())?;
        if says(kind, &opened) != example.value("says")? {
            return Err(format!("{what}: it says something else: {}", says(kind, &opened)));
        }
    }
    Ok(())
}
