//! How is more sent than a server can want, without waiting for what it says?
//!
//! One thread writes, another one reads, so that an early refusal is heard however much is still to be sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use super::PATIENCE;

/// What came back.
#[derive(Debug)]
pub struct Refusal {
    /// The status; 0 when the connection was closed without a word.
    pub status: u16,
    /// The head and the body.
    pub text: String,
}

impl Refusal {
    /// The error's word, wherever the route's family puts it.
    pub fn code(&self) -> String {
        let body = self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let code = if body["error"].is_object() { &body["error"]["code"] } else { &body["code"] };
        code.as_str().unwrap_or_default().to_owned()
    }
}

/// Sends a head and then `piece` again and again, `times` times or until the answer is there.
pub fn pour(address: SocketAddr, head: &[u8], piece: &[u8], times: usize, end: &[u8]) -> Refusal {
    let socket = TcpStream::connect(address).expect("the server accepts");
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        set(&socket, Some(PATIENCE)).expect("a socket's option");
    }
    let mut writer = socket.try_clone().expect("a second handle");
    let [head, piece, end] = [head, piece, end].map(Arc::<[u8]>::from);
    let writing = std::thread::spawn(move || {
        // The server may have heard enough: what it says counts.
        let mut write = || -> std::io::Result<()> {
            writer.write_all(&head)?;
            for _ in 0..times {
                writer.write_all(&piece)?;
            }
            writer.write_all(&end)
        };
        write().ok();
    });
    let answer = answer(&mut BufReader::new(&socket));
    socket.shutdown(Shutdown::Both).ok();
    writing.join().expect("the writer ends with its socket");
    answer
}

/// Reads one answer, or as much of it as comes.
fn answer(stream: &mut BufReader<&TcpStream>) -> Refusal {
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line) {
            Ok(count) if count > 0 => {}
            _ => break,
        }
        text += &line;
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    // A body that breaks off is shown as far as it came.
    stream.take(length).read_to_end(&mut body).ok();
    text += &String::from_utf8_lossy(&body);
    let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    Refusal { status, text }
}
