//! What would a user lose if the built-in model answered wrongly?

#![allow(clippy::unwrap_used)]

use super::*;

/// A table of 3 rows and 2 dimensions, or a broken variant of it.
struct Bytes {
    magic: &'static [u8],
    rows: u32,
    dimension: u32,
    vocabulary_bytes: u32,
    vocabulary: Vec<u8>,
    scales: Vec<f32>,
    values: Vec<u8>,
}

impl Bytes {
    fn sound() -> Self {
        Self {
            magic: b"STBL0001",
            rows: 3,
            dimension: 2,
            vocabulary_bytes: 15,
            vocabulary: b"sun\n##day\n[UNK]".to_vec(),
            scales: vec![0.5, 0.25, 1.0],
            values: vec![6, 0, 0, 16, 9, 9],
        }
    }

    fn joined(&self) -> Vec<u8> {
        let mut bytes = self.magic.to_vec();
        for count in [self.rows, self.dimension, self.vocabulary_bytes] {
            bytes.extend(count.to_le_bytes());
        }
        bytes.extend(&self.vocabulary);
        bytes.extend(self.scales.iter().flat_map(|s| s.to_le_bytes()));
        bytes.extend(&self.values);
        bytes
    }
}

/// What becomes of a table that was broken by `how`.
fn broken(how: impl FnOnce(&mut Bytes)) -> TableError {
    let mut bytes = Bytes::sound();
    how(&mut bytes);
    StaticEmbedder::from_bytes(&bytes.joined()).err().expect("a broken table was taken")
}

fn near(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() <= tolerance, "{x} is not {y}");
    }
}

/// Lost otherwise: the rule itself, on figures that can be checked by hand.
#[test]
fn a_vector_is_the_sum_of_its_rows_made_length_one() {
    let model = StaticEmbedder::from_bytes(&Bytes::sound().joined()).unwrap();
    let vectors = model.embed(&["Sunday!", "sun", "moon [UNK]", ""]).unwrap();
    near(&vectors[0], &[0.6, 0.8], 1e-6);
    near(&vectors[1], &[1.0, 0.0], 1e-6);
    assert_eq!(vectors[2..], [[0.0, 0.0], [0.0, 0.0]], "a text with no known token has the zero vector");
    assert_eq!(model.count_tokens("Sunday, sun"), 4, "the comma is an unknown token");
}

/// A straightforward reading of the table's format, sharing no code with the crate but the tokens.
fn reference(model: &StaticEmbedder, text: &str) -> Vec<f32> {
    let bytes = BUILT_IN_TABLE;
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (rows, dimension, scales) = (word(8), word(12), 20 + word(16));
    let mut sum = vec![0.0f64; dimension];
    model.tokenizer.tokens(text, |token| {
        let Some(row) = token.map(|t| t as usize) else { return };
        let at = scales + 4 * row;
        let scale = f64::from(f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()));
        let values = scales + 4 * rows + row * dimension;
        for (to, &value) in sum.iter_mut().zip(&bytes[values..values + dimension]) {
            *to += scale * f64::from(i8::from_le_bytes([value]));
        }
    });
    let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
    #[allow(clippy::cast_possible_truncation)]
    sum.iter().map(|x| (x / length) as f32).collect()
}

const TEXTS: [&str; 6] = [
    "A dog in the garden",
    "a puppy outside",
    "payment of the bill is due in May",
    "experimental investigation of the aerodynamics of a wing in a slipstream",
    "naïve café — 中文",
    "x",
];

/// Lost otherwise: vectors that differ from those the table was measured with.
#[test]
fn vectors_are_those_of_a_plain_reading_of_the_table() {
    let model = StaticEmbedder::built_in();
    let long = TEXTS.join(" ").repeat(200);
    let texts: Vec<&str> = TEXTS.into_iter().chain([long.as_str()]).collect();
    for (text, vector) in texts.iter().zip(model.embed(&texts).unwrap()) {
        near(&vector, &reference(model, text), 2e-6);
    }
}

/// Lost otherwise: vectors stored by an earlier version would no longer match its queries. The figures come from an
/// independent implementation in Python (numpy and the `tokenizers` package), rounded to six places.
#[test]
fn vectors_are_those_of_the_python_reference() {
    #[rustfmt::skip]
    let expected: [[f32; 6]; 4] = [
        [-0.019773, 0.246532, 0.034886, 0.019103, -0.001643, -0.013196],
        [0.176366, 0.102220, 0.082632, 0.003433, 0.048509, 0.017873],
        [0.050942, -0.125632, 0.102028, 0.002332, 0.015881, 0.006508],
        [0.110457, 0.014655, 0.228129, -0.025045, 0.072463, 0.070766],
    ];
    let vectors = StaticEmbedder::built_in().embed(&TEXTS[..4]).unwrap();
    for (vector, expected) in vectors.iter().zip(expected) {
        near(&[&vector[..3], &vector[253..]].concat(), &expected, 2e-6);
    }
}

/// Lost otherwise: a search could rank by what else was in a batch.
#[test]
fn a_batch_changes_nothing() {
    let model = StaticEmbedder::built_in();
    let together = model.embed(&TEXTS).unwrap();
    for (text, vector) in TEXTS.iter().zip(&together) {
        assert_eq!(&model.embed(&[text]).unwrap()[0], vector);
        let length = vector.iter().map(|x| x * x).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-5, "length {length}");
    }
}

/// Lost otherwise: the server would not start, or would take another table's vectors for this one's.
#[test]
fn the_built_in_table_is_the_one_that_the_decision_names() {
    let model = StaticEmbedder::built_in();
    assert_eq!(model.id().to_string(), "strongroom-static-1/256/85f86cdc");
    assert_eq!(model.dimension(), 256);
}

/// Lost otherwise: a damaged or hostile table would crash the server or fill its memory.
#[test]
fn a_broken_table_is_refused() {
    assert_eq!(broken(|b| b.magic = b"STBL0002"), TableError::Magic);
    assert_eq!(broken(|b| b.rows = 0), TableError::Count { field: "row count", found: 0, max: 1 << 20 });
    assert!(matches!(broken(|b| b.rows = u32::MAX), TableError::Count { .. }));
    assert!(matches!(broken(|b| b.rows = 1 << 20), TableError::Length { .. }));
    assert!(matches!(broken(|b| b.dimension = 0), TableError::Count { field: "dimension", .. }));
    assert!(matches!(broken(|b| b.dimension = u32::MAX), TableError::Count { .. }));
    assert!(matches!(broken(|b| b.dimension = 4096), TableError::Length { .. }));
    assert!(matches!(broken(|b| b.vocabulary_bytes = u32::MAX), TableError::Length { .. }));
    assert!(matches!(broken(|b| b.values.push(0)), TableError::Length { expected: 53, found: 54 }));
    assert_eq!(broken(|b| b.vocabulary[4] = 0xff), TableError::Utf8 { offset: 4 });
    assert_eq!(broken(|b| b.vocabulary[3] = b'x'), TableError::Tokens { rows: 3, tokens: 2 });
    for scale in [f32::NAN, f32::INFINITY, -1.0, 1e7] {
        assert_eq!(broken(|b| b.scales[1] = scale), TableError::Scale { row: 1 });
    }
    assert_eq!(broken(|b| b.vocabulary = b"sun\n[UNKNO]\nsun".to_vec()), TableError::Duplicate { row: 2 });
}

/// Lost otherwise: a download that broke off would be taken for the whole.
#[test]
fn every_truncation_is_refused() {
    let bytes = Bytes::sound().joined();
    for end in 0..bytes.len() {
        assert!(StaticEmbedder::from_bytes(&bytes[..end]).is_err(), "{end} bytes were taken");
    }
    // And of the real table, where counts and bytes are large.
    for end in [8, 12, 20, 21, 5_000, BUILT_IN_TABLE.len() - 1] {
        assert!(StaticEmbedder::from_bytes(&BUILT_IN_TABLE[..end]).is_err(), "{end} bytes were taken");
    }
}

/// Lost otherwise: some flipped byte could bring the server down. Any outcome will do but a panic.
#[test]
fn no_flipped_byte_panics() {
    let bytes = Bytes::sound().joined();
    for at in 0..bytes.len() {
        for value in 0..=255 {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            if let Ok(model) = StaticEmbedder::from_bytes(&bytes) {
                let vector = model.embed(&["Sunday sun [UNK]"]).unwrap().remove(0);
                assert!(vector.iter().all(|x| x.is_finite()), "byte {at} as {value}: {vector:?}");
            }
        }
    }
}
