//! What does isolation look like, in one minute?
//!
//! `strongroom serve --demo`: three made-up companies in three partitions of one workspace, loaded through the API on the
//! listening socket like any client would, a search with its trace, a call that is refused, and commands to go on with.
//!
//! Invariants:
//! 1. A folder is emptied only if it carries the demo's marker, which only the demo writes, into a folder that was empty.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::log::print;
use crate::master_key::DEMO_MARKER as MARKER;
use crate::serve::Server;

/// Where the demo lives unless it is told.
pub(crate) const FOLDER: &str = "./strongroom-demo-data";

const QUESTION: &str = "when do customers get a refund";

macro_rules! documents {
    ($($partition:literal: $($name:literal)*;)*) => {
        &[$($(($partition, concat!($name, ".txt"),
            include_str!(concat!("../demo/", $partition, "/", $name, ".txt")))),*),*]
    };
}

/// Partition, filename and text.
const DOCUMENTS: &[(&str, &str, &str)] = documents! {
    "acme": "refunds" "onboarding" "security" "shipping" "warranty" "holidays";
    "globex": "refunds" "onboarding" "security" "oncall" "pricing" "support";
    "initech": "refunds" "onboarding" "security" "visits" "billing" "emergencies";
};

/// Makes the demo's folder, or empties the one that an earlier demo left.
pub(crate) fn prepare_folder(folder: &Path) -> Result<(), String> {
    let failed =
        |error: std::io::Error| format!("the demo's folder {} can't be used: {error}", folder.display());
    let marker = folder.join(MARKER);
    let mut entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            std::fs::create_dir_all(folder).map_err(failed)?;
            std::fs::read_dir(folder).map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    if marker.is_file() {
        // The marker goes last, so that an interrupted clean-up is taken up again.
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.file_name() == MARKER {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            let path = entry.path();
            if kind.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
                .map_err(failed)?;
        }
        return Ok(());
    }
    if entries.next().is_some() {
        return Err(format!(
            "{} is no demo folder and is not empty; choose an empty one with --data-dir, nothing was touched",
            folder.display()
        ));
    }
    std::fs::write(
        &marker,
        "This folder belongs to strongroom serve --demo, which empties it at each start.\n",
    )
    .map_err(failed)
}

/// Loads the corpus and shows what can be done with it.
pub(crate) async fn show(server: &Server) -> Result<(), String> {
    let key =
        server.create_workspace_with_key("demo", true).await.map_err(|error| error.text.into_owned())?;
    let client = Client { address: server.address(), key };
    print(&heading("Loading three companies' notes, each into a partition of its own"));
    for (partition, name, text) in DOCUMENTS {
        let path = format!("/v1/documents?filename={name}&content_type=text/plain&partition={partition}");
        client.expect(201, "POST", &path, text).await?;
    }
    print(&format!("{} documents for acme, globex and initech.\n", DOCUMENTS.len()));
    for partition in ["acme", "globex"] {
        show_search(&client, partition).await?;
    }
    print(&heading("The same question without naming a partition"));
    let path = format!("/v1/search?q={}", QUESTION.replace(' ', "+"));
    let refused = client.expect(400, "GET", &path, "").await?;
    print(&format!("400 {}\n{}\n", refused["code"].as_str().unwrap_or(""), wrapped(&refused["error"], 2)));
    print(&next_steps(&client));
    Ok(())
}

async fn show_search(client: &Client, partition: &str) -> Result<(), String> {
    print(&heading(&format!("As {partition}: \"{QUESTION}\"")));
    let path = format!("/v1/search?q={}&k=2&trace=true&partition={partition}", QUESTION.replace(' ', "+"));
    let found = client.expect(200, "GET", &path, "").await?;
    for hit in found["results"].as_array().into_iter().flatten() {
        print(&format!(
            "score {:>3}  {} (partition {})\n{}\n\n",
            hit["score"],
            hit["title"].as_str().unwrap_or(""),
            hit["partition"].as_str().unwrap_or(""),
            wrapped(&hit["passage"], 11)
        ));
    }
    let trace = &found["trace"];
    print(&format!(
        "trace      touched {}, {} documents in scope, boundary {}\n",
        trace["partitions_touched"],
        trace["candidates_in_scope"],
        trace["boundary"].as_str().unwrap_or("")
    ));
    Ok(())
}

fn next_steps(client: &Client) -> String {
    let (address, key) = (client.address, &client.key);
    format!(
        "{}export KEY={key}

curl -s -H \"Authorization: Bearer $KEY\" \\
  'http://{address}/v1/search?q=visiting+hours&k=1&partition=initech'

curl -s -H \"Authorization: Bearer $KEY\" http://{address}/v1/partitions

Or in Python (pip install aether-ai):

import os
from aether import AetherClient

client = AetherClient(\"http://{address}\", api_key=os.environ[\"KEY\"])
acme = client.partition(\"acme\")
acme.insert_text(\"Acme opens on Sundays from May on.\", filename=\"hours.txt\")
for hit in acme.search(\"when is the shop open\", k=3):
    print(hit.score, hit.title, hit.passage)
print(acme.verify_isolation(\"refunds\"))
print(client.delete_partition(\"globex\"), \"documents deleted for good\")

The server stays up; stop it with Ctrl-C. The next --demo starts afresh.
",
        heading("Go on from here")
    )
}

fn heading(text: &str) -> String {
    format!("\n{text}\n{}\n", "-".repeat(text.chars().count().min(79)))
}

/// A text in lines of at most 79 columns, indented, each of its paragraphs on lines of its own.
fn wrapped(text: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut lines = Vec::new();
    for paragraph in text.as_str().unwrap_or("").split("\n\n") {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > 79 {
                lines.push(format!("{margin}{line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(format!("{margin}{line}"));
    }
    lines.join("\n")
}

/// As little of an HTTP client as the demo needs: one request for each connection.
struct Client {
    address: SocketAddr,
    key: String,
}

impl Client {
    async fn expect(&self, status: u16, method: &str, path: &str, body: &str) -> Result<Value, String> {
        let answer = self
            .send(method, path, body)
            .await
            .map_err(|error| format!("the demo's own call failed: {error}"))?;
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        if !head.starts_with(&format!("HTTP/1.1 {status} ")) {
            return Err(format!(
                "the demo's own call {method} {path} was answered: {}",
                head.lines().next().unwrap_or("")
            ));
        }
        serde_json::from_str(body)
            .map_err(|error| format!("the demo's own call was answered without JSON: {error}"))
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> std::io::Result<Vec<u8>> {
        let mut socket = TcpStream::connect(self.address).await?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            self.address,
            self.key,
            body.len()
        );
        socket.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: trying the demo in the wrong folder would delete someone's data.
    #[test]
    fn only_the_demos_own_folder_is_emptied() {
        let root = tempfile::tempdir().unwrap();
        let theirs = root.path().join("theirs");
        std::fs::create_dir(&theirs).unwrap();
        std::fs::write(theirs.join("thesis.txt"), "years of work").unwrap();
        assert!(prepare_folder(&theirs).unwrap_err().contains("nothing was touched"));
        assert_eq!(std::fs::read_to_string(theirs.join("thesis.txt")).unwrap(), "years of work");

        let ours = root.path().join("ours");
        prepare_folder(&ours).unwrap();
        std::fs::create_dir(ours.join("segments")).unwrap();
        std::fs::write(ours.join("segments/x"), "x").unwrap();
        prepare_folder(&ours).unwrap();
        let left: Vec<_> =
            std::fs::read_dir(&ours).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [MARKER]);
    }

    #[test]
    fn lines_fit_a_terminal() {
        for (_, _, text) in DOCUMENTS {
            assert!(wrapped(&Value::from(*text), 11).lines().all(|line| line.chars().count() <= 79));
        }
        let client = Client { address: ([127, 0, 0, 1], 7373).into(), key: "sr_live_x".to_owned() };
        assert!(
            next_steps(&client).lines().all(|line| line.chars().count() <= 79 || line.starts_with("export"))
        );
    }
}
