//! How is a byte that doesn't check named?

use std::fmt;

/// A place in a file whose bytes are not what they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file's name inside the store; empty until the reader that knows it fills it in.
    pub file: String,
    /// Where the structure begins, in bytes from the start of the file.
    pub offset: u64,
    /// Structure and field, such as `BatchHeader.crc32`.
    pub field: &'static str,
    /// What would have been right.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Damage {
    /// Names a field; file and offset are added on the way up with [`Damage::at`].
    pub fn new(field: &'static str, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self {
            file: String::new(),
            offset: 0,
            field,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// Says where it is.
    #[must_use]
    pub fn at(mut self, file: &str, offset: u64) -> Self {
        self.file = file.to_owned();
        self.offset += offset;
        self
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, field, expected, found } = self;
        write!(f, "damage in {file} at byte {offset}: {field} is {found}, expected {expected}")
    }
}

impl std::error::Error for Damage {}
