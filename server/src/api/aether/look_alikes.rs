//! Which partition ids look as if they were meant to be one?
//!
//! Partitions are made by their first write, so a slip of the hand makes a second one. Two ids are near duplicates when
//! nothing but letter case, white space, invisible characters or look-alike letters tells them apart. Advice only: ids
//! are compared byte for byte everywhere else.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

/// A warning about partitions.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "PartitionWarning")]
pub(crate) struct Warning {
    pub(super) kind: &'static str,
    pub(super) partitions: Vec<String>,
    pub(super) detail: String,
}

/// Letters of other scripts that print like a Latin one, each with it. After case folding, so small letters only.
const LOOK_ALIKES: [(char, char); 36] = [
    // Cyrillic
    ('а', 'a'),
    ('в', 'b'),
    ('с', 'c'),
    ('ԁ', 'd'),
    ('е', 'e'),
    ('ё', 'e'),
    ('һ', 'h'),
    ('і', 'i'),
    ('ї', 'i'),
    ('ј', 'j'),
    ('к', 'k'),
    ('ӏ', 'l'),
    ('м', 'm'),
    ('н', 'h'),
    ('о', 'o'),
    ('р', 'p'),
    ('ԛ', 'q'),
    ('ѕ', 's'),
    ('т', 't'),
    ('у', 'y'),
    ('ԝ', 'w'),
    ('х', 'x'),
    // Greek
    ('α', 'a'),
    ('β', 'b'),
    ('ε', 'e'),
    ('η', 'n'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('ν', 'v'),
    ('ο', 'o'),
    ('ρ', 'p'),
    ('τ', 't'),
    ('υ', 'u'),
    ('χ', 'x'),
    // Latin
    ('ı', 'i'),
    ('ɡ', 'g'),
];

/// What is left of an id when everything is taken away that the eye passes over.
pub(super) fn skeleton(id: &str) -> String {
    let plain: String = id
        .nfkc()
        .flat_map(char::to_lowercase)
        .map(|c| LOOK_ALIKES.iter().find(|(other, _)| *other == c).map_or(c, |(_, latin)| *latin))
        .filter(|c| !is_invisible(*c))
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
        || (c.is_control() && !c.is_whitespace())
}

/// Warnings about these partitions, each with its count of live documents.
pub(super) fn warnings(partitions: &[(&str, u64)]) -> Vec<Warning> {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (id, _) in partitions {
        groups.entry(skeleton(id)).or_default().push(id);
    }
    let alike = groups.into_values().filter(|ids| ids.len() > 1).map(|ids| {
        let quoted: Vec<_> = ids.iter().map(|id| format!("{id:?}")).collect();
        Warning {
            kind: "near_duplicate",
            detail: format!(
                "{} look like one partition but are {}; is one a slip?",
                quoted.join(" and "),
                ids.len()
            ),
            partitions: ids.into_iter().map(str::to_owned).collect(),
        }
    });
    let single =
        partitions.iter().filter(|(_, documents)| *documents == 1 && partitions.len() > 1).map(|(id, _)| {
            Warning {
                kind: "single_document",
                partitions: vec![(*id).to_owned()],
                detail: format!("{id:?} holds a single document; was it meant for another partition?"),
            }
        });
    alike.chain(single).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a client's data would be split between two ids, and nobody would see it in the list.
    #[test]
    fn what_the_eye_takes_for_one_is_reported() {
        for other in [
            "Client_Acme",
            "client_acme ",
            " client_acme",
            "client_\u{200b}acme",
            "сlient_acme",
            "client_асme",
            "ｃｌｉｅｎｔ＿ａｃｍｅ",
            "client_acmе",
            "\u{feff}client_acme",
            "client_αcme",
            "client_acme\0",
        ] {
            let found = warnings(&[("client_acme", 5), (other, 5)]);
            assert_eq!(found.len(), 1, "{other:?}");
            assert_eq!((found[0].kind, found[0].partitions.len()), ("near_duplicate", 2));
        }
        assert_eq!(warnings(&[("a b", 2), ("a  b", 2), ("a\tb", 2)])[0].partitions.len(), 3);
    }

    /// Lost otherwise: the list would cry wolf, and nobody would read its warnings.
    #[test]
    fn what_differs_is_left_alone() {
        for other in ["client-acme", "clientacme", "client_acme2", "client_acne", "客户"] {
            assert!(warnings(&[("client_acme", 5), (other, 5)]).is_empty(), "{other}");
        }
        assert!(warnings(&[("acme", 1)]).is_empty(), "the only partition is no ghost");
        let found = warnings(&[("acme", 9), ("globex", 1)]);
        assert_eq!((found[0].kind, found[0].partitions[0].as_str()), ("single_document", "globex"));
    }
}
