//! Are the codes of a segment those of its vectors?
//!
//! Rows are coded anew as they pass: a code that says something else would lose rows of a search that promises to lose none.

use crate::segment::RowCoder;
use strongroom_format::Damage;
use strongroom_format::codes::IndexHead;
use strongroom_format::record::CollectionSpec;
use strongroom_format::segment::Section;

/// What the codes must be; of a segment without any, or with codes of another version, nothing.
#[derive(Default)]
pub(super) struct Codes(Option<RowCoder>);

impl Codes {
    /// As section *index* says.
    pub(super) fn begin(
        index: &[u8],
        spec: CollectionSpec,
        rows: u32,
        sections: [&Section; 3],
    ) -> Result<Self, Damage> {
        let Some(head) = IndexHead::decode(index, spec.dimension, rows)? else { return Ok(Self(None)) };
        head.check(spec.dimension, rows, sections)?;
        Ok(Self(Some(RowCoder::new(head.centre, spec.metric))))
    }

    /// The next bytes of the vectors.
    pub(super) fn push(&mut self, vectors: &[u8]) {
        if let Some(coder) = &mut self.0 {
            coder.push(vectors);
        }
    }

    /// Whether section *nibbles* is what it must be, after all vectors. When some of these are missing that was told
    /// where they are.
    pub(super) fn check(&mut self, nibbles: &[u8]) -> Result<(), Damage> {
        match self.0.take().map(RowCoder::finish) {
            Some(expected) if expected.len() == nibbles.len() && expected != nibbles => {
                Err(Damage::new("nibbles", "the codes of the vectors", "others"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_format::record::Metric;

    /// Without this, codes that say something else than their vectors would be called whole.
    #[test]
    fn codes_of_other_vectors_are_found() {
        let spec = CollectionSpec { dimension: 5, metric: Metric::Euclidean };
        let vectors: Vec<u8> = (0..150 * 5_u32).flat_map(|n| (n as f32).sin().to_le_bytes()).collect();
        let mut coder = RowCoder::new(vec![0.25; 5], spec.metric);
        coder.push(&vectors);
        let nibbles = coder.finish();
        let head = IndexHead::flat(vec![0.25; 5]);
        let section =
            |plain_bytes| Section { first_block: 1, offset: 0, plain_bytes, stored_bytes: plain_bytes };
        let sections = head.code_bytes(5, 150).map(section);
        let check = |vectors: &[u8], nibbles: &[u8], pieces: usize| {
            let index = head.encode().0;
            let mut codes = Codes::begin(&index, spec, 150, sections.each_ref()).expect("an index");
            vectors.chunks(pieces).for_each(|piece| codes.push(piece));
            codes.check(nibbles)
        };
        for pieces in [3, 20, 21, 64, 3000] {
            check(&vectors, &nibbles, pieces).expect("its codes");
        }
        for at in [0, 43, 149 * 44 + 40] {
            let mut others = nibbles.clone();
            others[at] ^= 1;
            check(&vectors, &others, 64).expect_err("other codes");
        }
        check(&vectors[..1000], &nibbles, 64).expect("vectors that are missing are told elsewhere");
        let mut other_centre = IndexHead::flat(vec![0.5; 5]).encode().0;
        other_centre.push(0);
        assert!(Codes::begin(&other_centre, spec, 150, sections.each_ref()).is_err(), "more than an index");
    }
}
