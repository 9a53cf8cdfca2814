//! Where do unguessable ids and secrets come from?
//!
//! The operating system's generator, and nothing else. Without it the server must not go on, so a failure panics.

/// The alphabet of ids and keys: letters and digits, so that a double click selects the whole.
pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Fresh random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    assert!(getrandom::fill(&mut bytes).is_ok(), "the operating system gives no randomness");
    bytes
}

/// A random text of `length` characters of [`BASE62`], each with the same likelihood: about 5.95 bits a character.
pub(crate) fn base62(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // 248 is the largest multiple of 62 in a byte; what lies above would favour the first letters.
        let fair = bytes::<64>().into_iter().filter(|byte| *byte < 248);
        text.extend(fair.map(|byte| char::from(BASE62[usize::from(byte % 62)])).take(length - text.len()));
    }
    text
}

/// The bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Reads hexadecimal of exactly `N` bytes.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
