//! What would users lose if segments were wrong?

#![allow(clippy::unwrap_used)]

mod lists;

use super::lists::Effort;
use super::*;
use crate::cluster::Workers;
use crate::io::sim::Sim;
use crate::io::{BlobStore, Fault, Medium};
use crate::seal::Key;
use crate::words::WordIndex;
use std::collections::BTreeSet;
use std::sync::Arc;
use strongroom_format::document::{Document, Passage};
use strongroom_format::fields::{Field, FieldValue, key};
use strongroom_format::posting_blocks::BLOCK_POSTINGS;
use strongroom_format::record::{Change, ChangeKind, CollectionSpec, Metric};
use strongroom_format::segment::{ChangeRow, DocumentRow, LabelKind, SectionKind};
use strongroom_format::words::{Place, Posting, decode_positions};
use strongroom_kernel::Estimate;

const DIMENSION: u32 = 4;

fn concat(held: &groups::Rows<f32>, rows: std::ops::Range<u32>) -> Vec<f32> {
    held.pieces(rows).flat_map(|(_, piece)| piece).copied().collect()
}

fn document(number: usize) -> Document {
    let content = format!("document {number} ").repeat(number * 150).into_bytes();
    Document {
        id: format!("id-{number}"),
        version: 1,
        filename: format!("{number}.txt"),
        content_type: "text/plain".to_owned(),
        passages: vec![Passage::Range { start: 0, end: content.len() as u32 }; number % 3 + 1],
        content,
        tags: vec![format!("tag-{}", number % 2)],
        fields: vec![Field {
            path: "parity".to_owned(),
            value: FieldValue::Number((number as u64 % 2).into()),
        }],
        created_ms: 1000 + number as u64,
        updated_ms: (number == 2).then_some(2000),
        ..Document::default()
    }
}

fn rows(number: usize) -> Vec<f32> {
    vec![number as f32; DIMENSION as usize * (number % 3 + 1)]
}

/// A file with a segment for each of two keys.
fn write(sim: &Sim) -> (Arc<dyn BlobStore>, [Key; 2], [SegmentPlace; 2]) {
    let medium = sim.restart();
    let keys = [Key::random(&*medium.entropy), Key::random(&*medium.entropy)];
    let mut file = SegmentFileWriter::begin(&*medium.entropy, 7, Workers::ALONE);
    let places = [0, 1].map(|which| {
        let mut segment = SegmentWriter::default();
        for number in 0..5 {
            segment.push(
                number as u64 + 10,
                (number == 3).then_some(77),
                &document(number),
                [&rows(number)[..]],
                RowWords::Count,
            );
        }
        let change = Change { kind: ChangeKind::Deleted, at_ms: 5, id: "older".to_owned() };
        segment.change(&ChangeRow { record: 99, change });
        file.add(&keys[which], [which as u8; 16], CollectionSpec::cosine(DIMENSION), segment)
    });
    file.finish(&*medium.blobs).unwrap();
    (medium.blobs, keys, places)
}

/// Each word with its rows and where it stands in them, and how many words each row has.
type Words = (Vec<(String, Vec<Posting>, Vec<Place>)>, Vec<u16>);

fn all_words(dictionary: &Dictionary<'_>) -> Result<Words, Fault> {
    let mut words = Vec::new();
    dictionary.each_from("", |entry| {
        words.push((entry.word.to_owned(), entry.postings()?, entry.places()?));
        Ok(true)
    })?;
    Ok((words, dictionary.word_counts()?))
}

/// The words of these documents.
fn words_of(numbers: impl IntoIterator<Item = usize>) -> Words {
    let mut index = WordIndex::default();
    numbers.into_iter().for_each(|number| document(number).texts().for_each(|text| index.push(text)));
    let sorted = index.sorted().into_iter().map(|(word, found)| {
        let places = decode_positions(found.positions(), found.postings()).unwrap();
        (word.to_owned(), found.postings().to_vec(), places)
    });
    (sorted.collect(), index.lengths().to_vec())
}

fn read_all(
    blobs: &Arc<dyn BlobStore>,
    key: &Key,
    which: usize,
    place: SegmentPlace,
) -> Result<Vec<(Document, Vec<f32>, bool)>, Fault> {
    let cache = Arc::new(BlockCache::new(1 << 20));
    let segment =
        Segment::open(blobs, &cache, key, [which as u8; 16], CollectionSpec::cosine(DIMENSION), place)?;
    let mut documents = Vec::new();
    for row in segment.directory() {
        let mut document = segment.info(row)?;
        document.content = segment.content(row, 0..row.content_bytes)?;
        let span = row.first_row..row.first_row + row.rows;
        let rows = concat(&segment.rows(span.clone())?, span);
        documents.push((document, rows, row.deleted_ms.is_some()));
    }
    let tagged = segment.labels().get(LabelKind::Tag, "tag-1").cloned().unwrap_or_default();
    assert_eq!(tagged.iter().collect::<Vec<_>>(), [1, 3]);
    let odd = key::of("parity", &FieldValue::Number(1_u64.into()));
    let mut matches = Matches::default();
    let verdict = |key: &[u8]| if key == odd { Verdict::Yes } else { Verdict::Past };
    segment.field_matches(&odd, &verdict, &mut matches)?;
    assert_eq!(matches.yes.iter().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(segment.directory()[2].updated_ms, Some(2000));
    assert_eq!(segment.changes().len(), 1);
    let dictionary = segment.dictionary()?.expect("words");
    assert_eq!(all_words(&dictionary)?, words_of(0..5));
    Ok(documents)
}

/// Without this, documents would come out of a segment other than they went in.
#[test]
fn what_goes_into_a_segment_comes_out() {
    let sim = Sim::new(1);
    let (blobs, keys, places) = write(&sim);
    for which in [0, 1] {
        let found = read_all(&blobs, &keys[which], which, places[which]).unwrap();
        let expected: Vec<_> = (0..5).map(|number| (document(number), rows(number), number == 3)).collect();
        assert_eq!(found, expected);
    }
}

/// Without this, a mix-up of keys or places would serve one customer's segment to another.
#[test]
fn a_segment_opens_for_its_own_partition_alone() {
    let sim = Sim::new(2);
    let (blobs, keys, places) = write(&sim);
    for (key, which, place) in [(1, 0, 0), (0, 1, 1), (0, 0, 1), (0, 1, 0), (1, 1, 0)] {
        let found = read_all(&blobs, &keys[key], which, places[place]);
        assert!(matches!(found, Err(Fault::Damaged(_))), "key {key}, incarnation {which}, place {place}");
    }
}

/// Without this, a rotten disk would make wrong answers instead of an error that names the place.
#[test]
fn a_flipped_bit_is_found_wherever_it_is_and_hurts_one_partition_only() {
    let sim = Sim::new(3);
    let (blobs, keys, places) = write(&sim);
    let name = file_name(&places[0]);
    for offset in places[0].offset..places[0].offset + places[0].bytes {
        sim.flip_bit(&name, offset, (offset % 8) as u8);
        match read_all(&blobs, &keys[0], 0, places[0]) {
            Err(Fault::Damaged(damage)) => assert_eq!(damage.file, name),
            other => panic!("byte {offset}: {other:?}"),
        }
        if offset % 97 == 0 {
            assert!(read_all(&blobs, &keys[1], 1, places[1]).is_ok());
        }
        sim.flip_bit(&name, offset, (offset % 8) as u8);
    }
}

/// A segment of these documents in a file of its own.
fn segment_of(medium: &Medium, spec: CollectionSpec, fill: impl FnOnce(&mut SegmentWriter)) -> Segment {
    let key = Key::random(&*medium.entropy);
    let mut writer = SegmentWriter::default();
    fill(&mut writer);
    let mut file = SegmentFileWriter::begin(&*medium.entropy, 7, Workers::ALONE);
    let place = file.add(&key, [1; 16], spec, writer);
    file.finish(&*medium.blobs).unwrap();
    let cache = Arc::new(BlockCache::new(1 << 20));
    Segment::open(&medium.blobs, &cache, &key, [1; 16], spec, place).unwrap()
}

/// Without this, a search by words would miss some of a large dictionary, or find rows that don't have them.
#[test]
fn every_word_of_a_large_dictionary_is_found() {
    let text = |row: usize| (0..row * 7).map(|number| format!("w{number} ")).collect::<String>();
    let texts: Vec<String> = (0..200).map(text).collect();
    let segment = segment_of(&Sim::new(4).restart(), CollectionSpec::cosine(DIMENSION), |writer| {
        for (number, text) in texts.iter().enumerate() {
            let passages = vec![Passage::Own(text.clone())];
            let vectors = [0.0; DIMENSION as usize];
            let document = Document { passages, content: Vec::new(), ..document(number) };
            writer.push(number as u64, None, &document, [&vectors[..]], RowWords::Count);
        }
    });
    let dictionary = segment.dictionary().unwrap().unwrap();
    let counts: Vec<u16> = (0..200).map(|row| row * 7).collect();
    assert_eq!(dictionary.word_counts().unwrap(), counts);
    for number in 0..199 * 7 {
        let first = number as u32 / 7 + 1;
        let expected: Vec<_> = (first..200).map(|row| Posting { row, times: 1 }).collect();
        assert_eq!(dictionary.postings(&format!("w{number}")).unwrap(), expected, "w{number}");
        let expected: Vec<_> = (first..200).map(|row| Place { row, position: number as u32 }).collect();
        assert_eq!(dictionary.places(&format!("w{number}")).unwrap(), expected, "w{number}");
    }
    for number in (0..80 * 7).step_by(3) {
        let word = format!("w{number}");
        let postings = dictionary.postings(&word).unwrap();
        let Some(mut blocked) = dictionary.blocked(&word).unwrap() else {
            assert!(postings.len() <= BLOCK_POSTINGS, "{word} is in blocks");
            continue;
        };
        assert!(postings.len() > BLOCK_POSTINGS && blocked.rows() as usize == postings.len());
        let (mut all, mut block) = (Vec::new(), Vec::new());
        for at in (0..blocked.blocks().count()).rev() {
            blocked.read(at, &mut block).unwrap();
            all.splice(..0, block.iter().copied());
        }
        assert_eq!(all, postings, "{word}");
        let some: Vec<u32> = (0..200).step_by(9).collect();
        let count = some.iter().filter(|&row| postings.iter().any(|posting| posting.row == *row)).count();
        assert_eq!(blocked.count_of(&some).unwrap(), count as u64);
        let mut lengths = vec![0; 150];
        dictionary.lengths().unwrap().read(50, &mut lengths).unwrap();
        assert_eq!(lengths, counts[50..]);
    }
    for absent in ["", "a", "w", "w1393", "w12345", "x", "\u{10ffff}"] {
        assert_eq!(dictionary.postings(absent).unwrap(), [], "{absent}");
        assert_eq!(dictionary.places(absent).unwrap(), [], "{absent}");
    }
    let sorted: BTreeSet<String> = (0..199 * 7).map(|number| format!("w{number}")).collect();
    for from in ["", "w", "w1", "w1000", "w1001", "w5", "w699x", "w999", "x"] {
        let mut found = Vec::new();
        let take = |entry: &words::Entry<'_, '_>| {
            found.extend((entry.word >= from).then(|| entry.word.to_owned()));
            Ok(true)
        };
        dictionary.each_from(from, take).unwrap();
        assert!(sorted.range(from.to_owned()..).eq(&found), "from {from} on");
    }
}

/// Without this, compaction would leave words with documents that went, or take them from those that stayed.
#[test]
fn words_go_with_their_documents() {
    let medium = Sim::new(5).restart();
    let push = |writer: &mut SegmentWriter, number: usize| {
        writer.push(number as u64, None, &document(number), [&rows(number)[..]], RowWords::Count);
    };
    let [older, newer] = [0..4, 4..9].map(|numbers| {
        segment_of(&medium, CollectionSpec::cosine(DIMENSION), |writer| {
            numbers.for_each(|number| push(writer, number))
        })
    });
    let stays = |number: usize| number % 3 != 1;
    let merged = segment_of(&medium, CollectionSpec::cosine(DIMENSION), |writer| {
        for segment in [&older, &newer] {
            let keep = |_, row: &DocumentRow| Ok::<_, Fault>(stays(row.record as usize).then_some(None));
            writer.carry(segment, keep).unwrap();
        }
        push(writer, 9);
    });
    let expected = words_of((0..10).filter(|&number| stays(number)));
    let dictionary = merged.dictionary().unwrap().unwrap();
    assert_eq!(all_words(&dictionary).unwrap(), expected);
    let sums = merged.directory().iter().map(|row| row.words).sum::<u64>();
    assert_eq!(sums, expected.1.iter().map(|&count| u64::from(count)).sum::<u64>());
}

/// Without this, a search would score other rows than its own, or miss some, wherever rows, groups and blocks
/// don't end together; and a partition larger than the cache couldn't be searched at all.
#[test]
fn rows_come_out_wherever_groups_and_blocks_end() {
    for dimension in [1, 5, 64, 100, 384, 8192] {
        let sim = Sim::new(3);
        let medium = sim.restart();
        let key = Key::random(&*medium.entropy);
        let mut writer = SegmentWriter::default();
        let row_bytes = dimension as usize * size_of::<f32>();
        let group = groups::Layout { kind: SectionKind::Vectors, row_bytes, rows: 0 }.group_rows() as usize;
        let count = 3 * group / 2 + 1;
        let component = |at: usize| (at % 9973) as f32;
        let vectors: Vec<f32> = (0..count * dimension as usize).map(component).collect();
        let passages = vec![Passage::Range { start: 0, end: 0 }; count];
        writer.push(1, None, &Document { passages, ..document(0) }, vectors.chunks(1000), RowWords::Count);
        let mut file = SegmentFileWriter::begin(&*medium.entropy, 7, Workers::ALONE);
        let place = file.add(&key, [1; 16], CollectionSpec::cosine(dimension), writer);
        file.finish(&*medium.blobs).unwrap();
        for cache_bytes in [0, 70_000, 64 << 20] {
            let cache = Arc::new(BlockCache::new(cache_bytes));
            let segment =
                Segment::open(&medium.blobs, &cache, &key, [1; 16], CollectionSpec::cosine(dimension), place)
                    .unwrap();
            let borders = [0, 1, group - 1, group, group + 1, count - 1, count];
            for (from, to) in borders.iter().flat_map(|from| borders.map(|to| (*from, to))) {
                let found = segment.rows(from as u32..to as u32);
                if from > to || to > count {
                    assert!(found.is_err(), "{from}..{to} of {count}");
                    continue;
                }
                let found = concat(&found.unwrap(), from as u32..to as u32);
                assert_eq!(
                    found,
                    vectors[from * dimension as usize..to * dimension as usize],
                    "{from}..{to}"
                );
            }
            assert!(segment.rows(0..count as u32 + 1).is_err());
            let query: Vec<f32> = (0..dimension).map(|at| (at % 7) as f32).collect();
            let mut scores = vec![0.0; count];
            segment.score(&query, 0..count as u32, &mut scores).unwrap();
            let expected = vectors.chunks(dimension as usize).map(|row| strongroom_kernel::dot(&query, row));
            assert!(expected.eq(scores.iter().copied()), "{dimension} components");
            // The second time their groups are known.
            let ends = borders.map(|row| row as u32);
            for rows in [&ends[..6], &(0..count as u32).collect::<Vec<_>>(), &ends[..6]] {
                let mut each = vec![0.0; rows.len()];
                segment.score_each(&query, rows, &mut each).unwrap();
                assert!(rows.iter().map(|&row| scores[row as usize]).eq(each), "{dimension} components");
            }
            assert!(segment.score_each(&query, &ends[5..], &mut [0.0; 2]).is_err());
        }
    }
}

/// Without this, a search by codes would miss rows whose vectors are near, or read another row's vector.
#[test]
fn codes_say_how_near_a_row_may_be() {
    let draw = |at: usize| {
        ((at * 7919 % 10_007) as f32 / 5_003.5 - 1.0) * if at.is_multiple_of(97) { 5.0 } else { 1.0 }
    };
    let sizes = [(1, 500), (3, 129), (100, 3000), (384, 1000)];
    let cases =
        sizes.iter().flat_map(|&size| [Metric::InnerProduct, Metric::Euclidean].map(|metric| (size, metric)));
    for ((dimension, count), metric) in cases {
        let spec = CollectionSpec { dimension: dimension as u32, metric };
        let medium = Sim::new(4).restart();
        let vectors: Vec<f32> = (0..count * dimension).map(draw).collect();
        let segment = segment_of_rows(&medium, spec, &vectors);
        let query: Vec<f32> = (0..dimension).map(|at| draw(at + 31)).collect();
        let prepared = segment.index().unwrap().expect("an index").query(&query);
        let mut exact = vec![0.0; count];
        segment.score(&query, 0..count as u32, &mut exact).unwrap();
        let mut expected = vec![0.0; count];
        crate::nearness::measure(metric).score_rows(&query, &vectors, &mut expected);
        assert_eq!(exact, expected);
        for (from, to) in [(0, count), (0, 0), (1, 2), (count - 100, count), (17, 128)] {
            let mut estimates = vec![vec![Estimate::default(); to - from]; 5];
            segment.estimate(&[&prepared; 5], from as u32..to as u32, &mut estimates).unwrap();
            assert!(estimates.iter().all(|of_one| of_one == &estimates[0]), "whoever shares the reading");
            for (estimate, exact) in estimates[0].iter().zip(&exact[from..to]) {
                let off = (f64::from(estimate.score) - f64::from(*exact)).abs();
                assert!(off <= f64::from(estimate.error), "{exact} is not {estimate:?}");
            }
        }
        let some: Vec<u32> = (0..count as u32).filter(|row| row % 3 == 1 || row % 40 < 2).collect();
        let mut scores = vec![0.0; some.len()];
        segment.score_each(&query, &some, &mut scores).unwrap();
        let wanted: Vec<f32> = some.iter().map(|row| exact[*row as usize]).collect();
        assert_eq!(scores, wanted);
        segment.score_each(&query, &[count as u32], &mut [0.0]).expect_err("no such row");
    }
    let few = segment_of_rows(&Sim::new(4).restart(), CollectionSpec::cosine(3), &[0.5; 3 * 128]);
    assert!(few.index().unwrap().is_none(), "few rows are read whole");
}

/// Without this, a merge of a large segment would compute for minutes what was known, and forget which rows are near each other.
#[test]
fn rows_of_a_large_segment_keep_their_lists_when_it_is_merged() {
    let (rows, medium) = (coding::FLAT_ROWS_MAX as usize + 700, Sim::new(4).restart());
    let spec = CollectionSpec { dimension: 2, metric: Metric::Euclidean };
    let at = |row: usize| [(row * 7919 % 10_007) as f32, (row * 104_729 % 9_973) as f32];
    let vectors = |rows: std::ops::Range<usize>| rows.flat_map(at).collect::<Vec<f32>>();
    let small = segment_of_rows(&medium, spec, &vectors(0..500));
    let large = segment_of_rows(&medium, spec, &vectors(500..rows));
    let merged = segment_of(&medium, spec, |writer| {
        for segment in [&small, &large] {
            writer.carry::<Fault>(segment, |_, _| Ok(Some(None))).unwrap();
        }
    });
    let [before, after] = [&large, &merged].map(|segment| segment.index().unwrap().expect("an index"));
    assert!(before.has_lists() && after.has_lists());
    // Two rows of a list are still two rows of a list.
    let pairs = (0..rows as u32 - 501).filter_map(|row| {
        let other =
            (row + 1..rows as u32 - 500).find(|other| before.list_of(*other) == before.list_of(row))?;
        Some(after.list_of(row + 500) == after.list_of(other + 500))
    });
    let together: Vec<bool> = pairs.step_by(17).collect();
    let kept = together.iter().filter(|kept| **kept).count();
    assert!(kept * 10 > together.len() * 8, "{kept} of {} pairs", together.len());
    let near = (0..500).filter(|&row| {
        let same = (500..rows as u32).filter(|other| after.list_of(*other) == after.list_of(row));
        same.take(5)
            .any(|other| (0..2).all(|i| (at(row as usize)[i] - at(other as usize)[i]).abs() < 2_000.0))
    });
    assert!(near.count() > 480, "new rows are in lists of rows about them");
}

/// Without this, a row whose own list is not looked at would be missed, or found twice where both of its lists are.
#[test]
fn rows_of_a_large_segment_stand_in_second_lists() {
    let (rows, medium) = (coding::FLAT_ROWS_MAX as usize + 1, Sim::new(4).restart());
    let spec = CollectionSpec { dimension: 3, metric: Metric::Euclidean };
    let vectors: Vec<f32> = (0..rows * 3).map(|n| (n * 7919 % 10_007) as f32).collect();
    let segment = segment_of_rows(&medium, spec, &vectors);
    let index = segment.index().unwrap().expect("an index");
    let [signs, nibbles] = segment.whole([SectionKind::Signs, SectionKind::Nibbles]).unwrap();
    let mut again = signs.clone();
    index.copy_seconds(&mut again);
    assert!(again == signs, "their codes stand there");
    let lists = index.lists().unwrap();
    let seconds = lists.second_slots().count();
    assert!(seconds * 10 > rows * 3 && seconds * 10 < rows * 6, "{seconds} of {rows}");
    let query = index.query(&[4000.0, 5000.0, 6000.0]);
    let found = segment.probe(&index, &query, Effort { reach: 1e9, probes: 0, rows }, None).unwrap();
    assert!(found.is_all);
    assert!(found.places == (0..rows as u32).collect::<Vec<_>>(), "each once");
    let few = segment.probe(&index, &query, Effort { reach: 2.5, probes: 0, rows }, None).unwrap();
    let probes = lists.nearest(&query, Effort { reach: 2.5, probes: 0, rows });
    let own: usize = probes.lists.iter().map(|list| list.own().len()).sum();
    assert!(few.places.is_sorted_by(|a, b| a < b) && few.places.len() > own, "others stand there as well");
    let mut estimates = vec![Estimate::default(); few.places.len()];
    segment.estimate_each(&query, &few.places, &mut estimates).unwrap();
    assert_eq!(estimates, few.estimates);
    assert_eq!(nibbles.len(), rows * index.nibble_row_bytes(), "and have one code of four bits");
}

/// A segment of one document with these rows.
fn segment_of_rows(medium: &Medium, spec: CollectionSpec, vectors: &[f32]) -> Segment {
    let passages = vec![Passage::Range { start: 0, end: 0 }; vectors.len() / spec.dimension as usize];
    let document = Document { passages, ..document(0) };
    segment_of(medium, spec, |writer| {
        writer.push(1, None, &document, [vectors], RowWords::Count);
    })
}
