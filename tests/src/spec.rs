//! Do `format-spec.md` and the code say the same of every byte?
//!
//! The document holds one table for each structure, under a heading `` ### `Name` (N bytes) ``, with the columns
//! name, offset, bytes, type, rule. The code holds the same tables as [`Layout`](strongroom_format::layout::Layout)s.
//! Both become [`Table`]s here and are compared both ways.

use std::fmt;

use strongroom_format::layout::Layout;

/// A row: one field of a structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The field's name.
    pub name: String,
    /// Bytes from the structure's start.
    pub offset: usize,
    /// How many bytes it takes.
    pub bytes: usize,
    /// Its type: `u8`, `u16`, `u32`, `u64` or `bytes`.
    pub kind: String,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {} | {} | {}", self.name, self.offset, self.bytes, self.kind)
    }
}

/// A structure of the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The structure's name.
    pub name: String,
    /// Its length.
    pub bytes: usize,
    /// Its fields in order.
    pub rows: Vec<Row>,
}

/// The tables of the document, and what in it could not be read as one.
pub fn tables_of_document(text: &str) -> (Vec<Table>, Vec<String>) {
    let (mut tables, mut faults): (Vec<Table>, Vec<String>) = (Vec::new(), Vec::new());
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        if line.starts_with('#') {
            let heading = heading(line);
            inside = heading.is_some();
            if let Some((name, bytes)) = heading {
                tables.push(Table { name, bytes, rows: Vec::new() });
            } else if line.starts_with("### `") {
                faults
                    .push(format!("line {line_number}: a heading of a structure reads ### `Name` (N bytes)"));
            }
        } else if let Some(table) = tables.last_mut().filter(|_| inside && line.starts_with('|')) {
            match row(line) {
                Ok(Some(row)) => table.rows.push(row),
                Ok(None) => {}
                Err(why) => faults.push(format!("line {line_number}: {why}")),
            }
        }
    }
    (tables, faults)
}

/// The tables of the code.
pub fn tables_of_code(layouts: &[&Layout]) -> Vec<Table> {
    let row = |field: &strongroom_format::layout::Field| Row {
        name: field.name.to_owned(),
        offset: field.offset,
        bytes: field.bytes,
        kind: field.kind.to_owned(),
    };
    let table = |l: &&Layout| Table {
        name: l.name.to_owned(),
        bytes: l.bytes,
        rows: l.fields.iter().map(row).collect(),
    };
    layouts.iter().map(table).collect()
}

/// `` ### `Name` (N bytes) ``.
fn heading(line: &str) -> Option<(String, usize)> {
    let (name, rest) = line.strip_prefix("### `")?.split_once("` (")?;
    let bytes = rest.strip_suffix(" bytes)").or_else(|| rest.strip_suffix(" byte)"))?;
    Some((name.to_owned(), bytes.parse().ok()?))
}

/// A row of a table; `None` for its head and the line below it.
fn row(line: &str) -> Result<Option<Row>, String> {
    let cells: Vec<&str> =
        line.trim().trim_matches('|').split('|').map(|c| c.trim().trim_matches('`')).collect();
    if cells.first() == Some(&"name") || cells.iter().all(|c| c.chars().all(|c| "-: ".contains(c))) {
        return Ok(None);
    }
    let [name, offset, bytes, kind, rule] = cells.as_slice() else {
        return Err(format!("a row has name, offset, bytes, type and rule, this one {} cells", cells.len()));
    };
    if rule.is_empty() {
        return Err(format!("{name} has no rule"));
    }
    let number =
        |what: &str, text: &str| text.parse().map_err(|_| format!("{name}: {what} is no number: {text}"));
    Ok(Some(Row {
        name: (*name).to_owned(),
        offset: number("offset", offset)?,
        bytes: number("bytes", bytes)?,
        kind: (*kind).to_owned(),
    }))
}

/// Every way in which the two differ.
pub fn differences(document: &[Table], code: &[Table]) -> Vec<String> {
    let mut differences = Vec::new();
    for table in document {
        differences.extend(own_faults(table).into_iter().map(|f| format!("document: {f}")));
        if document.iter().filter(|t| t.name == table.name).count() > 1 {
            differences.push(format!("{} stands twice in the document", table.name));
        }
        match code.iter().find(|t| t.name == table.name) {
            Some(other) => differences.extend(between(table, other)),
            None => differences.push(format!("{} is in the document, not in the code", table.name)),
        }
    }
    for table in code {
        differences.extend(own_faults(table).into_iter().map(|f| format!("code: {f}")));
        if !document.iter().any(|t| t.name == table.name) {
            differences.push(format!("{} is in the code, not in the document", table.name));
        }
    }
    differences
}

/// Gaps, overlaps and wrong sums of one table.
fn own_faults(table: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    let mut next = 0;
    for row in &table.rows {
        if row.offset != next {
            faults.push(format!(
                "{}.{} begins at {}, the field before ends at {next}",
                table.name, row.name, row.offset
            ));
        }
        let expected = match row.kind.as_str() {
            "u8" => Some(1),
            "u16" => Some(2),
            "u32" => Some(4),
            "u64" => Some(8),
            _ => None,
        };
        if expected.is_some_and(|bytes| bytes != row.bytes) {
            faults.push(format!("{}.{} is a {} of {} bytes", table.name, row.name, row.kind, row.bytes));
        }
        next = row.offset + row.bytes;
    }
    if next != table.bytes {
        faults.push(format!("{} has {} bytes, its rows sum to {next}", table.name, table.bytes));
    }
    faults
}

fn between(document: &Table, code: &Table) -> Vec<String> {
    let mut differences = Vec::new();
    if document.bytes != code.bytes {
        differences.push(format!(
            "{}: {} bytes in the document, {} in the code",
            code.name, document.bytes, code.bytes
        ));
    }
    for index in 0..document.rows.len().max(code.rows.len()) {
        let (said, done) = (document.rows.get(index), code.rows.get(index));
        if said != done {
            let show = |row: Option<&Row>| row.map_or("nothing".to_owned(), ToString::to_string);
            let name = &code.name;
            differences.push(format!(
                "{name} row {}: document: {}; code: {}",
                index + 1,
                show(said),
                show(done)
            ));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::{Row, Table, differences, tables_of_document};

    const DOCUMENT: &str = "\
### `Slot` (12 bytes)

Text.

| name | offset | bytes | type | rule |
|---|---:|---:|---|---|
| `state` | 0 | 4 | `u32` | one of 1 to 4 |
| `salt` | 4 | 8 | bytes | random |

## Next

| other | table |
";

    fn code() -> Vec<Table> {
        let row = |name: &str, offset, bytes, kind: &str| Row {
            name: name.into(),
            offset,
            bytes,
            kind: kind.into(),
        };
        let rows = vec![row("state", 0, 4, "u32"), row("salt", 4, 8, "bytes")];
        vec![Table { name: "Slot".into(), bytes: 12, rows }]
    }

    fn compare(document: &str) -> Vec<String> {
        let (tables, mut faults) = tables_of_document(document);
        faults.extend(differences(&tables, &code()));
        faults
    }

    // Whoever writes a reader from the document alone would read garbage if it drifted from the code.
    #[test]
    fn the_same_is_the_same() {
        assert_eq!(compare(DOCUMENT), [""; 0]);
    }

    #[test]
    fn each_kind_of_drift_is_found() {
        for (from, to, hint) in [
            ("| 4 | `u32` |", "| 4 | `u16` |", "row 1"),
            ("| `salt` | 4 |", "| `salt` | 5 |", "begins at 5"),
            ("| `salt` | 4 | 8 |", "| `salt` | 4 | 7 |", "sum to 11"),
            ("(12 bytes)", "(13 bytes)", "13 bytes in the document"),
            ("`Slot`", "`Other`", "Slot is in the code, not in the document"),
            ("| random |", "| |", "no rule"),
            ("| `salt` | 4 | 8 | bytes | random |\n", "", "code: salt"),
            ("(12 bytes)", "(twelve bytes)", "heading"),
        ] {
            let found = compare(&DOCUMENT.replace(from, to));
            assert!(found.iter().any(|f| f.contains(hint)), "{to}: {found:?}");
        }
        let twice = format!("{DOCUMENT}\n{DOCUMENT}");
        assert!(compare(&twice).iter().any(|f| f.contains("twice")));
    }
}
