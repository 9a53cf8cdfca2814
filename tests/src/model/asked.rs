//! What do searches ask of metadata, and which documents meet it, by a plain reading?
//!
//! Conditions are drawn from few paths and few values, so that most of them hold for some documents and not for others.
//! Numbers are read as floats and compared as such: nothing of the engine's order takes part.

use std::ops::Bound;

use strongroom_engine::{Condition, FieldValue, Number, Subject, Test};

use super::Doc;
use crate::chance::Chance;

const PATHS: [&str; 4] = ["n", "name", "n.more", "mixed"];

/// The first two are longer than what an index keeps, and the same that far.
const TEXTS: [&str; 7] = [
    "a text of which the index keeps no more than its first one hundred and twenty-eight bytes, so that what comes after \
     them is looked up: one",
    "a text of which the index keeps no more than its first one hundred and twenty-eight bytes, so that what comes after \
     them is looked up: two",
    "",
    "a",
    "ab",
    "b a",
    "é",
];

/// Who may read a document, and on whose behalf it is searched for.
pub const READERS: [&str; 3] = ["user:ada", "user:bob", "group:sea"];

/// Some of these, or none.
pub fn some_of(texts: &[&str], chance: &mut Chance) -> Vec<String> {
    texts.iter().filter(|_| chance.percent(40)).map(|text| (*text).to_owned()).collect()
}

fn value(chance: &mut Chance) -> FieldValue {
    match chance.below(5) {
        0 => FieldValue::Bool(chance.percent(50)),
        1 | 2 => {
            let quarters = chance.below(9) as f64 / 4.0 - 1.0;
            FieldValue::Number(Number::from_f64(quarters).expect("finite"))
        }
        _ => FieldValue::Text((*chance.pick(&TEXTS)).to_owned()),
    }
}

/// Fields of a document: none, one, or some, and lists of values among them.
pub fn fields(chance: &mut Chance) -> Vec<(String, FieldValue)> {
    (0..chance.below(6)).map(|_| ((*chance.pick(&PATHS)).to_owned(), value(chance))).collect()
}

/// A condition, at most so many levels deep.
pub(super) fn condition(chance: &mut Chance, levels: usize) -> Condition {
    let some = |chance: &mut Chance| (0..chance.below(4)).map(|_| condition(chance, levels - 1)).collect();
    match chance.below(if levels == 0 { 5 } else { 9 }) {
        5 => Condition::All(some(chance)),
        6 => Condition::Any(some(chance)),
        7 | 8 => Condition::Not(Box::new(condition(chance, levels - 1))),
        0 => {
            let tag = FieldValue::Text((*chance.pick(&["red", "green", "blue", "never"])).to_owned());
            Condition::Is(Subject::Tag, if chance.percent(80) { Test::In(vec![tag]) } else { Test::Exists })
        }
        1 => Condition::Is(Subject::Entity, Test::Prefix((*chance.pick(&["a", "ada", "b"])).to_owned())),
        _ => Condition::Is(Subject::Field((*chance.pick(&PATHS)).to_owned()), test(chance)),
    }
}

fn test(chance: &mut Chance) -> Test {
    let part = |chance: &mut Chance| {
        let text = *chance.pick(&TEXTS);
        let cuts: Vec<usize> = (0..=text.len()).filter(|&at| text.is_char_boundary(at)).collect();
        let (a, b) = (*chance.pick(&cuts), *chance.pick(&cuts));
        text[a.min(b)..a.max(b)].to_owned()
    };
    let bound = |chance: &mut Chance| match chance.below(3) {
        0 => Bound::Included(value(chance)),
        1 => Bound::Excluded(value(chance)),
        _ => Bound::Unbounded,
    };
    match chance.below(6) {
        0 => Test::Exists,
        1 | 2 => Test::In((0..chance.below(4)).map(|_| value(chance)).collect()),
        3 => Test::Between(bound(chance), bound(chance)),
        4 => Test::Contains(part(chance)),
        _ => Test::Prefix(part(chance)),
    }
}

/// Whether a document meets a condition.
///
/// # Panics
/// When the condition asks for what the model does not know.
pub(super) fn meets(doc: &Doc, condition: &Condition) -> bool {
    match condition {
        Condition::All(all) => all.iter().all(|condition| meets(doc, condition)),
        Condition::Any(any) => any.iter().any(|condition| meets(doc, condition)),
        Condition::Not(not) => !meets(doc, not),
        Condition::Is(subject, test) => {
            let text = |text: &String| FieldValue::Text(text.clone());
            let values: Vec<FieldValue> = match subject {
                Subject::Tag => doc.tags.iter().map(text).collect(),
                Subject::Entity => doc.entity.iter().map(text).collect(),
                Subject::Field(path) => {
                    doc.fields.iter().filter(|(at, _)| at == path).map(|(_, value)| value.clone()).collect()
                }
                other => panic!("the model does not know {other:?}"),
            };
            values.iter().any(|value| passes(value, test))
        }
    }
}

fn passes(value: &FieldValue, test: &Test) -> bool {
    let same = |other: &FieldValue| distance(value, other) == Some(0);
    match test {
        Test::Exists => true,
        Test::In(wanted) => wanted.iter().any(same),
        Test::Between(from, to) => {
            let from = match from {
                Bound::Included(from) => distance(value, from).is_some_and(|d| d >= 0),
                Bound::Excluded(from) => distance(value, from).is_some_and(|d| d > 0),
                Bound::Unbounded => true,
            };
            let to = match to {
                Bound::Included(to) => distance(value, to).is_some_and(|d| d <= 0),
                Bound::Excluded(to) => distance(value, to).is_some_and(|d| d < 0),
                Bound::Unbounded => true,
            };
            from && to
        }
        Test::Contains(part) => matches!(value, FieldValue::Text(text) if text.contains(&**part)),
        Test::Prefix(part) => matches!(value, FieldValue::Text(text) if text.starts_with(&**part)),
    }
}

/// -1, 0 or 1, as the first is below, at or above the second; `None` when they can't be compared.
fn distance(a: &FieldValue, b: &FieldValue) -> Option<i8> {
    let sign = |below: bool, above: bool| i8::from(above) - i8::from(below);
    match (a, b) {
        (FieldValue::Bool(a), FieldValue::Bool(b)) => Some(sign(!a & b, *a & !b)),
        (FieldValue::Number(a), FieldValue::Number(b)) => {
            Some(sign(a.floor() < b.floor(), a.floor() > b.floor()))
        }
        (FieldValue::Text(a), FieldValue::Text(b)) => {
            Some(sign(a.as_bytes() < b.as_bytes(), a.as_bytes() > b.as_bytes()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, the searches of a life would ask for nothing that tells a right answer from a wrong one.
    #[test]
    fn conditions_divide_the_documents() {
        let mut chance = Chance::new(5);
        let docs: Vec<Doc> = (0..40).map(|_| Doc { fields: fields(&mut chance), ..Doc::default() }).collect();
        let divide = (0..1000).filter(|_| {
            let condition = condition(&mut chance, 3);
            let met = docs.iter().filter(|doc| meets(doc, &condition)).count();
            met > 0 && met < docs.len()
        });
        assert!(divide.count() > 300);
    }

    #[test]
    fn the_model_compares_within_a_kind_alone() {
        let number = |float| FieldValue::Number(Number::from_f64(float).expect("finite"));
        let text = |text: &str| FieldValue::Text(text.to_owned());
        assert_eq!(distance(&number(-1.0), &number(0.5)), Some(-1));
        assert_eq!(distance(&text("b"), &text("ab")), Some(1));
        assert_eq!(distance(&FieldValue::Bool(true), &FieldValue::Bool(true)), Some(0));
        assert_eq!(distance(&number(1.0), &text("1")), None);
    }
}
