//! How are a workspace's partitions made, and what becomes of those that are deleted?
//!
//! By default the first write makes a partition, and a deletion shreds it. A workspace that fears typos has writes make none, or
//! such alone whose ids are of a pattern; one that fears haste has what is deleted lie in the trash for a while.
//!
//! Invariants:
//! 1. A rule binds what is made from then on; what is there stays.

use std::collections::HashMap;
use std::fmt;

use regex::{Regex, RegexBuilder};
use rusqlite::Connection;
use strongroom_engine::{PartitionName, WorkspaceId};

use super::ControlError;
use super::schema::workspace_id;

/// What is thrown away is kept for so long at most, in seconds: ten years.
pub(crate) const GRACE_SECONDS_MAX: u64 = 315_360_000;

/// A pattern is at most so long.
pub(crate) const PATTERN_CHARS_MAX: usize = 512;

/// What a compiled pattern may take in memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What a workspace has decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Whether partitions are made by declaration alone.
    pub(crate) declared: bool,
    /// What the id of a partition that is made has to be like.
    pub(crate) pattern: Option<Pattern>,
    /// How long a deleted partition lies in the trash, unless its deletion says otherwise; 0 shreds it at once.
    pub(crate) grace_ms: u64,
}

/// A regular expression that a whole id fits.
#[derive(Clone)]
pub(crate) struct Pattern {
    text: String,
    whole: Regex,
}

impl Pattern {
    /// Reads one; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.chars().count() > PATTERN_CHARS_MAX {
            return Err(format!("it must have 1 to {PATTERN_CHARS_MAX} characters"));
        }
        let read = |text: &str| {
            RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| error.to_string())
        };
        // By itself first: no bracket of it may close the one that is put around it.
        read(text)?;
        Ok(Self { text: text.to_owned(), whole: read(&format!(r"\A(?:{text})\z"))? })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the whole id is like that.
    pub(crate) fn fits(&self, name: &PartitionName) -> bool {
        self.whole.is_match(name.as_str())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Rule {
    /// Whether a partition of this id may be made at all.
    pub(crate) fn allows(&self, name: &PartitionName) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.fits(name))
    }

    /// Whether a write may make it.
    pub(crate) fn lets_writes_make(&self, name: &PartitionName) -> bool {
        !self.declared && self.allows(name)
    }

    pub(super) fn load_all(db: &Connection) -> Result<HashMap<WorkspaceId, Self>, ControlError> {
        let mut rows = db.prepare("SELECT workspace, declared, pattern, grace_ms FROM partition_rules")?;
        let mut rows = rows.query([])?;
        let mut rules = HashMap::new();
        while let Some(row) = rows.next()? {
            let pattern: Option<String> = row.get(2)?;
            let pattern = pattern.as_deref().map(Pattern::parse).transpose();
            let pattern =
                pattern.map_err(|error| ControlError::Corrupt(format!("a pattern of ids: {error}")))?;
            let rule = Self { declared: row.get(1)?, pattern, grace_ms: row.get(3)? };
            rules.insert(workspace_id(row, 0)?, rule);
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a typo in an id would make a partition that the pattern was to keep out.
    #[test]
    fn a_pattern_is_of_the_whole_id() {
        let name = |id: &str| PartitionName::new(id).unwrap();
        let rule =
            |pattern: &str| Rule { pattern: Some(Pattern::parse(pattern).unwrap()), ..Rule::default() };
        let customers = rule("cust-[0-9]{4}|demo");
        for (id, fits) in [("cust-0042", true), ("demo", true), ("cust-42", false), ("xdemo", false)] {
            assert_eq!(customers.allows(&name(id)), fits, "{id}");
        }
        for id in ["demo\n", "demo ", "cust-0042\ncust-0043", "cust-00421"] {
            assert!(!customers.allows(&name(id)), "{id:?}");
        }
        assert!(rule("é+").allows(&name("éé")) && Rule::default().allows(&name("anything")));
        let declared = Rule { declared: true, ..Rule::default() };
        assert!(declared.allows(&name("a")) && !declared.lets_writes_make(&name("a")));
    }

    /// Lost otherwise: a pattern would let everything pass that closes our brackets, or take the server's memory or time.
    #[test]
    fn patterns_that_are_none_are_refused() {
        for bad in ["", "(", "a)|(b", "[z-a]", "(?P<", "a{1000}{1000}", &"a".repeat(513)] {
            assert!(Pattern::parse(bad).is_err(), "{bad:.20}");
        }
        let slow = Pattern::parse("(a*)*b").unwrap();
        assert!(!slow.fits(&PartitionName::new(&"a".repeat(256)).unwrap()));
    }
}
