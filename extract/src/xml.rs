//! What happens in a part of XML, in order?
//!
//! Starts, texts and ends, by local names. Entities that a document declares itself are never expanded: one that isn't XML's own is
//! damage, so that no text grows out of a few bytes.
//!
//! Invariants:
//! 1. Elements are nested no deeper than the limit, and each end is that of the element which is open.
//! 2. One pass, no recursion.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::{Kind, Limits, Refusal};

/// Something that happens.
pub(crate) enum Step<'a> {
    Start(&'a str, &'a Attributes<'a>),
    Text(&'a str),
    End(&'a str),
}

/// An element's attributes.
pub(crate) struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    /// The value of the attribute of this local name.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.find(|key| local(key) == name)
    }

    /// The value of the attribute of this whole name, prefix and all.
    pub(crate) fn named(&self, name: &str) -> Option<String> {
        self.find(|key| key == name)
    }

    fn find(&self, is_it: impl Fn(&str) -> bool) -> Option<String> {
        let mut attributes = self.0.attributes();
        let found = attributes.with_checks(false).flatten().find(|one| is_it(one.key.as_ref()))?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Calls `each` with all that happens.
pub(crate) fn walk(
    kind: Kind,
    text: &str,
    limits: &Limits,
    mut each: impl FnMut(Step<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut reader = Reader::from_str(text);
    let broken = |what: String| Refusal::broken(kind, what);
    let mut depth = 0_usize;
    loop {
        match reader.read_event().map_err(|error| broken(error.to_string()))? {
            Event::Start(start) => {
                depth += 1;
                if depth > limits.nesting {
                    return Err(Refusal::Nesting { most: limits.nesting });
                }
                let name = start.name();
                each(Step::Start(local(name.as_ref()), &Attributes(&start)))?;
            }
            Event::Empty(start) => {
                let name = start.name();
                let name = local(name.as_ref());
                each(Step::Start(name, &Attributes(&start)))?;
                each(Step::End(name))?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                let name = end.name();
                each(Step::End(local(name.as_ref())))?;
            }
            Event::Text(text) => each(Step::Text(&text.xml10_content()))?,
            Event::CData(text) => each(Step::Text(&text.xml10_content()))?,
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| broken(error.to_string()))?;
                let character = character.or(match &*reference {
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "amp" => Some('&'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => None,
                });
                let character =
                    character.ok_or_else(|| broken("it names an entity of its own".to_owned()))?;
                each(Step::Text(character.encode_utf8(&mut [0; 4])))?;
            }
            Event::Eof if depth > 0 => return Err(broken("its XML ends early".to_owned())),
            Event::Eof => return Ok(()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {}
        }
    }
}

/// The relations of a part: each id with what it aims at and its type.
pub(crate) struct Relation {
    pub(crate) id: String,
    pub(crate) target: String,
    pub(crate) kind: String,
}

/// Reads a part of relations.
pub(crate) fn relations(kind: Kind, text: &str, limits: &Limits) -> Result<Vec<Relation>, Refusal> {
    let mut found = Vec::new();
    walk(kind, text, limits, |step| {
        if let Step::Start("Relationship", attributes) = step
            && let (Some(id), Some(target)) = (attributes.get("Id"), attributes.get("Target"))
        {
            found.push(Relation { id, target, kind: attributes.get("Type").unwrap_or_default() });
        }
        Ok(())
    })?;
    Ok(found)
}
