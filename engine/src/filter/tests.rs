//! What would users lose if filters were wrong?

#![allow(clippy::unwrap_used)]

use super::*;
use crate::io::sim::Sim;
use crate::seal::Key;
use crate::segment::{BlockCache, RowWords, SegmentFileWriter, SegmentWriter};
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::sync::Arc;
use strongroom_format::document::Passage;
use strongroom_format::fields::{Field, FieldValue, Number};
use strongroom_format::record::CollectionSpec;

/// Longer than the index keeps of a text.
fn long(tail: &str) -> String {
    format!("{}{tail}", "long ".repeat(26).trim_end().to_owned())
}

fn number(float: f64) -> FieldValue {
    FieldValue::Number(Number::from_f64(float).unwrap())
}

fn text(text: &str) -> FieldValue {
    FieldValue::Text(text.to_owned())
}

fn document(n: usize) -> Document {
    let mut fields = Vec::new();
    let mut add = |path: &str, value| fields.push(Field { path: path.to_owned(), value });
    add("n", number(n as f64));
    if n.is_multiple_of(2) {
        add("even", FieldValue::Bool(n.is_multiple_of(4)));
    }
    if n.is_multiple_of(3) {
        add("name", text(["ada", "adam", "eve", "", "Ada"][n % 5]));
        add("name.long", text(&long(["", " a", " b", " b c", "ish"][n % 5])));
    }
    match n % 7 {
        0 => add("mixed", text("5")),
        1 => add("mixed", number(5.0)),
        2 => add("mixed", FieldValue::Bool(true)),
        3 => (0..3).for_each(|more| add("mixed", number((n + more) as f64))),
        4 => add("mixed", FieldValue::Number(Number::from((1_u64 << 53) + n as u64 % 3))),
        _ => {}
    }
    fields.sort();
    Document {
        id: format!("id-{n}"),
        content_type: "text/plain".to_owned(),
        tags: (0..3).filter(|tag| n >> tag & 1 == 1).map(|tag| format!("tag-{tag}")).collect(),
        entity: n.is_multiple_of(5).then(|| format!("e{}", n % 2)),
        source: (n % 4 == 1).then(|| "crm/mail".to_owned()),
        created_ms: 1000 + n as u64,
        updated_ms: n.is_multiple_of(6).then_some(5000 + n as u64),
        passages: vec![Passage::Own("x".to_owned())],
        vectors: vec![1.0],
        fields,
        ..Document::default()
    }
}

const DOCUMENTS: usize = 300;

fn segment() -> Segment {
    let medium = Sim::new(4).restart();
    let key = Key::random(&*medium.entropy);
    let mut file = SegmentFileWriter::begin(&*medium.entropy, 7, crate::cluster::Workers::ALONE);
    let mut writer = SegmentWriter::default();
    for n in 0..DOCUMENTS {
        writer.push(n as u64 + 10, None, &document(n), [&[1.0][..]], RowWords::Count);
    }
    let place = file.add(&key, [1; 16], CollectionSpec::cosine(1), writer);
    file.finish(&*medium.blobs).unwrap();
    Segment::open(
        &medium.blobs,
        &Arc::new(BlockCache::new(1 << 20)),
        &key,
        [1; 16],
        CollectionSpec::cosine(1),
        place,
    )
    .unwrap()
}

fn bounds(values: &[FieldValue]) -> Vec<Bound<FieldValue>> {
    let both = |value: &FieldValue| [Included(value.clone()), Excluded(value.clone())];
    values.iter().flat_map(both).chain([Unbounded]).collect()
}

fn tests() -> Vec<Test> {
    let values = [
        number(5.0),
        number(-1.0),
        number(150.5),
        FieldValue::Number(Number::from((1_u64 << 53) + 1)),
        text("ada"),
        text(""),
        text("5"),
        text(&long("")),
        text(&long(" b")),
        text(&long("ish")[..128]),
        FieldValue::Bool(false),
        FieldValue::Bool(true),
    ];
    let mut tests = vec![Test::Exists, Test::In(Vec::new()), Test::In(values[..5].to_vec())];
    tests.extend(values.iter().map(|value| Test::In(vec![value.clone()])));
    for from in bounds(&values) {
        tests.extend(bounds(&values).into_iter().map(|to| Test::Between(from.clone(), to)));
    }
    let parts = ["", "a", "ada", "d", "ish", " b", "g i", "long ", &long(""), &long(" b"), &long(" b d")];
    for part in parts {
        tests.push(Test::Contains(part.to_owned()));
        tests.push(Test::Prefix(part.to_owned()));
    }
    tests
}

fn subjects() -> Vec<Subject> {
    let field = |path: &str| Subject::Field(path.to_owned());
    vec![
        Subject::Tag,
        Subject::Entity,
        Subject::Source,
        Subject::ContentType,
        Subject::Created,
        Subject::Updated,
        field("n"),
        field("even"),
        field("name"),
        field("name.long"),
        field("mixed"),
        field("nam"),
        field("zzz"),
        field(""),
    ]
}

fn found(segment: &Segment, condition: &Condition) -> Vec<u32> {
    let filter = Filter { condition: Some(condition.clone()), ..Filter::default() };
    let all: Mask = (0..DOCUMENTS as u32).collect();
    filter.in_segment(segment, &all).unwrap().iter().collect()
}

fn by_reading(condition: &Condition) -> Vec<u32> {
    (0..DOCUMENTS as u32).filter(|&n| condition.holds(&document(n as usize))).collect()
}

/// Without this, a document would be found while it is new and no more once it is in a segment, or the other way round.
#[test]
fn indexes_answer_as_the_documents_do() {
    let segment = segment();
    let mut some = 0;
    for subject in subjects() {
        for test in tests() {
            let condition = Condition::Is(subject.clone(), test);
            let expected = by_reading(&condition);
            assert_eq!(found(&segment, &condition), expected, "{condition:?}");
            some += usize::from(!expected.is_empty() && expected.len() < DOCUMENTS);
        }
    }
    assert!(some > 400, "{some} conditions that some documents meet, and some don't");
}

/// Without this, a time or a form of ids would count in a listing of new documents, and be forgotten once they are in a segment.
#[test]
fn times_and_ids_count_beside_tags_and_without() {
    let segment = segment();
    let all: Mask = (0..DOCUMENTS as u32).collect();
    let times = [None, Some(1000), Some(1100), Some(1200), Some(2000)];
    for (since_ms, until_ms) in times.into_iter().flat_map(|since| times.map(|until| (since, until))) {
        for ids in [None, Some(Numbered { name: "id-".to_owned(), digits: 2 })] {
            for tag in [None, Some("tag-1".to_owned())] {
                let all_tags = tag.into_iter().collect();
                let filter = Filter { all_tags, since_ms, until_ms, ids: ids.clone(), ..Filter::default() };
                let expected: Vec<u32> =
                    (0..DOCUMENTS as u32).filter(|&n| filter.matches(&document(n as usize))).collect();
                let found: Vec<u32> = filter.in_segment(&segment, &all).unwrap().iter().collect();
                assert_eq!(found, expected, "{filter:?}");
            }
        }
    }
}

/// Without this, `not` and `or` would bring up documents that were excluded, or lose some.
#[test]
fn conditions_combine_as_sets_do() {
    let segment = segment();
    let is = |subject, test| Condition::Is(subject, test);
    let even = is(Subject::Field("even".to_owned()), Test::In(vec![FieldValue::Bool(true)]));
    let tag = is(Subject::Tag, Test::In(vec![text("tag-1")]));
    let late = is(Subject::Created, Test::Between(Included(number(1100.0)), Unbounded));
    let not = |condition: &Condition| Condition::Not(Box::new(condition.clone()));
    let all = |conditions: &[&Condition]| Condition::All(conditions.iter().copied().cloned().collect());
    let any = |conditions: &[&Condition]| Condition::Any(conditions.iter().copied().cloned().collect());
    for condition in [
        all(&[]),
        any(&[]),
        not(&all(&[])),
        not(&even),
        not(&not(&tag)),
        all(&[&even, &tag, &late]),
        any(&[&even, &tag, &late]),
        all(&[&not(&even), &any(&[&tag, &not(&late)])]),
        not(&any(&[&even, &all(&[&tag, &late])])),
    ] {
        assert_eq!(found(&segment, &condition), by_reading(&condition), "{condition:?}");
    }
    assert_eq!(found(&segment, &all(&[])).len(), DOCUMENTS);
    assert_eq!(found(&segment, &not(&even)).len(), DOCUMENTS - 75);
}

/// Without this, `status = 5` would match the text "5", and an order of 16 digits its neighbours.
#[test]
fn a_value_matches_what_it_is_and_nothing_like_it() {
    let value = |value: FieldValue| {
        by_reading(&Condition::Is(Subject::Field("mixed".to_owned()), Test::In(vec![value])))
    };
    assert!(value(number(5.0)).iter().all(|n| n % 7 == 1 || n % 7 == 3));
    assert!(value(text("5")).iter().all(|n| n % 7 == 0));
    let exact = value(FieldValue::Number(Number::from((1_u64 << 53) + 1)));
    assert!(!exact.is_empty() && exact.iter().all(|n| n % 7 == 4 && n % 3 == 1));
    let texts = Test::Between(Included(text("")), Unbounded);
    let texts = by_reading(&Condition::Is(Subject::Field("mixed".to_owned()), texts));
    assert!(texts.iter().all(|n| n % 7 == 0) && !texts.is_empty(), "a range of texts holds no numbers");
}
