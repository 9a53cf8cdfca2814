//! Which documents does a host number under one name?
//!
//! Those whose ids are the name and a number after it. No index is kept of ids: each is compared, its length first, which stands in the
//! directory of a segment beside the rest.

/// Ids that are a text, and so many decimal digits after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// What they begin with.
    pub name: String,
    /// How many digits follow, and nothing else.
    pub digits: usize,
}

impl Numbered {
    /// Whether an id is one of them.
    pub fn fit(&self, id: &str) -> bool {
        id.len() == self.name.len() + self.digits
            && id
                .strip_prefix(self.name.as_str())
                .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    }
}
