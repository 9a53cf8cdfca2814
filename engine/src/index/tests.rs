//! What a search promises, whatever is known of scores beforehand.

use super::*;
use std::cell::Cell;
use std::convert::Infallible;

/// Documents with ids, each with the scores of its rows.
struct Known {
    ids: Vec<&'static str>,
    /// Each row's document and score.
    rows: Vec<(u32, f32)>,
    /// By how much bounds are off.
    slack: f32,
    /// In how much of that, in its middle, scores lie.
    spread: f32,
    /// Whether they tell which rows reach a floor.
    tells: bool,
    /// How many were scored.
    scored: Cell<usize>,
}

impl Known {
    fn new(documents: &[(&'static str, Vec<f32>)], slack: f32) -> Self {
        let of_document = |(ordinal, (_, rows)): (u32, &(_, Vec<f32>))| {
            rows.iter().map(move |&score| (ordinal, score)).collect::<Vec<_>>()
        };
        let rows = (0..).zip(documents).flat_map(of_document).collect();
        Self {
            ids: documents.iter().map(|(id, _)| *id).collect(),
            rows,
            slack,
            spread: 1.0,
            tells: true,
            scored: Cell::new(0),
        }
    }
}

impl Rows<'static> for Known {
    type Error = Infallible;

    fn places(&self, ordinals: Range<u32>) -> (Range<u32>, bool) {
        let before = |ordinal: u32| self.rows.partition_point(|(of, _)| *of < ordinal) as u32;
        (before(ordinals.start)..before(ordinals.end), true)
    }

    fn has_one_each(&self) -> bool {
        self.rows.iter().map(|(ordinal, _)| *ordinal).eq(0..self.ids.len() as u32)
    }

    fn ordinal(&self, place: u32) -> u32 {
        self.rows[place as usize].0
    }

    fn row(&self, place: u32) -> (u32, u32) {
        let ordinal = self.ordinal(place);
        (ordinal, place - self.places(ordinal..ordinal).0.start)
    }

    fn id(&self, ordinal: u32) -> &'static str {
        self.ids[ordinal as usize]
    }

    fn bounds(&self, rows: Range<u32>, bounds: &mut [Bounds]) -> Result<bool, Infallible> {
        for ((_, score), bounds) in self.rows[rows.start as usize..rows.end as usize].iter().zip(bounds) {
            // Of some the score is near the upper bound, of others near the lower.
            let up = self.slack * (0.5 + self.spread * ((score * 100.0).fract() - 0.5));
            *bounds = Bounds { least: score - (self.slack - up), most: score + up };
        }
        Ok(false)
    }

    fn reach(&self, rows: Range<u32>, floor: f32, reached: &mut Reached) -> Result<bool, Infallible> {
        let mut bounds = vec![Bounds::NONE; rows.len()];
        self.bounds(rows.clone(), &mut bounds)?;
        for (row, bounds) in rows.zip(bounds).filter(|(_, row)| self.tells && row.most >= floor) {
            reached.numbers.push(row);
            reached.bounds.push(bounds);
        }
        Ok(self.tells)
    }

    fn exact(&self, rows: Range<u32>, bounds: &mut [Bounds]) -> Result<(), Infallible> {
        let rows = &self.rows[rows.start as usize..rows.end as usize];
        bounds.copy_from_slice(&rows.iter().map(|(_, score)| Bounds::exact(*score)).collect::<Vec<_>>());
        Ok(())
    }

    fn bounds_each(&self, rows: &[u32], bounds: &mut [Bounds]) -> Result<(), Infallible> {
        for (&row, bounds) in rows.iter().zip(bounds) {
            self.bounds(row..row + 1, std::slice::from_mut(bounds))?;
        }
        Ok(())
    }

    fn scores(&self, rows: &[u32], scores: &mut [f32]) -> Result<(), Infallible> {
        assert!(rows.is_sorted());
        self.scored.set(self.scored.get() + rows.len());
        for (row, score) in rows.iter().zip(scores) {
            *score = self.rows[*row as usize].1;
        }
        Ok(())
    }
}

fn documents() -> Vec<(&'static str, Vec<f32>)> {
    vec![("e", vec![0.5]), ("d", vec![0.1, 0.9]), ("c", vec![0.5]), ("b", vec![]), ("a", vec![0.9])]
}

fn search(sources: &[Known], k: usize, mask: &Mask) -> Vec<(String, f32, u32)> {
    search_for(Unit::Documents, sources, k, mask)
}

fn search_for(unit: Unit, sources: &[Known], k: usize, mask: &Mask) -> Vec<(String, f32, u32)> {
    let mut nearest = Nearest::new(k, unit);
    for (number, source) in sources.iter().enumerate() {
        nearest.look(number, source, mask).expect("memory");
    }
    let found = nearest.finish(sources).expect("memory");
    found.iter().map(|c| (c.id.to_owned(), c.score, c.passage)).collect()
}

fn hit(id: &str, score: f32, passage: u32) -> (String, f32, u32) {
    (id.to_owned(), score, passage)
}

/// Without this, a page of results would change from call to call.
#[test]
fn best_first_and_ties_by_id() {
    let all: Mask = (0..5).collect();
    for slack in [0.0, 0.01, 0.3, 10.0] {
        let source = [Known::new(&documents(), slack)];
        let found = search(&source, 10, &all);
        assert_eq!(found, [hit("a", 0.9, 0), hit("d", 0.9, 1), hit("c", 0.5, 0), hit("e", 0.5, 0)]);
        for k in 0..5 {
            assert_eq!(search(&source, k, &all), found[..k.min(4)]);
        }
    }
}

/// Without this, a masked document would surface, or a mask would leave a search short.
#[test]
fn masked_documents_are_not_offered() {
    for slack in [0.0, 0.5] {
        let source = [Known::new(&documents(), slack)];
        let found = search(&source, 10, &[0, 2, 3].into_iter().collect());
        assert_eq!(found, [hit("c", 0.5, 0), hit("e", 0.5, 0)]);
    }
}

/// Without this, a search for passages would answer one of a document and forget its others, or lose some when scores tie.
#[test]
fn passages_are_counted_each_for_itself() {
    let documents = vec![("b", vec![0.5, 0.9, 0.5]), ("a", vec![0.5, 0.1]), ("c", vec![0.9])];
    let wanted = [
        hit("b", 0.9, 1),
        hit("c", 0.9, 0),
        hit("a", 0.5, 0),
        hit("b", 0.5, 0),
        hit("b", 0.5, 2),
        hit("a", 0.1, 1),
    ];
    for slack in [0.0, 0.01, 0.3, 10.0] {
        let source = [Known::new(&documents, slack)];
        for k in 0..8 {
            let found = search_for(Unit::Passages, &source, k, &(0..3).collect());
            assert_eq!(found, wanted[..k.min(6)], "{slack} {k}");
        }
        let masked = search_for(Unit::Passages, &source, 9, &[0].into_iter().collect());
        assert_eq!(masked, [hit("b", 0.9, 1), hit("b", 0.5, 0), hit("b", 0.5, 2)]);
    }
}

/// Without this, a search of many rows would lose a hit whose bounds are wide, or name one document twice.
#[test]
fn bounds_and_sources_do_not_show() {
    let ids: Vec<&'static str> = (0..9500).map(|n| &*format!("{n:04}").leak()).collect();
    let score = |n: usize| (n * 7919 % 30_011) as f32 / 30_011.0;
    let rows = |n: usize| (0..n % 3).map(|row| score(n * 3 + row)).collect::<Vec<_>>();
    let documents: Vec<_> = ids.iter().enumerate().map(|(n, id)| (*id, rows(n))).collect();
    let all: Mask = (0..9500).filter(|n| n % 5 != 0).collect();
    let mut wanted: Vec<(String, f32, u32)> = documents
        .iter()
        .zip(0..)
        .filter(|((_, rows), n)| all.contains(*n) && !rows.is_empty())
        .map(|((id, rows), _)| {
            let best = rows.iter().copied().fold(f32::MIN, f32::max);
            let passage = rows.iter().position(|score| *score == best).expect("the best one");
            hit(id, best, passage as u32)
        })
        .collect();
    wanted.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut each: Vec<(String, f32, u32)> = documents
        .iter()
        .zip(0..)
        .filter(|(_, n)| all.contains(*n))
        .flat_map(|((id, rows), _)| (0..).zip(rows).map(|(passage, &score)| hit(id, score, passage)))
        .collect();
    each.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| (&a.0, a.2).cmp(&(&b.0, b.2))));
    for (slack, tells) in [(0.0, true), (0.02, true), (0.02, false), (0.6, true), (0.6, false)] {
        let source = [Known { tells, ..Known::new(&documents, slack) }];
        for k in [1, 10, 300, 5000] {
            let found = search(&source, k, &all);
            assert_eq!(found, wanted[..k.min(wanted.len())], "{slack} {tells} {k}");
            let found = search_for(Unit::Passages, &source, k, &all);
            assert_eq!(found, each[..k.min(each.len())], "passages {slack} {tells} {k}");
        }
    }
}

/// Lost otherwise: time, to vectors that are read though others are nearer. Of 12,000 rows some 40 must be, by what their bounds
/// say.
#[test]
fn few_rows_are_scored() {
    let ids: Vec<&'static str> = (0..12_000).map(|n| &*format!("{n:05}").leak()).collect();
    let documents: Vec<_> =
        ids.iter().enumerate().map(|(n, id)| (*id, vec![(n * 7919 % 12_007) as f32 / 12_007.0])).collect();
    let source = [Known { spread: 0.1, ..Known::new(&documents, 0.005) }];
    assert_eq!(search(&source, 10, &(0..12_000).collect()).len(), 10);
    let scored = source[0].scored.get();
    assert!((30..=45).contains(&scored), "{scored} were scored");
}

/// Without this, documents of several good passages would leave a search short: as many rows as it asks for are not as many
/// documents.
#[test]
fn rows_of_one_document_count_once() {
    let ids: Vec<&'static str> = (0..200).map(|n| &*format!("{n:04}").leak()).collect();
    let score = |n: usize, row: usize| 0.9 - n as f32 * 1e-3 - row as f32 * 1e-5;
    let rows = |n: usize| (0..7).map(|row| score(n, row)).collect::<Vec<_>>();
    let documents: Vec<_> = ids.iter().enumerate().map(|(n, id)| (*id, rows(n))).collect();
    for slack in [0.0, 0.02, 0.6] {
        let source = [Known::new(&documents, slack)];
        for k in [1, 2, 10, 30, 150] {
            let found = search(&source, k, &(0..200).collect());
            let wanted: Vec<_> = (0..k).map(|n| hit(ids[n], score(n, 0), 0)).collect();
            assert_eq!(found, wanted, "{slack} {k}");
        }
    }
}

/// Without this, a search by words and meaning would end short: the rows that it took twice, being near and having the words, outdid
/// others that it needed.
#[test]
fn a_row_that_is_taken_twice_counts_once() {
    let ids: Vec<&'static str> = (0..60).map(|n| &*format!("{n:04}").leak()).collect();
    let documents: Vec<_> =
        ids.iter().enumerate().map(|(n, id)| (*id, vec![0.9 - n as f32 * 1e-3])).collect();
    let source = [Known::new(&documents, 0.02)];
    let places: Vec<u32> = (0..60).collect();
    let mut bounds = vec![Bounds::NONE; 60];
    source[0].bounds(0..60, &mut bounds).expect("memory");
    for k in [1, 5, 20, 60] {
        let mut nearest = Nearest::new(k, Unit::Documents);
        nearest.take(0, &source[0], &places, &bounds);
        nearest.take(0, &source[0], &places[..40], &bounds[..40]);
        let found: Vec<_> = nearest.finish(&source).expect("memory").iter().map(|c| c.id).collect();
        assert_eq!(found, ids[..k]);
    }
}

/// Lost otherwise: the boundary between tenants, if a search began with rows that the one before it on the same thread had found.
#[test]
fn room_is_handed_on_empty() {
    let known = Known::new(&[("a", vec![0.9]), ("b", vec![0.5]), ("c", vec![0.1])], 0.2);
    let mask: Mask = (0..3).collect();
    let mut before = Nearest::new(2, Unit::Documents);
    before.look(0, &known, &mask).unwrap();
    drop(before);
    assert_eq!(Nearest::new(2, Unit::Documents).into_left(), []);
    let none: [Known; 0] = [];
    assert_eq!(Nearest::new(2, Unit::Documents).finish(&none).unwrap(), []);
}
