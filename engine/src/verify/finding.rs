//! What was found, how bad is it, and whom does it hit?

use std::fmt;
use strongroom_format::Damage;
use strongroom_format::record::Identity;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A byte is not what it must be.
    Fault,
    /// What a crash leaves behind, or what nothing needs any more: opening the store sees to it.
    Note,
}

/// Whom a finding hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hits {
    /// Nobody: nothing that is served depends on it.
    Nobody,
    /// Nobody, for the same stands somewhere else as well.
    Mended,
    /// One partition, and no other.
    Partition {
        /// Which incarnation.
        incarnation: [u8; 16],
        /// Its collection and name, where the root key opens them.
        identity: Option<Identity>,
    },
    /// More than one partition, or nobody can tell which.
    Store,
}

/// One thing that verify found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is, and what.
    pub damage: Damage,
    /// Whom it hits.
    pub hits: Hits,
}

impl fmt::Display for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("hits nobody"),
            Self::Mended => f.write_str("mended by the other copy"),
            Self::Store => f.write_str("hits the store"),
            Self::Partition { incarnation, identity } => {
                write!(f, "hits partition {}", hex(incarnation))?;
                match identity {
                    None => Ok(()),
                    Some(Identity { collection, partition: None, .. }) => {
                        write!(f, " (the default partition of {collection:?})")
                    }
                    Some(Identity { collection, partition: Some(name), .. }) => {
                        write!(f, " ({name:?} of {collection:?})")
                    }
                }
            }
        }
    }
}

/// One line, whatever the damaged bytes are.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { file, offset, field, expected, found } = &self.damage;
        let severity = match self.severity {
            Severity::Fault => "fault",
            Severity::Note => "note",
        };
        let (found, expected) = (OneLine(found), OneLine(expected));
        write!(f, "{severity}: {file} at byte {offset}: {field} is {found}, expected {expected}")?;
        match (self.severity, &self.hits) {
            (Severity::Note, Hits::Nobody) => Ok(()),
            (_, hits) => write!(f, " [{hits}]"),
        }
    }
}

/// A text that may hold what was read from a damaged file.
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            letter if letter.is_control() => write!(f, "{}", letter.escape_default()),
            letter => write!(f, "{letter}"),
        })
    }
}

/// Sixteen bytes as names and lines show them.
pub(crate) fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_format::record::CollectionSpec;
    use strongroom_format::terms::Terms;

    fn finding(hits: Hits) -> Finding {
        let damage = Damage::new("BlockHeader.crc32", 1, 2).at("segments/0/x", 64);
        Finding { severity: Severity::Fault, damage, hits }
    }

    /// Without this, an operator couldn't tell from a line what is hit, and a script couldn't read the lines.
    #[test]
    fn a_finding_is_one_line_that_says_whom_it_hits() {
        let line = "fault: segments/0/x at byte 64: BlockHeader.crc32 is 2, expected 1";
        assert_eq!(finding(Hits::Mended).to_string(), format!("{line} [mended by the other copy]"));
        assert_eq!(finding(Hits::Store).to_string(), format!("{line} [hits the store]"));
        let identity = Identity {
            collection: "notes".to_owned(),
            partition: Some("a\nb".to_owned()),
            spec: CollectionSpec::cosine(1),
            terms: Terms::default(),
        };
        let partition = Hits::Partition { incarnation: [0xab; 16], identity: Some(identity) };
        let whom = format!("[hits partition {} (\"a\\nb\" of \"notes\")]", "ab".repeat(16));
        assert_eq!(finding(partition).to_string(), format!("{line} {whom}"));
        let mut torn = finding(Hits::Nobody);
        (torn.severity, torn.damage.found) = (Severity::Note, "a\u{7}\nb".to_owned());
        let told = torn.to_string();
        assert_eq!(told, "note: segments/0/x at byte 64: BlockHeader.crc32 is a\\u{7}\\nb, expected 1");
    }
}
