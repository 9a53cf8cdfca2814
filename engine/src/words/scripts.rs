//! In which script is a word written?

use rust_stemmers::Algorithm;

/// Scripts that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// Latin letters, and digits.
    Latin,
    /// Cyrillic letters.
    Cyrillic,
    /// Greek letters.
    Greek,
    /// Arabic letters.
    Arabic,
    /// Tamil letters.
    Tamil,
    /// Scripts whose words have no spaces between them: Han, Kana, Thai, Lao, Khmer, Burmese.
    Unspaced,
    /// Any other.
    Other,
}

impl Script {
    /// The script of a piece between two word borders, by its first letter; `None` when it has neither letters nor
    /// digits.
    pub(super) fn of(piece: &str) -> Option<Self> {
        let first =
            piece.chars().find(|c| c.is_alphabetic()).or_else(|| piece.chars().find(|c| c.is_numeric()))?;
        Some(match u32::from(first) {
            0x0000..=0x024f | 0x1e00..=0x1eff | 0xfb00..=0xfb06 | 0xff10..=0xff5a => Self::Latin,
            0x0370..=0x03ff | 0x1f00..=0x1fff => Self::Greek,
            0x0400..=0x052f => Self::Cyrillic,
            0x0600..=0x06ff | 0x0750..=0x077f | 0xfb50..=0xfdff | 0xfe70..=0xfeff => Self::Arabic,
            0x0b80..=0x0bff => Self::Tamil,
            0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff => Self::Unspaced,
            0x2e80..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff => {
                Self::Unspaced
            }
            0xff66..=0xff9f | 0x20000..=0x3ffff => Self::Unspaced,
            _ => Self::Other,
        })
    }

    /// The stemmer of the language that is written most in it.
    pub(super) fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::Latin => Some(Algorithm::English),
            Self::Cyrillic => Some(Algorithm::Russian),
            Self::Greek => Some(Algorithm::Greek),
            Self::Arabic => Some(Algorithm::Arabic),
            Self::Tamil => Some(Algorithm::Tamil),
            Self::Unspaced | Self::Other => None,
        }
    }
}
