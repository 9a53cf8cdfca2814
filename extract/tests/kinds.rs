//! What would a user lose if files of a kind were read wrongly?

#![allow(clippy::unwrap_used)]

use strongroom_extract::samples::{self, DOCX_PAGE, docx_paragraph, docx_table};
use strongroom_extract::{Extracted, Kind, Limits, extract};

fn read(kind: Kind, bytes: &[u8]) -> Extracted {
    let claimed = extract(Some(kind), bytes, &Limits::default()).unwrap();
    assert_eq!(claimed.kind, kind);
    assert!(claimed.starts.iter().all(|start| claimed.text.is_char_boundary(*start)));
    if kind != Kind::Html {
        assert_eq!(extract(None, bytes, &Limits::default()).unwrap(), claimed, "a claim changes nothing");
    }
    claimed
}

/// What stands on each page.
fn pages(found: &Extracted) -> Vec<&str> {
    let ends = found.starts.iter().skip(1).copied().chain([found.text.len()]);
    found.starts.iter().zip(ends).map(|(start, end)| found.text[*start..end].trim()).collect()
}

/// Lost otherwise: a PDF would be one heap of words, and nobody would know on which page an answer stands.
#[test]
fn a_pdf_is_read_page_by_page() {
    let found = read(
        Kind::Pdf,
        &samples::pdf(&[
            &[
                (24, "Refund policy"),
                (12, "Refunds are paid within fourteen days of the cus-"),
                (12, "tomer's request, and never later than that."),
                (12, "Short"),
                (12, "lines stay"),
            ],
            &[(18, "Exceptions"), (12, "Café vouchers are not refunded.")],
        ]),
    );
    let pages = pages(&found);
    assert_eq!(pages.len(), 2, "{}", found.text);
    assert_eq!(
        pages[0],
        "# Refund policy\n\nRefunds are paid within fourteen days of the customer's request, and never later than that. Short\nlines stay"
    );
    assert_eq!(pages[1].lines().next(), Some("## Exceptions"));
    assert!(pages[1].contains("vouchers are not refunded."));
}

/// Lost otherwise: a contract's headings, lists and tables would be lost, or text that its authors had deleted be found.
#[test]
fn a_word_document_keeps_its_form() {
    let body = [
        docx_paragraph("Heading1", "Terms & <conditions>"),
        docx_paragraph("", "Plain text."),
        docx_paragraph("List", "By its style"),
        "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"1\"/><w:numId w:val=\"3\"/></w:numPr></w:pPr><w:r><w:t>An item</w:t></w:r></w:p>".to_owned(),
        docx_table(&[&["Country", "Days"], &["France", "14 | 30"]]),
        DOCX_PAGE.to_owned(),
        docx_paragraph("Own", "A style of their own"),
        "<w:p><w:moveFrom><w:r><w:t>moved away</w:t></w:r></w:moveFrom><w:r><w:t>kept</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:instrText>PAGE</w:instrText><w:tab/><w:t> on</w:t></w:r></w:p>".to_owned(),
    ]
    .concat();
    let found = read(Kind::Docx, &samples::docx(&body));
    assert_eq!(
        found.text,
        "# Terms & <conditions>\n\nPlain text.\n\n- By its style\n  - An item\n\n| Country | Days |\n| --- | --- |\n| France | 14 \\| 30 |\n\n\
         ## A style of their own\n\nkept on\n"
    );
    assert_eq!(pages(&found)[1], "## A style of their own\n\nkept on");
}

/// Lost otherwise: what a speaker says and shows could not be told slide from slide.
#[test]
fn a_presentation_is_a_section_for_each_slide() {
    let found = read(
        Kind::Pptx,
        &samples::pptx(&[("Plan & goals", "Grow <slowly>", "say it twice"), ("", "No title here", "")]),
    );
    assert_eq!(
        pages(&found),
        ["## Plan & goals\n\nGrow <slowly>\n\n- Notes: say it twice", "## Slide 2\n\nNo title here"]
    );
}

/// Lost otherwise: numbers would lose their columns, and days be five-digit numbers.
#[test]
fn a_spreadsheet_is_a_table_for_each_sheet() {
    let found = read(
        Kind::Xlsx,
        &samples::xlsx(&[
            (
                "Prices",
                &[
                    &["item", "price", "since"],
                    &["pen", "1.5", "date:45943"],
                    &["", "", ""],
                    &["ink", "", "date:45943.5"],
                ],
            ),
            ("Empty", &[]),
            ("Last & least", &[&["x"]]),
        ]),
    );
    assert_eq!(
        pages(&found),
        [
            "## Prices\n\n| item | price | since |\n| --- | --- | --- |\n| pen | 1.5 | 2025-10-13 |\n| ink |  | 2025-10-13 12:00:00 |",
            "## Empty",
            "## Last & least\n\n| x |\n| --- |"
        ]
    );
}

/// Lost otherwise: scripts would be found instead of words, and code and tables be broken up.
#[test]
fn a_page_of_the_web_is_what_its_reader_sees() {
    let page = "<!doctype html><html><head><title>Shop &amp; more</title><style>p{}</style><script>var x='<p>no</p>'</script></head>\
                <body><h2>Refunds</h2><p>Paid within\n  <b>14</b> days<br>or less<p>Second<ul><li>one<li>two<ol><li>deep</ol></ul>\
                <table><tr><th>a<th>b<tr><td>1<td>2 | 3</table><pre>let a  = 1;\n  b()</pre><p>Use <code>x</code> &lt;here&gt;<img alt='a pen'>";
    let found = read(Kind::Html, page.as_bytes());
    assert_eq!(
        found.text,
        "# Shop & more\n\n## Refunds\n\nPaid within 14 days\nor less\n\nSecond\n\n- one\n- two\n  - deep\n\n| a | b |\n| --- | --- |\n\
         | 1 | 2 \\| 3 |\n\n```\nlet a  = 1;\n  b()\n```\n\nUse `x` <here> a pen\n"
    );
    let titled = read(Kind::Html, b"<title>T</title><h1>Heading</h1>x");
    assert_eq!(titled.text, "# Heading\n\nx\n");
    let old = read(Kind::Html, b"<meta charset='iso-8859-15'><p>10 \xa4");
    assert_eq!(old.text, "10 €\n");
    let older = read(Kind::Html, b"<p>caf\xe9");
    assert_eq!(older.text, "café\n");
}
