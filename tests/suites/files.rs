//! Are files of every kind read, found and given back as they came, and does a file that does harm do it to itself alone?

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_extract::Kind;
use strongroom_extract::samples::{self, docx_paragraph};
use strongroom_tests::client::{Answer, Client, encoded, raw, with_query};
use strongroom_tests::documents::{download, get, insert, path, search};
use strongroom_tests::server::{OPERATOR_KEY, Plan, Server};

const PATIENCE: Duration = Duration::from_secs(60);

fn send(client: &Client, partition: &str, filename: &str, content_type: Option<&str>, file: &[u8]) -> Answer {
    let mut pairs = vec![("filename", filename), ("partition", partition)];
    pairs.extend(content_type.map(|kind| ("content_type", kind)));
    client.post_bytes(&with_query("/v1/documents", &pairs), file)
}

fn text(client: &Client, partition: &str, id: &str, pairs: &[(&str, &str)]) -> Value {
    let mut all = vec![("partition", partition)];
    all.extend(pairs);
    client.get(&with_query(&format!("/v1/documents/{}/text", encoded(id)), &all)).expect(200).json()
}

/// A file of each kind that says where whales live, on its second page where it has pages.
fn whales() -> [(Kind, Vec<u8>); 5] {
    const SAID: &str = "Whales are mammals that live in the sea.";
    const BREAD: &str = "Bread dough rises because yeast makes carbon dioxide.";
    let body = [
        docx_paragraph("Heading1", "Bread"),
        docx_paragraph("", BREAD),
        samples::DOCX_PAGE.to_owned(),
        docx_paragraph("Heading1", "Sea"),
        docx_paragraph("", SAID),
    ];
    [
        (Kind::Pdf, samples::pdf(&[&[(20, "Bread"), (11, BREAD)], &[(20, "Sea"), (11, SAID)]])),
        (Kind::Docx, samples::docx(&body.concat())),
        (Kind::Pptx, samples::pptx(&[("Bread", BREAD, ""), ("Sea", SAID, "")])),
        (Kind::Xlsx, samples::xlsx(&[("Bread", &[&["what"], &[BREAD]]), ("Sea", &[&["what"], &[SAID]])])),
        (
            Kind::Html,
            format!(
                "<title>Both</title><h2>Bread</h2><p>{BREAD}<h2>Sea</h2><p>{SAID}<script>hidden()</script>"
            )
            .into_bytes(),
        ),
    ]
}

// A product that takes its customers' PDFs and Office files would find nothing in them, or give back other files than it got.
#[test]
fn every_kind_is_found_shown_and_given_back_byte_for_byte() {
    let server = Server::start();
    let client = server.operator();
    let mut kept = Vec::new();
    for (kind, file) in whales() {
        let partition = kind.ending();
        let name = format!("both.{partition}");
        let pairs = [
            ("filename", name.as_str()),
            ("partition", partition),
            ("metadata", "{\"year\": 2024}"),
            ("chunk_size", "24"),
            ("overlap", "0"),
        ];
        let record = client.post_bytes(&with_query("/v1/documents", &pairs), &file).expect(201).json();
        assert_eq!(record["content_type"], kind.media_type(), "the name's ending says what it is");
        assert_eq!(
            (&record["size_bytes"], &record["metadata"]),
            (&json!(file.len()), &json!({"year": 2024}))
        );
        let id = record["doc_id"].as_str().expect("an id").to_owned();

        let hits = search(&client, Some(partition), "whales in the sea", 1);
        let (passage, content) =
            (hits[0]["passage"].as_str().expect("a text"), hits[0]["content"].as_str().expect("a text"));
        assert!(passage.contains("Whales are mammals") && !passage.contains("yeast"), "{kind}: {passage}");
        assert!(
            content.contains("yeast") && !content.contains('\0') && !content.contains("PK"),
            "{kind}: {content}"
        );
        assert_eq!(hits[0]["metadata"], json!({"year": 2024}));
        let shown = text(&client, partition, &id, &[]);
        assert_eq!((&shown["text"], &shown["state"]), (&json!(content), &json!("ready")), "{kind}");
        assert_eq!(shown["total_bytes"], content.len());
        let section = text(&client, partition, &id, &[("section", "sea")]);
        assert!(section["text"].as_str().expect("a text").contains("Whales"), "{section}");
        assert!(!section["text"].as_str().expect("a text").contains("yeast"), "{section}");
        kept.push((kind, id, record, file));
    }
    let server = server.kill().start();
    let client = server.operator();
    for (kind, id, record, file) in kept {
        let partition = Some(kind.ending());
        let back = download(&client, partition, &id).expect(200);
        assert_eq!((back.header("content-type"), &back.body), (Some(kind.media_type()), &file));
        assert_eq!(back.header("content-security-policy"), Some("sandbox"));
        assert_eq!(get(&client, partition, &id).expect(200).json(), record);
    }
}

// A customer's file would lose its original, or its place in the text, by being changed, moved, deleted and restored, or embedded anew.
#[test]
fn a_file_stays_whole_whatever_becomes_of_its_document() {
    let server = Server::start();
    let client = server.operator();
    let [(_, pdf), (_, docx), ..] = whales();
    let record = send(&client, "acme", "a.pdf", None, &pdf).expect(201).json();
    let id = record["doc_id"].as_str().expect("an id").to_owned();
    let note = insert(&client, Some("acme"), "a note");
    client.delete(&path(&format!("/{id}"), Some("acme"))).expect(200);
    client.post(&path(&format!("/{id}/restore"), Some("acme")), &json!({})).expect(200);
    client.post("/v1/partitions/acme/copy", &json!({"to": "copied"})).expect(200);
    assert_eq!(get(&client, Some("copied"), &id).expect(200).json()["cid"], record["cid"]);
    assert_eq!(download(&client, Some("copied"), &id).expect(200).body, pdf);
    let body = json!({"expect_partition": "acme", "to_partition": "globex"});
    let moved = client.post(&format!("/v1/documents/{id}/move"), &body).expect(200).json();
    assert_eq!((&moved["size_bytes"], &moved["cid"]), (&record["size_bytes"], &record["cid"]));
    assert_eq!(download(&client, Some("globex"), &id).expect(200).body, pdf);
    assert_eq!(download(&client, Some("acme"), &note).expect(200).text(), "a note");

    let pairs = [("filename", "b.docx"), ("partition", "globex")];
    let updated =
        client.put_bytes(&with_query(&format!("/v1/documents/{id}"), &pairs), &docx).expect(200).json();
    assert_eq!(updated["content_type"], Kind::Docx.media_type());
    assert_eq!(download(&client, Some("globex"), &id).expect(200).body, docx);
    // Back to text, nothing of the file is left.
    let pairs = [("filename", "c.txt"), ("partition", "globex")];
    client.put_bytes(&with_query(&format!("/v1/documents/{id}"), &pairs), b"now a text").expect(200);
    assert_eq!(text(&client, "globex", &id, &[])["text"], "now a text");
}

fn form(files: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, kind, file) in files {
        let head = format!(
            "--zq\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: {kind}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--zq--\r\n");
    body
}

fn upload(client: &Client, rest: &str, files: &[(&str, &str, &[u8])]) -> Answer {
    let headers = [("content-type", "multipart/form-data; boundary=zq")];
    client.send("POST", &format!("/v1/collections/manuals/documents{rest}"), &headers, form(files))
}

// Whoever cites an answer would name no page, or another file than the one that was uploaded; embedding anew would lose the file.
#[test]
fn collections_take_files_and_tell_pages() {
    let server = Server::start();
    let client = server.operator();
    client
        .post("/v1/collections", &json!({"name": "manuals", "chunk_size": 24, "chunk_overlap": 0}))
        .expect(201);
    let [(_, pdf), (_, docx), ..] = whales();
    let stored = upload(&client, "", &[("a.pdf", "application/pdf", &pdf)]).expect(201).json();
    assert_eq!(
        (&stored["file_size"], &stored["file_type"], &stored["metadata"]),
        (&json!(pdf.len()), &json!("pdf"), &json!({}))
    );
    let id = stored["id"].as_str().expect("an id");
    let answer = upload(
        &client,
        "/batch/upload",
        &[("b.docx", "application/octet-stream", &docx), ("c.pdf", "application/pdf", b"%PDF-1.4 broken")],
    );
    answer.expect_error(422, "file_broken");
    let listed = client.get("/v1/collections/manuals/documents").expect(200).json();
    assert_eq!(listed["total"], 1, "a form is stored whole or not at all");

    let ask = || {
        let body = json!({"query": "whales live in the sea", "top_k": 1, "search_mode": "keyword"});
        client.post("/v1/collections/manuals/query", &body).expect(200).json()["results"][0].clone()
    };
    let hit = ask();
    assert_eq!((&hit["page_no"], &hit["document_id"]), (&json!(2), &stored["id"]), "{hit}");
    let (start, end) =
        (hit["char_start"].as_u64().expect("a number"), hit["char_end"].as_u64().expect("a number"));
    assert_eq!(end - start, hit["text"].as_str().expect("a text").chars().count() as u64);
    let file = client.get(&format!("/v1/collections/manuals/documents/{id}/file")).expect(200);
    assert_eq!((file.header("content-type"), &file.body), (Some("application/pdf"), &pdf));

    client.post(&format!("/v1/collections/manuals/documents/{id}/reprocess"), &json!({})).expect(200);
    assert_eq!(ask()["page_no"], 2);
    let file = client.get(&format!("/v1/collections/manuals/documents/{id}/file")).expect(200);
    assert_eq!(file.body, pdf, "embedded anew, the file is what it was");
    let chunks = client.get(&format!("/v1/collections/manuals/documents/{id}/chunks")).expect(200).json();
    let texts: Vec<_> = chunks["chunks"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|chunk| chunk["text"].as_str().expect("a text"))
        .collect();
    assert!(texts.iter().all(|text| !text.contains("%PDF")), "{texts:?}");
}

fn job(client: &Client, answer: &Answer) -> Value {
    let url = answer.json()["poll_url"].as_str().expect("an address").to_owned();
    let begun = Instant::now();
    loop {
        let job = client.get(&format!("/v1{url}")).expect(200).json();
        if job["status"] == "completed" || job["status"] == "failed" {
            return job;
        }
        assert!(begun.elapsed() < PATIENCE, "{job}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

// Files sent in the background or in batches would be stored as noise, or be lost without a word.
#[test]
fn files_come_in_by_every_door() {
    let server = Server::start();
    let client = server.operator();
    let [(_, pdf), .., (_, html)] = whales();
    let begin = |filename: &str, file: &[u8]| {
        let pairs =
            [("filename", filename), ("partition", "jobs"), ("content_type", "application/octet-stream")];
        client.post_bytes(&with_query("/v1/documents/async", &pairs), file).expect(202)
    };
    let done = job(&client, &begin("a", &pdf));
    let id = done["doc_id"].as_str().unwrap_or_else(|| panic!("{done}"));
    let record = get(&client, Some("jobs"), id).expect(200).json();
    assert_eq!(record["content_type"], "application/pdf", "the content says what it is");
    assert_eq!(download(&client, Some("jobs"), id).expect(200).body, pdf);
    let failed = job(&client, &begin("b", &pdf[..pdf.len() / 3]));
    assert_eq!((&failed["status"], &failed["code"]), (&json!("failed"), &json!("file_broken")), "{failed}");

    let page = String::from_utf8(html).expect("UTF-8");
    let item = |kind: &str| json!({"filename": "x", "content": page, "content_type": kind});
    let batch = json!({"partition": "batch", "documents": [item("text/html"), item("text/plain")]});
    let stored = client.post("/v1/documents/batch", &batch).expect(201).json();
    let [of_page, of_text] =
        [0, 1].map(|at| stored["results"][at]["doc_id"].as_str().expect("an id").to_owned());
    assert!(!text(&client, "batch", &of_page, &[])["text"].as_str().expect("a text").contains("hidden()"));
    assert_eq!(text(&client, "batch", &of_text, &[])["text"], json!(page));
    let bad = json!({"partition": "batch", "documents": [item("text/plain"), item("application/pdf")]});
    let refused = client.post("/v1/documents/batch", &bad).expect_error(422, "file_type_mismatch");
    assert!(refused.text().contains("document 1 of the batch"), "{refused}");
}

// One customer's broken or hostile file would end the server for all, or be stored as something that it is not.
#[test]
fn what_can_not_be_read_is_refused_and_harms_nobody() {
    let limits = "[limits]\nfile_bytes_max = 33554432\nfile_pages_max = 3\nfile_nesting_max = 40\nfile_unpacked_bytes_max = 1048576\n\
                  file_text_bytes_max = 5000\nfile_seconds_max = 2\nfile_memory_bytes_max = 50331648\n";
    let server = Plan::default().configure(limits).start();
    let client = server.operator();
    let witness = insert(&client, Some("acme"), "a witness");
    let pdf_type = Some(Kind::Pdf.media_type());
    let docx_type = Some(Kind::Docx.media_type());
    let html_type = Some(Kind::Html.media_type());
    let [(_, pdf), (_, docx), ..] = whales();
    let spaces = vec![b' '; 2 << 20];
    let line: &[(u32, &str)] = &[(12, "text")];
    type Case<'a> = (&'a str, Option<&'a str>, Vec<u8>, u16, &'a str);
    let cases: [Case<'_>; 17] = [
        ("cut off", docx_type, docx[..docx.len() / 2].to_vec(), 422, "file_broken"),
        ("noise", pdf_type, b"%PDF-1.7 and then nothing".to_vec(), 422, "file_broken"),
        ("empty", pdf_type, Vec::new(), 422, "empty_document"),
        ("encrypted", pdf_type, samples::pdf_encrypted(), 422, "file_encrypted"),
        ("encrypted", docx_type, samples::office_encrypted(), 422, "file_encrypted"),
        (
            "encrypted, unsaid",
            Some("application/octet-stream"),
            samples::office_encrypted(),
            422,
            "file_encrypted",
        ),
        ("a PDF that says it is a DOCX", docx_type, pdf.clone(), 422, "file_type_mismatch"),
        ("a DOCX that says it is HTML", html_type, docx.clone(), 422, "file_type_mismatch"),
        ("a PDF that says it is text", Some("text/plain"), pdf.clone(), 422, "file_type_mismatch"),
        ("text that says it is a PDF", pdf_type, b"plain text".to_vec(), 422, "file_type_mismatch"),
        (
            "a bomb",
            docx_type,
            samples::archive(&[("word/document.xml", &spaces)]),
            422,
            "file_unpacks_too_large",
        ),
        ("too many pages", pdf_type, samples::pdf(&[line; 4]), 422, "file_too_many_pages"),
        ("too deep", html_type, "<div>".repeat(100_000).into_bytes(), 422, "file_too_deep"),
        ("too much text", html_type, "text ".repeat(1001).into_bytes(), 422, "file_too_much_text"),
        ("for ever", pdf_type, samples::pdf_endless(), 422, "file_timeout"),
        ("too much memory", html_type, vec![b'x'; 32 << 20], 422, "file_too_demanding"),
        ("too large", html_type, vec![b'x'; (32 << 20) + 1], 413, "too_large"),
    ];
    for (what, kind, file, status, code) in &cases {
        let answer = send(&client, "acme", "file", *kind, file);
        assert_eq!((answer.status, answer.code().as_str()), (*status, *code), "{what}: {answer}");
        assert!(
            !answer.text().contains("limits.") || answer.text().chars().any(|c| c.is_ascii_digit()),
            "{answer}"
        );
    }
    let answer = send(&client, "acme", "a.png", Some("image/png"), b"\x89PNG");
    answer.expect_error(415, "unsupported_media_type");
    assert_eq!(
        client.get(&path("", Some("acme"))).expect(200).json()["total"],
        1,
        "nothing of it was stored"
    );
    assert_eq!(download(&client, Some("acme"), &witness).expect(200).text(), "a witness");
    send(&client, "acme", "b.docx", None, &docx).expect(201);
}

/// The processes that this one started.
#[cfg(target_os = "linux")]
fn children(of: u32) -> Vec<u32> {
    let ids = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |id: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    ids.filter(|id| parent(*id) == Some(of)).collect()
}

// Files that take for ever would keep everybody else's from being read, go on when nobody waits for them, and hold the server's keys.
#[test]
fn a_full_queue_says_so_and_a_reader_knows_nothing_and_goes_with_its_caller() {
    let limits = "[limits]\nfile_seconds_max = 3600\nfile_workers_max = 1\nfile_waiting_max = 1\n";
    let server = Plan::default().configure(limits).start();
    let client = server.operator();
    let request = |file: &[u8]| {
        let head = format!(
            "POST /v1/documents?partition=acme&filename=a.pdf HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR_KEY}\r\n\
             content-length: {}\r\n\r\n",
            file.len()
        );
        [head.into_bytes(), file.to_vec()].concat()
    };
    let hold = || {
        let mut stream = TcpStream::connect(server.address()).expect("the server accepts");
        stream.write_all(&request(&samples::pdf_endless())).expect("the server reads");
        stream
    };
    let (first, second) = (hold(), hold());
    // Until both are in, a third one may get the place to wait in; it is given up, and tried again.
    let small = samples::pdf(&[&[(12, "text")]]);
    let begun = Instant::now();
    let refused = loop {
        let said = raw(server.address(), &request(&small), Duration::from_millis(500));
        if said.starts_with("HTTP/1.1 503") {
            break said;
        }
        assert!(begun.elapsed() < PATIENCE, "the queue was never full");
    };
    assert!(refused.contains("retry-after: "), "{refused}");
    // Text needs no reader.
    insert(&client, Some("acme"), "a text");

    #[cfg(target_os = "linux")]
    {
        let readers = children(server.process());
        assert_eq!(readers.len(), 1, "one file is read");
        let of =
            |name: &str| std::fs::read(format!("/proc/{}/{name}", readers[0])).expect("a running process");
        assert_eq!(of("environ"), b"", "a reader holds no keys of the server's");
        // It bounds itself before it reads, and may still be at that.
        let begun = Instant::now();
        loop {
            let limits = String::from_utf8(of("limits")).expect("text");
            let is_bounded = |name: &str, most: &str| {
                let line = limits.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line| line.split_whitespace().next()).is_some_and(|soft| soft == most)
            };
            let bounds = [
                ("Max data size", "1073741824"),
                ("Max cpu time", "3600"),
                ("Max core file size", "0"),
                ("Max file size", "0"),
                ("Max open files", "0"),
            ];
            if bounds.iter().all(|(name, most)| is_bounded(name, most)) {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{limits}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    drop((first, second));
    let begun = Instant::now();
    loop {
        let answer = send(&client, "acme", "a.pdf", None, &small);
        if answer.status == 201 {
            break;
        }
        answer.expect(503);
        assert!(begun.elapsed() < PATIENCE, "readers go on without their callers");
        std::thread::sleep(Duration::from_millis(20));
    }
    #[cfg(target_os = "linux")]
    while !children(server.process()).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "readers stay behind");
        std::thread::sleep(Duration::from_millis(20));
    }
}
