//! What does a spreadsheet say?
//!
//! Its sheets in order, each a section with one table: the values as they were computed when the file was saved, dates as dates. Rows
//! and columns without any value are left out at the edges, and rows everywhere.
//!
//! Cells are read one by one: a sheet that says it has a million columns costs nothing until it has them.

use std::io::Cursor;

use calamine::{DataRef, ExcelDateTime, Reader, Xlsx, XlsxError};

use crate::markdown::Markdown;
use crate::package::Package;
use crate::{Kind, Limits, Refusal};

const KIND: Kind = Kind::Xlsx;
/// Columns of a sheet, as Excel has them.
const COLUMNS_MAX: u32 = 16_384;

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Markdown, Refusal> {
    // Counts what the archive unpacks to, before anybody reads it.
    let mut package = Package::open(KIND, bytes, limits)?;
    let workbook = package.needed("xl/workbook.xml")?;
    // The reader below bounds no depth: its parts are XML that is looked through here.
    crate::xml::walk(KIND, &workbook, limits, |_| Ok(()))?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| refused(&error))?;
    let mut out = Markdown::new(limits);
    for name in book.sheet_names() {
        out.page()?;
        out.heading(2, &name)?;
        let mut cells = match book.worksheet_cells_reader(&name) {
            Ok(cells) => cells,
            // A sheet that is a chart has no cells.
            Err(XlsxError::NotAWorksheet(_)) => continue,
            Err(error) => return Err(refused(&error)),
        };
        let first_column = cells.dimensions().start.1;
        let (mut row, mut at) = (Vec::new(), None);
        while let Some(cell) = cells.next_cell().map_err(|error| refused(&error))? {
            let (line, column) = cell.get_position();
            if at != Some(line) {
                out.row(&row)?;
                row.clear();
                at = Some(line);
            }
            let text = told(cell.get_value());
            if text.is_empty() || column >= COLUMNS_MAX {
                continue;
            }
            // What a sheet says of its own size may be wrong; columns are then counted from the first.
            let place = column.saturating_sub(first_column) as usize;
            while row.len() < place {
                row.push(String::new());
            }
            row.push(text);
        }
        out.row(&row)?;
        out.end_table();
    }
    Ok(out)
}

fn refused(error: &XlsxError) -> Refusal {
    match error {
        XlsxError::Password => Refusal::Encrypted { kind: KIND.name() },
        other => Refusal::broken(KIND, other.to_string()),
    }
}

fn told(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Empty | DataRef::Error(_) => String::new(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(is_true) => if *is_true { "TRUE" } else { "FALSE" }.to_owned(),
        DataRef::DateTime(time) => date(time),
    }
}

fn date(time: &ExcelDateTime) -> String {
    if time.is_duration() {
        let seconds = (time.as_f64() * 86_400.0).round();
        return format!(
            "{}:{:02}:{:02}",
            (seconds / 3600.0).trunc(),
            (seconds / 60.0).trunc() % 60.0,
            seconds % 60.0
        );
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let clock = format!("{hour:02}:{minute:02}:{second:02}");
    match (time.as_f64() < 1.0, clock.as_str()) {
        // Less than a day is a time of day.
        (true, _) => clock,
        (false, "00:00:00") => format!("{year:04}-{month:02}-{day:02}"),
        (false, _) => format!("{year:04}-{month:02}-{day:02} {clock}"),
    }
}
