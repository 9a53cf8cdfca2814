//! Are the codes of a segment those of its vectors?
//!
//! Rows are coded anew as they pass: a code that says something else would lose rows of a search that promises to lose none.

use crate::segment::{Index, RowCoder};
use strongroom_format::Damage;
use strongroom_format::codes::{IndexHead, Places};
use strongroom_format::record::CollectionSpec;
use strongroom_format::segment::{Section, SectionKind};
use zeroize::Zeroizing;

/// What the codes must be; of a segment without any, or with codes of another version, nothing.
#[derive(Default)]
pub(super) enum Codes {
    #[default]
    Unknown,
    Coming(Box<RowCoder>),
    /// Sections *signs* and *nibbles*.
    Known([Zeroizing<Vec<u8>>; 2]),
}

impl Codes {
    /// As sections *index* and *places* say.
    pub(super) fn begin(
        index: &[u8],
        places: &[u8],
        spec: CollectionSpec,
        rows: u32,
        sections: [&Section; 3],
    ) -> Result<Self, Damage> {
        let Some(head) = IndexHead::decode(index, spec.dimension, rows)? else { return Ok(Self::Unknown) };
        head.check(spec.dimension, rows, sections)?;
        let places = Places::decode(places, rows, head.seconds())?;
        let index = Index::of(head, spec.metric, places);
        Ok(Self::Coming(Box::new(RowCoder::new(index, rows))))
    }

    /// The next bytes of the vectors.
    pub(super) fn push(&mut self, vectors: &[u8]) {
        if let Self::Coming(coder) = self {
            coder.push(vectors);
        }
    }

    /// After the vectors: when some of these are missing that was told where they are.
    pub(super) fn end(self) -> Self {
        match self {
            Self::Coming(coder) => coder.finish().map_or(Self::Unknown, |(_, codes)| Self::Known(codes)),
            other => other,
        }
    }

    /// Whether section *signs* or *nibbles* is what it must be.
    pub(super) fn check(&self, kind: SectionKind, found: &[u8]) -> Result<(), Damage> {
        let Self::Known([signs, nibbles]) = self else { return Ok(()) };
        let (field, expected) = match kind {
            SectionKind::Signs => ("signs", signs),
            _ => ("nibbles", nibbles),
        };
        if **expected == *found {
            return Ok(());
        }
        Err(Damage::new(field, "the codes of the vectors", "others"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_format::codes::ListRows;
    use strongroom_format::record::Metric;

    /// Without this, codes that say something else than their vectors would be called whole, or right ones damaged.
    #[test]
    fn codes_of_other_vectors_are_found() {
        let spec = CollectionSpec { dimension: 5, metric: Metric::Euclidean };
        let vectors: Vec<u8> = (0..150 * 5_u32).flat_map(|n| (n as f32).sin().to_le_bytes()).collect();
        let flat = IndexHead::flat(vec![0.25; 5]);
        let centroids = vec![0; 2 * 44];
        let lists = [(40, 3), (110, 15)].map(|(own, seconds)| ListRows { own, seconds }).to_vec();
        let listed = IndexHead { lists, centroids: &centroids, ..flat.clone() };
        let scattered = Places {
            rows: (0..150).map(|place| place * 7 % 150).collect(),
            seconds: (100..118).map(|place| place * 7 % 150).collect(),
        };
        for (head, places) in [(flat, Places::default()), (listed, scattered)] {
            let mut coder = RowCoder::new(Index::of(head.clone(), spec.metric, places.clone()), 150);
            coder.push(&vectors);
            let [signs, nibbles] = coder.finish().expect("all rows").1;
            assert_eq!(signs.is_empty(), places.rows.is_empty());
            let section =
                |plain_bytes| Section { first_block: 1, offset: 0, plain_bytes, stored_bytes: plain_bytes };
            let sections = head.code_bytes(5, 150).map(section);
            let index = head.encode().0;
            let places = places.encode();
            let check = |vectors: &[u8], signs: &[u8], nibbles: &[u8], pieces: usize| {
                let mut codes =
                    Codes::begin(&index, &places, spec, 150, sections.each_ref()).expect("an index");
                vectors.chunks(pieces).for_each(|piece| codes.push(piece));
                let codes = codes.end();
                codes.check(SectionKind::Signs, signs)?;
                codes.check(SectionKind::Nibbles, nibbles)
            };
            for pieces in [3, 20, 21, 64, 3000] {
                check(&vectors, &signs, &nibbles, pieces).expect("its codes");
            }
            for at in [0, 43, 149 * 44 + 40] {
                let mut others = nibbles.to_vec();
                others[at] ^= 1;
                check(&vectors, &signs, &others, 64).expect_err("other codes");
            }
            for at in (0..signs.len()).step_by(100) {
                let mut others = signs.to_vec();
                others[at] ^= 1;
                check(&vectors, &others, &nibbles, 64).expect_err("other codes");
            }
            let others = vec![0; nibbles.len()];
            check(&vectors[..1000], &signs, &others, 64)
                .expect("vectors that are missing are told elsewhere");
            let more = [&*index, &[0]].concat();
            Codes::begin(&more, &places, spec, 150, sections.each_ref()).err().expect("more than an index");
        }
    }
}
