//! What does a file cost beside its text, and a process of its own beside none?
//!
//! Files of each kind with the same few thousand words. Each is inserted over HTTP, and so is the text that was read out of it, in turn, so
//! that the machine's drift hits both sides. Then each is read in this process, and by the program's own child as the server has it done.
//! Prints medians and their ratios.
//!
//!     cargo xtask bench files

#![allow(clippy::print_stdout)]

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use strongroom_benches::{Connection, parameter, percentile};
use strongroom_extract::samples::{self, docx_paragraph};
use strongroom_extract::{Extracted, Kind, Limits, extract};
use strongroom_tests::server::{Server, program};

const ROUNDS: usize = 40;
const SENTENCE: &str = "Whales are mammals that live in the sea and breathe air, number";

fn main() {
    let rounds = parameter("FILES_ROUNDS", ROUNDS);
    let server = Server::start();
    let mut connection = Connection::open(&server);
    println!(
        "{:>5} {:>9} {:>9} | insert file, text, ratio | read here, by a child, child's own part",
        "kind", "file", "text"
    );
    for (kind, file) in files() {
        let found = extract(Some(kind), &file, &Limits::default()).expect("a sample can be read");
        let (mut of_file, mut of_text, mut here, mut there) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            of_file.push(insert(&mut connection, kind, round, kind.media_type(), &file));
            of_text.push(insert(&mut connection, kind, round, "text/markdown", found.text.as_bytes()));
            here.push(timed(|| read_here(kind, &file)));
            there.push(timed(|| read_by_a_child(kind, &file, &found)));
        }
        let [file_time, text_time, here, there] =
            [of_file, of_text, here, there].map(|mut all| percentile(&mut all, 0.5));
        println!(
            "{:>5} {:>9} {:>9} | {file_time:.2?}, {text_time:.2?}, {:.2} x | {here:.2?}, {there:.2?}, {:.2?}",
            kind.ending(),
            file.len(),
            found.text.len(),
            file_time.as_secs_f64() / text_time.as_secs_f64(),
            there.saturating_sub(here),
        );
    }
}

fn files() -> [(Kind, Vec<u8>); 5] {
    let lines: Vec<String> = (0..1000).map(|number| format!("{SENTENCE} {number}.")).collect();
    let pages: Vec<Vec<(u32, &str)>> =
        lines.chunks(50).map(|page| page.iter().map(|line| (11, line.as_str())).collect()).collect();
    let pages: Vec<&[(u32, &str)]> = pages.iter().map(Vec::as_slice).collect();
    let body: String = lines.iter().map(|line| docx_paragraph("", line)).collect();
    let texts: Vec<String> = lines.chunks(50).map(|slide| slide.join(" ")).collect();
    let slides: Vec<(&str, &str, &str)> = texts.iter().map(|text| ("A slide", text.as_str(), "")).collect();
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| vec![line.as_str(), "1.5", "date:45943"]).collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let html: String = lines.iter().map(|line| format!("<p>{line}</p>\n")).collect();
    [
        (Kind::Pdf, samples::pdf(&pages)),
        (Kind::Docx, samples::docx(&body)),
        (Kind::Pptx, samples::pptx(&slides)),
        (Kind::Xlsx, samples::xlsx(&[("Whales", &rows)])),
        (Kind::Html, html.into_bytes()),
    ]
}

fn timed(act: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    act();
    begun.elapsed()
}

fn insert(
    connection: &mut Connection,
    kind: Kind,
    round: usize,
    content_type: &str,
    body: &[u8],
) -> Duration {
    let path = format!("/v1/documents?partition={}-{}&filename=x", kind.ending(), round % 4);
    timed(|| drop(connection.send("POST", &path, content_type, body)))
}

fn read_here(kind: Kind, file: &[u8]) {
    extract(Some(kind), file, &Limits::default()).expect("a sample can be read");
}

fn read_by_a_child(kind: Kind, file: &[u8], expected: &Extracted) {
    let mut child = Command::new(program())
        .args(["extract", &format!("--kind={}", kind.ending()), &format!("--bytes={}", file.len())])
        .args(["--pages=2000", "--nesting=256", "--unpacked-bytes=536870912", "--text-bytes=16777216"])
        .args(["--seconds=60", "--memory-bytes=1073741824"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    child.stdin.take().expect("a pipe").write_all(file).expect("the child reads");
    let mut said = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut said).expect("the child answers");
    assert!(
        child.wait().expect("a child can be waited for").success()
            && said.ends_with(expected.text.as_bytes())
    );
}
