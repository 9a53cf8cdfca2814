//! What must hold of a file that its sender says to be a PDF, an Office file or HTML?
//!
//! The first byte is what is claimed, all others are the file. Whatever they are, the outcome is a refusal, or text of the size and
//! form that the crate `strongroom-extract` promises. (What takes memory and time without end is bounded by the process that the
//! server reads files in; here by small limits.)

use strongroom_extract::{Kind, Limits, extract, samples};

const KINDS: [Option<Kind>; 6] =
    [None, Some(Kind::Pdf), Some(Kind::Docx), Some(Kind::Pptx), Some(Kind::Xlsx), Some(Kind::Html)];

const LIMITS: Limits = Limits { pages: 20, nesting: 32, unpacked_bytes: 1 << 20, text_bytes: 64 << 10 };

/// Reads a file.
pub(crate) fn run(bytes: &[u8]) -> bool {
    let Some((claimed, file)) = bytes.split_first() else { return false };
    let claimed = KINDS[usize::from(*claimed) % KINDS.len()];
    let Ok(found) = quietly(|| extract(claimed, file, &LIMITS)) else { return false };
    assert!(claimed.is_none_or(|claimed| claimed == found.kind), "a claim is checked");
    assert!(found.text.len() <= LIMITS.text_bytes, "{} bytes of text", found.text.len());
    let is_plain = |c: char| matches!(c, '\n' | '\t') || !c.is_control();
    assert!(found.text.chars().all(is_plain), "text has no control characters");
    assert!(found.starts.is_sorted(), "pages come in their order");
    assert!(found.starts.iter().all(|at| found.text.is_char_boundary(*at)), "pages begin with a character");
    true
}

/// Runs what answers a reader's panic as a refusal: nobody else is to hear of it, least of all a fuzzer that ends with the first one.
fn quietly<R>(read: impl FnOnce() -> R) -> R {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = read();
    std::panic::set_hook(loud);
    outcome
}

/// A small file of each kind, claimed and not.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let body = [
        samples::docx_paragraph("Heading1", "Whales"),
        samples::docx_paragraph("", "They sing."),
        samples::docx_table(&[&["whale", "sings"], &["blue", "low"]]),
    ];
    let files: [(Kind, Vec<u8>); 5] = [
        (Kind::Pdf, samples::pdf(&[&[(24, "Whales"), (12, "They sing.")], &[(12, "And sleep.")]])),
        (Kind::Docx, samples::docx(&body.concat())),
        (Kind::Pptx, samples::pptx(&[("Whales", "They sing.", "a note"), ("Seals", "They bark.", "")])),
        (Kind::Xlsx, samples::xlsx(&[("Songs", &[&["whale", "hertz"], &["blue", "17"]])])),
        (Kind::Html, b"<h1>Whales</h1><p>They <b>sing</b>.<ul><li>low<li>long</ul><pre>a  b</pre>".to_vec()),
    ];
    let claimed = |kind: Kind| KINDS.iter().position(|known| *known == Some(kind)).unwrap_or_default() as u8;
    let mut seeds = Vec::new();
    for (kind, file) in files {
        seeds.push([&[claimed(kind)], &file[..]].concat());
        if kind != Kind::Html {
            seeds.push([&[0], &file[..]].concat());
        }
    }
    seeds
}
