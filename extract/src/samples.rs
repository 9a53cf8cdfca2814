//! How does a small file of each kind look, written by hand?
//!
//! For tests and benches. Each writer takes what the file is to say and answers its bytes; the files are whole and open in the
//! programs that know their formats.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// An archive of these parts.
///
/// # Panics
/// Never: writing into memory does not fail.
#[must_use]
pub fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in parts {
        zip.start_file(*name, options).expect("memory takes it");
        zip.write_all(bytes).expect("memory takes it");
    }
    zip.finish().expect("memory takes it").into_inner()
}

fn types(overrides: &[(&str, &str)]) -> String {
    let mut text = format!(
        "{XML}<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Default Extension=\"rels\" \
         ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" \
         ContentType=\"application/xml\"/>"
    );
    for (part, kind) in overrides {
        let kind = format!("application/vnd.openxmlformats-officedocument.{kind}+xml");
        write!(text, "<Override PartName=\"/{part}\" ContentType=\"{kind}\"/>").expect("a string takes it");
    }
    text + "</Types>"
}

fn relations(to: &[(&str, &str)]) -> String {
    let mut text = format!(
        "{XML}<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">"
    );
    for (number, (kind, target)) in to.iter().enumerate() {
        let number = number + 1;
        write!(text, "<Relationship Id=\"rId{number}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
            .expect("a string takes it");
    }
    text + "</Relationships>"
}

/// Text as XML has it.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A Word document of these parts of its body, such as [`docx_paragraph`] answers.
#[must_use]
pub fn docx(body: &str) -> Vec<u8> {
    let document = format!(
        "{XML}<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>{body}</w:body></w:document>"
    );
    let mut styles = format!(
        "{XML}<w:styles xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:style w:type=\"paragraph\" \
         w:styleId=\"Own\"><w:name w:val=\"Own\"/><w:basedOn w:val=\"Heading2\"/></w:style>"
    );
    styles += "<w:style w:type=\"paragraph\" w:styleId=\"List\"><w:name w:val=\"List Bullet\"/><w:pPr><w:numPr><w:numId \
               w:val=\"1\"/></w:numPr></w:pPr></w:style>";
    for level in 1..=3 {
        write!(
            styles,
            "<w:style w:type=\"paragraph\" w:styleId=\"Heading{level}\"><w:name w:val=\"heading {level}\"/></w:style>"
        )
        .expect("a string takes it");
    }
    styles += "</w:styles>";
    let types = types(&[
        ("word/document.xml", "wordprocessingml.document.main"),
        ("word/styles.xml", "wordprocessingml.styles"),
    ]);
    archive(&[
        ("[Content_Types].xml", types.as_bytes()),
        ("_rels/.rels", relations(&[("officeDocument", "word/document.xml")]).as_bytes()),
        ("word/document.xml", document.as_bytes()),
        ("word/_rels/document.xml.rels", relations(&[("styles", "styles.xml")]).as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
    ])
}

/// A paragraph of a Word document, in a style (`Heading1`), or in none.
#[must_use]
pub fn docx_paragraph(style: &str, text: &str) -> String {
    let style = if style.is_empty() {
        String::new()
    } else {
        format!("<w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr>")
    };
    format!("<w:p>{style}<w:r><w:t xml:space=\"preserve\">{}</w:t></w:r></w:p>", escaped(text))
}

/// A table of a Word document.
#[must_use]
pub fn docx_table(rows: &[&[&str]]) -> String {
    let mut text = "<w:tbl>".to_owned();
    for row in rows {
        text += "<w:tr>";
        for cell in *row {
            text += &format!("<w:tc>{}</w:tc>", docx_paragraph("", cell));
        }
        text += "</w:tr>";
    }
    text + "</w:tbl>"
}

/// The beginning of a new page in a Word document.
pub const DOCX_PAGE: &str = "<w:p><w:r><w:br w:type=\"page\"/></w:r></w:p>";

/// A presentation: each slide's title, text and notes.
#[must_use]
pub fn pptx(slides: &[(&str, &str, &str)]) -> Vec<u8> {
    const SPACES: &str = "xmlns:a=\"http://schemas.openxmlformats.org/drawingml/2006/main\" \
                          xmlns:p=\"http://schemas.openxmlformats.org/presentationml/2006/main\" \
                          xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";
    let shape = |holder: &str, text: &str| {
        format!(
            "<p:sp><p:nvSpPr><p:nvPr><p:ph type=\"{holder}\"/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p>\
             </p:txBody></p:sp>",
            escaped(text)
        )
    };
    let tree = |root: &str, shapes: &str| {
        format!("{XML}<p:{root} {SPACES}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{root}>")
    };
    let (mut parts, mut targets, mut ids) = (Vec::new(), Vec::new(), String::new());
    for (at, (title, text, notes)) in slides.iter().enumerate() {
        let number = at + 1;
        let shapes = shape("title", title) + &shape("body", text) + &shape("sldNum", &number.to_string());
        parts.push((format!("ppt/slides/slide{number}.xml"), tree("sld", &shapes)));
        let notes_part = format!("../notesSlides/notesSlide{number}.xml");
        parts.push((
            format!("ppt/slides/_rels/slide{number}.xml.rels"),
            relations(&[("notesSlide", &notes_part)]),
        ));
        parts.push((format!("ppt/notesSlides/notesSlide{number}.xml"), tree("notes", &shape("body", notes))));
        targets.push(format!("slides/slide{number}.xml"));
        // Shown in their order, whatever their files are called.
        write!(ids, "<p:sldId id=\"{}\" r:id=\"rId{number}\"/>", 255 + number).expect("a string takes it");
    }
    let presentation =
        format!("{XML}<p:presentation {SPACES}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>");
    let to: Vec<(&str, &str)> = targets.iter().map(|target| ("slide", target.as_str())).collect();
    parts.push(("ppt/presentation.xml".to_owned(), presentation));
    parts.push(("ppt/_rels/presentation.xml.rels".to_owned(), relations(&to)));
    parts.push(("_rels/.rels".to_owned(), relations(&[("officeDocument", "ppt/presentation.xml")])));
    parts.push((
        "[Content_Types].xml".to_owned(),
        types(&[("ppt/presentation.xml", "presentationml.presentation.main")]),
    ));
    let parts: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    archive(&parts)
}

/// A spreadsheet: each sheet's name and rows. A cell that is a number is stored as one; one that begins with `date:` is a day, counted as
/// Excel counts.
#[must_use]
pub fn xlsx(sheets: &[(&str, &[&[&str]])]) -> Vec<u8> {
    const SPACES: &str = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" \
                          xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";
    let (mut parts, mut listed, mut to) = (Vec::new(), String::new(), Vec::new());
    for (at, (name, rows)) in sheets.iter().enumerate() {
        let number = at + 1;
        let mut text = format!("{XML}<worksheet {SPACES}><sheetData>");
        for (line, row) in rows.iter().enumerate() {
            write!(text, "<row r=\"{}\">", line + 1).expect("a string takes it");
            for (column, cell) in row.iter().enumerate() {
                let place =
                    format!("{}{}", char::from(b'A' + u8::try_from(column % 26).unwrap_or(0)), line + 1);
                text += &match (cell.strip_prefix("date:"), cell.parse::<f64>()) {
                    (Some(day), _) => format!("<c r=\"{place}\" s=\"1\"><v>{day}</v></c>"),
                    (None, Ok(number)) => format!("<c r=\"{place}\"><v>{number}</v></c>"),
                    (None, Err(_)) => {
                        format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{}</t></is></c>", escaped(cell))
                    }
                };
            }
            text += "</row>";
        }
        parts.push((format!("xl/worksheets/sheet{number}.xml"), text + "</sheetData></worksheet>"));
        write!(listed, "<sheet name=\"{}\" sheetId=\"{number}\" r:id=\"rId{number}\"/>", escaped(name))
            .expect("a string takes it");
        to.push(("worksheet", format!("worksheets/sheet{number}.xml")));
    }
    to.push(("styles", "styles.xml".to_owned()));
    let styles = format!(
        "{XML}<styleSheet {SPACES}><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
    );
    parts.push(("xl/styles.xml".to_owned(), styles));
    parts.push((
        "xl/workbook.xml".to_owned(),
        format!("{XML}<workbook {SPACES}><sheets>{listed}</sheets></workbook>"),
    ));
    let to: Vec<(&str, &str)> = to.iter().map(|(kind, target)| (*kind, target.as_str())).collect();
    parts.push(("xl/_rels/workbook.xml.rels".to_owned(), relations(&to)));
    parts.push(("_rels/.rels".to_owned(), relations(&[("officeDocument", "xl/workbook.xml")])));
    parts.push(("[Content_Types].xml".to_owned(), types(&[("xl/workbook.xml", "spreadsheetml.sheet.main")])));
    let parts: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    archive(&parts)
}

/// A PDF: on each page lines of so many points.
#[must_use]
pub fn pdf(pages: &[&[(u32, &str)]]) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned()];
    let kids: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    objects.push(format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()));
    objects
        .push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned());
    for (page, lines) in pages.iter().enumerate() {
        let content = 5 + 2 * page;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {content} 0 R >>"
        ));
        let (mut drawn, mut height) = (String::new(), 740_i64);
        for (size, text) in *lines {
            let text = text.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
            writeln!(drawn, "BT /F1 {size} Tf 1 0 0 1 72 {height} Tm ({text}) Tj ET")
                .expect("a string takes it");
            height -= i64::from(*size) * 6 / 5;
        }
        objects.push(format!("<< /Length {} >>\nstream\n{drawn}endstream", drawn.len()));
    }
    pdf_of(&objects, "")
}

/// A PDF of these objects, numbered from 1, the first of them its catalog; `trailer` is added to its trailer.
#[must_use]
pub fn pdf_of(objects: &[String], trailer: &str) -> Vec<u8> {
    let (mut file, mut places) = ("%PDF-1.7\n".to_owned(), Vec::new());
    for (at, object) in objects.iter().enumerate() {
        places.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", at + 1).expect("a string takes it");
    }
    let table = file.len();
    write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).expect("a string takes it");
    for place in places {
        writeln!(file, "{place:010} 00000 n ").expect("a string takes it");
    }
    write!(
        file,
        "trailer\n<< /Size {} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n",
        objects.len() + 1
    )
    .expect("a string takes it");
    file.into_bytes()
}

/// A PDF that opens with a password alone.
#[must_use]
pub fn pdf_encrypted() -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [] /Count 0 >>".to_owned(),
        format!("<< /Filter /Standard /V 1 /R 2 /P -4 /O <{}> /U <{}> >>", "5a".repeat(32), "a5".repeat(32)),
    ];
    let id = "0123456789abcdef0123456789abcdef";
    pdf_of(&objects, &format!("/Encrypt 3 0 R /ID [<{id}> <{id}>]"))
}

/// A PDF of one small page that takes for ever: it draws a form twice, which draws another one twice, and so on.
#[must_use]
pub fn pdf_endless() -> Vec<u8> {
    const FORMS: usize = 48;
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /XObject << /F 5 0 R >> >> /Contents 4 0 R >>";
    let drawn =
        |text: &str, more: &str| format!("<< {more} /Length {} >>\nstream\n{text}\nendstream", text.len());
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        page.to_owned(),
        drawn("/F Do", ""),
    ];
    for form in 0..FORMS {
        let next = 6 + form;
        let more = format!(
            "/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /XObject << /F {next} 0 R >> >>"
        );
        objects.push(drawn("/F Do /F Do", &more));
    }
    objects.push(drawn("", "/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << >>"));
    pdf_of(&objects, "")
}

/// An Office file under a password: the older container, with a stream of the name that says so.
#[must_use]
pub fn office_encrypted() -> Vec<u8> {
    let mut bytes = vec![0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
    bytes.resize(512, 0);
    bytes.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    bytes.resize(2048, 0);
    bytes
}

/// The parts of an archive.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn parts(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    (0..zip.len())
        .map(|at| {
            let mut part = zip.by_index(at).expect("a part");
            let name = part.name().expect("a name").into_owned();
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut part, &mut text).expect("memory takes it");
            (name, text)
        })
        .collect()
}
