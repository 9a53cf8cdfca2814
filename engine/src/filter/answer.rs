//! Which documents of a segment does a condition hold for?
//!
//! Tests are answered as bitmaps from the segment's labels, directory and index of fields, and brought together by set
//! algebra. A text that is longer than the index keeps of it is looked up in its document.

use super::condition::{Condition, Subject, Test};
use crate::io::Fault;
use crate::segment::{Matches, Segment, Verdict};
use roaring::RoaringBitmap;
use std::ops::Bound;
use strongroom_format::fields::{FIELD_TEXT_INDEXED_BYTES, FieldValue, key};
use strongroom_format::segment::{DocumentRow, LabelKind};

/// The documents, live or not, for which the condition holds.
pub fn answer(condition: &Condition, segment: &Segment) -> Result<RoaringBitmap, Fault> {
    let everything = || {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..segment.place().documents);
        all
    };
    match condition {
        Condition::All(all) => {
            let mut matches = everything();
            for condition in all {
                if matches.is_empty() {
                    break;
                }
                matches &= answer(condition, segment)?;
            }
            Ok(matches)
        }
        Condition::Any(any) => {
            any.iter().try_fold(RoaringBitmap::new(), |matches, next| Ok(matches | answer(next, segment)?))
        }
        Condition::Not(not) => Ok(everything() - answer(not, segment)?),
        Condition::Is(subject, test) => match subject {
            Subject::Tag => Ok(labelled(segment, LabelKind::Tag, test)),
            Subject::Entity => Ok(labelled(segment, LabelKind::Entity, test)),
            Subject::Source => Ok(labelled(segment, LabelKind::Source, test)),
            Subject::ContentType => Ok(labelled(segment, LabelKind::ContentType, test)),
            Subject::Created => Ok(timed(segment, |row| test.passes_time(Some(row.created_ms)))),
            Subject::Updated => Ok(timed(segment, |row| test.passes_time(row.updated_ms))),
            Subject::Field(path) => with_field(segment, path, test),
        },
    }
}

fn labelled(segment: &Segment, kind: LabelKind, test: &Test) -> RoaringBitmap {
    let labels = segment.labels();
    let mut found = RoaringBitmap::new();
    if let Test::In(wanted) = test {
        for value in wanted {
            if let FieldValue::Text(text) = value
                && let Some(bitmap) = labels.get(kind, text)
            {
                found |= bitmap;
            }
        }
    } else {
        labels.each(kind).filter(|(text, _)| test.passes_text(text)).for_each(|(_, bitmap)| found |= bitmap);
    }
    found
}

fn timed(segment: &Segment, passes: impl Fn(&DocumentRow) -> bool) -> RoaringBitmap {
    (0..).zip(segment.directory()).filter(|(_, row)| passes(row)).map(|(ordinal, _)| ordinal).collect()
}

fn with_field(segment: &Segment, path: &str, test: &Test) -> Result<RoaringBitmap, Fault> {
    let mut matches = Matches::default();
    match test {
        Test::Exists | Test::Between(Bound::Unbounded, Bound::Unbounded) => {
            let any = key::any(path);
            segment.field_matches(&any, &|key| one(key, &any, Verdict::Yes), &mut matches)?;
        }
        Test::In(wanted) => {
            for value in wanted {
                let sought = key::of(path, value);
                let verdict = if is_cut(&sought, path) { Verdict::Look } else { Verdict::Yes };
                segment.field_matches(&sought, &|key| one(key, &sought, verdict), &mut matches)?;
            }
        }
        Test::Between(from, to) => between(segment, path, from, to, &mut matches)?,
        Test::Contains(part) => {
            let begin = key::of_kind(path, TEXT);
            let verdict = |key: &[u8]| match key.strip_prefix(&*begin) {
                None => Verdict::Past,
                Some(text) if part.is_empty() || has(text, part.as_bytes()) => Verdict::Yes,
                Some(_) if is_cut(key, path) => Verdict::Look,
                Some(_) => Verdict::No,
            };
            segment.field_matches(&begin, &verdict, &mut matches)?;
        }
        Test::Prefix(prefix) => {
            let begin = key::of(path, &FieldValue::Text(prefix.clone()));
            let is_longer = prefix.len() > FIELD_TEXT_INDEXED_BYTES;
            let verdict = |key: &[u8]| match key.starts_with(&begin) {
                false => Verdict::Past,
                true if is_longer => Verdict::Look,
                true => Verdict::Yes,
            };
            segment.field_matches(&begin, &verdict, &mut matches)?;
        }
    }
    for ordinal in &matches.look - &matches.yes {
        let document = segment.info(&segment.directory()[ordinal as usize])?;
        if document.fields.iter().any(|field| field.path == path && test.passes(&field.value)) {
            matches.yes.insert(ordinal);
        }
    }
    Ok(matches.yes)
}

/// The kind of texts.
const TEXT: u8 = 3;

/// The verdict for one key, and no other.
fn one(key: &[u8], sought: &[u8], verdict: Verdict) -> Verdict {
    if key == sought { verdict } else { Verdict::Past }
}

/// Whether a key may stand for longer texts than it has. It is of this path.
fn is_cut(key: &[u8], path: &str) -> bool {
    let text = path.len() + 2;
    key[text - 1] == TEXT && key.len() == text + FIELD_TEXT_INDEXED_BYTES
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn between(
    segment: &Segment,
    path: &str,
    from: &Bound<FieldValue>,
    to: &Bound<FieldValue>,
    matches: &mut Matches,
) -> Result<(), Fault> {
    let kinds = [from, to].map(|bound| match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(key::kind(value)),
        Bound::Unbounded => None,
    });
    let kind = match kinds {
        [Some(from), Some(to)] if from != to => return Ok(()),
        [from, to] => from.or(to).unwrap_or(TEXT),
    };
    let all = key::of_kind(path, kind);
    let [from_key, to_key] = [from, to].map(|bound| bound.as_ref().map(|value| key::of(path, value)));
    let begin = match &from_key {
        Bound::Included(key) | Bound::Excluded(key) => key.clone(),
        Bound::Unbounded => all.clone(),
    };
    let verdict = |key: &[u8]| {
        if !key.starts_with(&all) {
            return Verdict::Past;
        }
        let is_at = |bound: &Bound<Vec<u8>>| matches!(bound, Bound::Included(at) | Bound::Excluded(at) if *at == *key);
        if (is_at(&from_key) || is_at(&to_key)) && is_cut(key, path) {
            return Verdict::Look;
        }
        match (&from_key, &to_key) {
            (Bound::Excluded(from), _) if *key == **from => Verdict::No,
            (_, Bound::Excluded(to)) if *key >= **to => Verdict::Past,
            (_, Bound::Included(to)) if *key > **to => Verdict::Past,
            _ => Verdict::Yes,
        }
    };
    segment.field_matches(&begin, &verdict, matches)
}
