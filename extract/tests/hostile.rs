//! What does a file do that was made to do harm, or was harmed?

#![allow(clippy::unwrap_used)]

use strongroom_extract::samples::{self, archive, docx_paragraph};
use strongroom_extract::{Kind, Limits, Refusal, extract};

fn code(claimed: impl Into<Option<Kind>>, bytes: &[u8]) -> &'static str {
    code_within(claimed, bytes, &Limits::default())
}

fn code_within(claimed: impl Into<Option<Kind>>, bytes: &[u8], limits: &Limits) -> &'static str {
    extract(claimed.into(), bytes, limits).map_or_else(|refusal| refusal.code(), |_| "read")
}

fn small(kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Pdf => samples::pdf(&[&[(12, "text")]]),
        Kind::Docx => samples::docx(&docx_paragraph("", "text")),
        Kind::Pptx => samples::pptx(&[("title", "text", "")]),
        Kind::Xlsx => samples::xlsx(&[("sheet", &[&["text"]])]),
        Kind::Html => b"<p>text".to_vec(),
    }
}

/// Lost otherwise: a customer would search in something else than what was said to be stored.
#[test]
fn a_file_that_lies_about_its_kind_is_refused() {
    for kind in Kind::ALL {
        for other in Kind::ALL {
            let expected = if kind == other || (kind == Kind::Html && other == Kind::Html) {
                "read"
            } else {
                "file_type_mismatch"
            };
            assert_eq!(code(other, &small(kind)), expected, "a {kind} that says it is a {other}");
        }
        if kind != Kind::Html {
            assert_eq!(code(kind, b"plain text"), "file_type_mismatch");
            assert_eq!(code(kind, b""), "file_type_mismatch");
        }
    }
    let other_archive = archive(&[("a.txt", b"text")]);
    assert_eq!(code(Kind::Pdf, &other_archive), "file_type_mismatch");
    assert_eq!(code(Kind::Docx, &other_archive), "file_broken");
    assert_eq!(code(None, &other_archive), "file_unknown");
    assert_eq!(code(None, b"plain text"), "file_unknown");
}

/// Lost otherwise: a customer would not learn that it is the password which has to go.
#[test]
fn what_opens_with_a_password_is_told_as_such() {
    assert_eq!(code(Kind::Pdf, &samples::pdf_encrypted()), "file_encrypted");
    assert_eq!(code(None, &samples::pdf_encrypted()), "file_encrypted");
    assert_eq!(code(Kind::Docx, &samples::office_encrypted()), "file_encrypted");
    assert_eq!(code(None, &samples::office_encrypted()), "file_encrypted");
    // Formats before 2007 lie in the same container, without that name.
    let old = samples::office_encrypted()[..512].to_vec();
    assert_eq!(code(Kind::Docx, &old), "file_type_mismatch");
    assert_eq!(code(None, &old), "file_unknown");
}

/// Lost otherwise: half a file would be stored as if it were whole, or the reader would never come back.
#[test]
fn a_file_that_is_cut_off_or_flipped_is_read_or_refused() {
    for kind in [Kind::Pdf, Kind::Docx, Kind::Pptx, Kind::Xlsx] {
        let whole = small(kind);
        for end in (0..whole.len()).step_by(whole.len() / 40 + 1) {
            let refusal = extract(Some(kind), &whole[..end], &Limits::default());
            // A PDF without its end may still have all its objects, and is then read as programs do.
            if kind != Kind::Pdf {
                let code = refusal.unwrap_err().code();
                assert!(["file_broken", "file_type_mismatch"].contains(&code), "{kind} cut at {end}: {code}");
            }
        }
        for at in (0..whole.len()).step_by(7) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x55;
            // No panic comes out, and no other outcome is possible.
            let _either = extract(Some(kind), &flipped, &Limits::default());
        }
    }
}

/// Lost otherwise: a few kilobytes would fill the memory of a server that all customers share.
#[test]
fn bombs_are_refused_before_they_go_off() {
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let zeros = vec![b' '; 4 << 20];
    let whole = samples::docx(&docx_paragraph("", "text"));
    assert_eq!(code_within(Kind::Docx, &whole, &limits), "read");
    let bomb = archive(&[("word/document.xml", b"<a/>"), ("word/media/image.bin", &zeros)]);
    assert!(bomb.len() < 64 << 10);
    assert_eq!(code_within(Kind::Docx, &bomb, &limits), "file_unpacks_too_large");
    for (kind, part) in [(Kind::Xlsx, "xl/workbook.xml"), (Kind::Pptx, "ppt/presentation.xml")] {
        assert_eq!(code_within(kind, &archive(&[(part, &zeros)]), &limits), "file_unpacks_too_large");
    }
    // What the archive's own table says counts for nothing: the same with all its sizes made small.
    let mut lying = bomb.clone();
    for at in 0..lying.len() - 4 {
        if lying[at..at + 4] == (4_u32 << 20).to_le_bytes() {
            lying[at..at + 4].copy_from_slice(&9_u32.to_le_bytes());
        }
    }
    assert_ne!(lying, bomb);
    assert!(["file_unpacks_too_large", "file_broken"].contains(&code_within(Kind::Docx, &lying, &limits)));
}

/// Lost otherwise: a document that explains itself by itself a billion times would be text without end.
#[test]
fn entities_of_a_documents_own_are_never_expanded() {
    let mut declared = "<!DOCTYPE x [<!ENTITY a0 \"lol\">".to_owned();
    for level in 1..12 {
        declared += &format!("<!ENTITY a{level} \"{}\">", format!("&a{};", level - 1).repeat(10));
    }
    let document = format!(
        "<?xml version=\"1.0\"?>{declared}]><w:document><w:body><w:p><w:r><w:t>&a11;</w:t></w:r></w:p></w:body></w:document>"
    );
    let file = archive(&[("word/document.xml", document.as_bytes())]);
    assert_eq!(code(Kind::Docx, &file), "file_broken");
    let outside =
        "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><w:p><w:r><w:t>&a;</w:t></w:r></w:p>";
    assert_eq!(code(Kind::Docx, &archive(&[("word/document.xml", outside.as_bytes())])), "file_broken");
}

/// Lost otherwise: a deep file would overflow the stack, or a long one keep its reader for ever.
#[test]
fn depth_pages_and_text_are_bounded() {
    let limits = Limits { pages: 2, nesting: 20, text_bytes: 1000, ..Limits::default() };
    let deep = |levels: usize| format!("{}x{}", "<w:p>".repeat(levels), "</w:p>".repeat(levels));
    let docx = |text: &str| archive(&[("word/document.xml", text.as_bytes())]);
    assert_eq!(code_within(Kind::Docx, &docx(&deep(20)), &limits), "read");
    assert_eq!(code_within(Kind::Docx, &docx(&deep(21)), &limits), "file_too_deep");
    assert_eq!(code_within(Kind::Html, "<div>".repeat(1_000_000).as_bytes(), &limits), "file_too_deep");
    assert_eq!(code_within(Kind::Html, "<p>".repeat(100_000).as_bytes(), &limits), "read");
    assert_eq!(
        code_within(Kind::Html, format!("<p>{}", "text ".repeat(201)).as_bytes(), &limits),
        "file_too_much_text"
    );
    let line: &[(u32, &str)] = &[(12, "text")];
    assert_eq!(code_within(Kind::Pdf, &samples::pdf(&[line, line]), &limits), "read");
    assert_eq!(code_within(Kind::Pdf, &samples::pdf(&[line, line, line]), &limits), "file_too_many_pages");
    let long = "text ".repeat(400);
    assert_eq!(code_within(Kind::Pdf, &samples::pdf(&[&[(12, &long)]]), &limits), "file_too_much_text");
    let slides: Vec<_> = (0..3).map(|_| ("t", "x", "")).collect();
    assert_eq!(code_within(Kind::Pptx, &samples::pptx(&slides), &limits), "file_too_many_pages");
    let sheets: Vec<(&str, &[&[&str]])> = vec![("a", &[]), ("b", &[]), ("c", &[])];
    assert_eq!(code_within(Kind::Xlsx, &samples::xlsx(&sheets), &limits), "file_too_many_pages");
}

/// Lost otherwise: a sheet of two cells at its far corners would be taken for one of seventeen billion.
#[test]
fn a_sheet_with_far_corners_is_as_small_as_its_cells() {
    let sheet = "<worksheet><dimension ref=\"A1:XFD1048576\"/><sheetData><row r=\"1\"><c r=\"A1\"><v>1</v></c></row>\
                 <row r=\"1048576\"><c r=\"XFD1048576\"><v>2</v></c></row></sheetData></worksheet>";
    let mut parts = samples::parts(&samples::xlsx(&[("s", &[&["1"]])]));
    for (name, bytes) in &mut parts {
        if name.ends_with("sheet1.xml") {
            *bytes = sheet.as_bytes().to_vec();
        }
    }
    let parts: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let found = extract(Some(Kind::Xlsx), &archive(&parts), &Limits::default());
    assert!(
        matches!(&found, Ok(found) if found.text.len() < 200_000),
        "{:?}",
        found.map(|found| found.text.len())
    );
}

/// Lost otherwise: the sender would not know what to change.
#[test]
fn a_refusal_names_the_limit_and_what_to_do() {
    let text = Refusal::Pages { most: 7 }.to_string();
    assert!(
        text.contains('7') && text.contains("limits.file_pages_max") && text.contains("send it in parts")
    );
}
