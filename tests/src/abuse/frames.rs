//! How is HTTP/2 spoken by somebody who doesn't keep to it?
//!
//! Frames are written as they are told, whatever the protocol says of their order (RFC 9113); headers are literals that no
//! table keeps (RFC 7541, section 6.2.2). What the server sends is read only when it is asked for.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// Kinds of frames.
pub mod kind {
    #![allow(missing_docs, reason = "named as RFC 9113 names them")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The stream ends with this frame.
pub const END_STREAM: u8 = 1;
/// The headers end with this frame.
pub const END_HEADERS: u8 = 4;

/// GOAWAY's word for a peer that asks too much.
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// The setting of a stream's window.
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// One end of a connection.
pub struct Peer {
    socket: TcpStream,
}

/// A frame of the server's.
#[derive(Debug)]
pub struct Frame {
    /// Its kind.
    pub kind: u8,
    /// What it holds.
    pub payload: Vec<u8>,
}

impl Peer {
    /// Connects and sends the preface with these settings.
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Peer {
        let socket = TcpStream::connect(address).expect("the server accepts");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket's option");
        socket.set_write_timeout(Some(PATIENCE)).expect("a socket's option");
        let mut peer = Peer { socket };
        peer.socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the preface fits in the socket");
        let settings = settings
            .iter()
            .flat_map(|(name, value)| name.to_be_bytes().into_iter().chain(value.to_be_bytes()));
        peer.send(kind::SETTINGS, 0, 0, &settings.collect::<Vec<_>>()).expect("so do the settings");
        peer
    }

    /// Sends a frame.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<()> {
        self.socket.write_all(&frame(kind, flags, stream, payload))
    }

    /// Sends these frames in one go, so many times: what a flood is made of. Stops when the server hears no more of it.
    pub fn flood(&mut self, times: usize, mut of: impl FnMut(usize) -> Vec<u8>) {
        let mut waiting = Vec::new();
        for time in 0..times {
            waiting.extend(of(time));
            if waiting.len() > 1 << 16 || time + 1 == times {
                if self.socket.write_all(&waiting).is_err() {
                    return;
                }
                waiting.clear();
            }
        }
    }

    /// The next frame; an error once the server has closed.
    pub fn read(&mut self) -> Result<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.socket.read_exact(&mut payload)?;
        Ok(Frame { kind: head[3], payload })
    }

    /// Reads until the server says why it goes, or has gone without a word.
    pub fn reason(&mut self) -> Option<u32> {
        loop {
            let frame = self.read().ok()?;
            if frame.kind == kind::GOAWAY {
                let code = frame.payload.get(4..8)?;
                return Some(u32::from_be_bytes(code.try_into().expect("four bytes")));
            }
        }
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a request, as a block.
pub fn request(method: &str, path: &str, key: &str) -> Vec<u8> {
    let bearer = format!("Bearer {key}");
    let fields = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", path),
        ("authorization", &bearer),
    ];
    fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// One header that no table keeps.
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// A text, its length before it as an integer with a prefix of seven bits.
fn text(text: &str) -> Vec<u8> {
    let (mut out, mut length) = (Vec::new(), text.len());
    if length < 127 {
        out.push(u8::try_from(length).expect("below 127"));
    } else {
        out.push(127);
        length -= 127;
        while length >= 128 {
            out.push(u8::try_from(length % 128 + 128).expect("a byte"));
            length /= 128;
        }
        out.push(u8::try_from(length).expect("a byte"));
    }
    out.extend_from_slice(text.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::text;

    /// Lost otherwise: what is meant to be a flood would be one malformed header.
    #[test]
    fn lengths_are_written_as_the_table_of_rfc_7541_has_them() {
        assert_eq!(text("ab"), [2, b'a', b'b']);
        // C.1.2 of RFC 7541 with a prefix of seven bits: 1337 is 127 + 1210 = 127 + 58 + 9 * 128.
        assert_eq!(text(&"x".repeat(1337))[..3], [127, 186, 9]);
    }
}
