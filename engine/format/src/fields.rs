//! Which typed values does a document carry for filters?
//!
//! Metadata is text to the engine; whoever can read it hands its fields along: a path and a value each, several values
//! of one path for a list. They stand in the document's info, and in a segment's index of fields
//! ([`field_index`](crate::field_index)) under keys that sort as the values do.
//!
//! Invariants:
//! 1. Values of one kind are ordered: numbers by what they are, whole ones of 64 bits exactly; texts by their bytes.
//! 2. Each value has one encoding: equal values have equal keys.

use crate::Damage;
use crate::limits::{FIELD_PATH_BYTES_MAX, FIELDS_MAX, METADATA_BYTES_MAX};
use crate::wire::{Reader, Writer};

/// A text stands in the index with so many of its first bytes.
pub const FIELD_TEXT_INDEXED_BYTES: usize = 128;

/// A value of a document at a path of its metadata. A path has 1 to 1,024 bytes and no NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// The names on the way to it, joined by dots.
    pub path: String,
    /// What stands there.
    pub value: FieldValue,
}

/// What a field can hold. Values of different kinds are never equal, and none is above the other for a filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldValue {
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
}

/// A finite number: any `f64`, or a whole number of 64 bits, signed or not, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// The greatest `f64` that is not above it, its bits turned so that they rise with it.
    floor: u64,
    /// How far the number is above that: 0 but for whole numbers beyond 2⁵³.
    above: u16,
}

/// The sign of an `f64`.
const SIGN: u64 = 1 << 63;

impl Number {
    /// A float; `None` when it is not finite.
    pub fn from_f64(float: f64) -> Option<Self> {
        // There is one zero.
        let bits = if float == 0.0 { 0 } else { float.to_bits() };
        let floor = if bits & SIGN == 0 { bits | SIGN } else { !bits };
        float.is_finite().then_some(Self { floor, above: 0 })
    }

    fn of_whole(whole: i128) -> Self {
        let near = whole as f64;
        let floor = if near as i128 > whole { near.next_down() } else { near };
        let above = (whole - floor as i128) as u16;
        Self { above, ..Self::from_f64(floor).unwrap_or(Self { floor: SIGN, above: 0 }) }
    }

    /// As a float: the nearest one not above it.
    pub fn floor(self) -> f64 {
        f64::from_bits(if self.floor & SIGN == 0 { !self.floor } else { self.floor ^ SIGN })
    }

    fn checked(floor: u64, above: u16) -> Result<Self, Damage> {
        let number = Self { floor, above };
        let float = number.floor();
        let is_whole = (-9.3e18..1.85e19).contains(&float);
        let canonical = if above == 0 {
            Self::from_f64(float)
        } else {
            is_whole.then(|| Self::of_whole(float as i128 + i128::from(above)))
        };
        if canonical != Some(number) {
            return Err(Damage::new("Number", "a finite number in its one form", "another"));
        }
        Ok(number)
    }
}

impl From<i64> for Number {
    fn from(whole: i64) -> Self {
        Self::of_whole(whole.into())
    }
}

impl From<u64> for Number {
    fn from(whole: u64) -> Self {
        Self::of_whole(whole.into())
    }
}

impl Field {
    /// How much it adds to a document, in bytes.
    pub fn bytes(&self) -> usize {
        let value = match &self.value {
            FieldValue::Bool(_) => 1,
            FieldValue::Number(_) => 10,
            FieldValue::Text(text) => text.len(),
        };
        self.path.len() + value
    }

    fn write(&self, out: &mut Writer) {
        out.bytes(self.path.as_bytes());
        match &self.value {
            FieldValue::Bool(value) => out.u8(1).u8(u8::from(*value)),
            FieldValue::Number(number) => out.u8(2).u64(number.floor).varint(number.above.into()),
            FieldValue::Text(text) => out.u8(3).bytes(text.as_bytes()),
        };
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Damage> {
        let path = input.text(FIELD_PATH_BYTES_MAX)?.to_owned();
        if path.is_empty() || path.contains('\0') {
            return Err(Damage::new("Field.path", "1 byte or more, none of them NUL", "another"));
        }
        let value = match (input.u8()?, &mut *input) {
            (1, input) => match input.u8()? {
                bool @ 0..=1 => FieldValue::Bool(bool == 1),
                other => return Err(Damage::new("Field.bool", "0 or 1", other)),
            },
            (2, input) => {
                let floor = input.u64()?;
                let above = u16::try_from(input.varint()?).unwrap_or(u16::MAX);
                FieldValue::Number(Number::checked(floor, above)?)
            }
            (3, input) => FieldValue::Text(input.text(METADATA_BYTES_MAX)?.to_owned()),
            (other, _) => return Err(Damage::new("Field.kind", "1 to 3", other)),
        };
        Ok(Self { path, value })
    }
}

/// Writes a document's fields, which rise.
pub fn write_fields(fields: &[Field], out: &mut Writer) {
    out.u32(fields.len() as u32);
    fields.iter().for_each(|field| field.write(out));
}

/// Reads what [`write_fields`] wrote.
pub fn read_fields(input: &mut Reader<'_>) -> Result<Vec<Field>, Damage> {
    let mut fields: Vec<Field> = Vec::new();
    // The shortest has a path of one byte and a boolean.
    for _ in 0..input.count(FIELDS_MAX, 7)? {
        let field = Field::read(input)?;
        if fields.last().is_some_and(|before| *before >= field) {
            return Err(Damage::new("Field", "above the one before", "not"));
        }
        fields.push(field);
    }
    Ok(fields)
}

/// The keys under which the index of fields has values: the path, a NUL, a byte for the kind, and the value. They sort by
/// path, kind and value.
pub mod key {
    use super::{FIELD_TEXT_INDEXED_BYTES, FieldValue};

    /// The kind of the key that stands for any value.
    pub const ANY: u8 = 0;

    /// What all keys of a path and kind begin with.
    pub fn of_kind(path: &str, kind: u8) -> Vec<u8> {
        [path.as_bytes(), &[0, kind]].concat()
    }

    /// The key of documents that have any value at a path.
    pub fn any(path: &str) -> Vec<u8> {
        of_kind(path, ANY)
    }

    /// The kind of a value.
    pub fn kind(value: &FieldValue) -> u8 {
        match value {
            FieldValue::Bool(_) => 1,
            FieldValue::Number(_) => 2,
            FieldValue::Text(_) => 3,
        }
    }

    /// The key of a value: longer texts are cut.
    pub fn of(path: &str, value: &FieldValue) -> Vec<u8> {
        let mut key = of_kind(path, kind(value));
        match value {
            FieldValue::Bool(bool) => key.push(u8::from(*bool)),
            FieldValue::Number(number) => {
                key.extend_from_slice(&number.floor.to_be_bytes());
                key.extend_from_slice(&number.above.to_be_bytes());
            }
            FieldValue::Text(text) => {
                key.extend_from_slice(&text.as_bytes()[..text.len().min(FIELD_TEXT_INDEXED_BYTES)]);
            }
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, `amount >= 10` would leave out amounts that are, or an id of 19 digits match its neighbours.
    #[test]
    fn numbers_sort_as_what_they_are() {
        let float = |float| Number::from_f64(float).expect("finite");
        let rising = [
            float(f64::MIN),
            Number::from(i64::MIN),
            Number::from(i64::MIN + 1),
            float(-1.5),
            Number::from(-1_i64),
            float(-0.0),
            float(f64::MIN_POSITIVE),
            float(0.1),
            Number::from(1_u64),
            Number::from((1_u64 << 53) + 1),
            float(9_007_199_254_740_994.0),
            Number::from(u64::MAX - 1),
            Number::from(u64::MAX),
            float(18_446_744_073_709_551_616.0),
            float(f64::MAX),
        ];
        for pair in rising.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
            let [a, b] = [pair[0], pair[1]].map(|number| key::of("n", &FieldValue::Number(number)));
            assert!(a < b, "{pair:?}");
        }
        for number in rising {
            assert_eq!(Number::checked(number.floor, number.above), Ok(number));
        }
        assert_eq!(float(7.0), Number::from(7_u64));
        assert_eq!(float(-0.0), float(0.0));
        assert_eq!(float(1e18), Number::from(1_000_000_000_000_000_000_i64));
        assert_eq!(float(-1.5).floor(), -1.5);
        assert_eq!((Number::from_f64(f64::NAN), Number::from_f64(f64::INFINITY)), (None, None));
        for (floor, above) in
            [(0, 0), (u64::MAX, 0), (SIGN - 1, 0), (float(1.0).floor, 1), (float(1e19).floor, 2048)]
        {
            assert!(Number::checked(floor, above).is_err(), "{floor:#x} {above}");
        }
    }

    fn fields() -> Vec<Field> {
        let field = |path: &str, value| Field { path: path.to_owned(), value };
        vec![
            field("a", FieldValue::Bool(false)),
            field("a", FieldValue::Number(Number::from(u64::MAX))),
            field("a", FieldValue::Text("x".repeat(200))),
            field("a.b", FieldValue::Text(String::new())),
        ]
    }

    /// Without this, a document would come back with other fields than it was given, or not at all.
    #[test]
    fn fields_are_read_as_they_were_written_and_nothing_else_is() {
        let mut out = Writer::default();
        write_fields(&fields(), &mut out);
        assert_eq!(read_fields(&mut Reader::new("fields", &out.0)).expect("whole"), fields());
        for cut in 0..out.0.len() {
            assert!(read_fields(&mut Reader::new("fields", &out.0[..cut])).is_err(), "cut at {cut}");
        }
        for bad in [[fields()[1].clone(), fields()[0].clone()], [fields()[0].clone(), fields()[0].clone()]] {
            let mut out = Writer::default();
            write_fields(&bad, &mut out);
            assert!(read_fields(&mut Reader::new("fields", &out.0)).is_err());
        }
        for path in ["", "a\0b"] {
            let mut out = Writer::default();
            write_fields(&[Field { path: path.to_owned(), value: FieldValue::Bool(true) }], &mut out);
            assert!(read_fields(&mut Reader::new("fields", &out.0)).is_err(), "{path:?}");
        }
    }

    /// Without this, a range would stop before the last of its values.
    #[test]
    fn keys_sort_by_path_kind_and_value() {
        let keys: Vec<_> = fields().iter().map(|field| key::of(&field.path, &field.value)).collect();
        assert!(keys.is_sorted());
        assert!(key::any("a") < keys[0] && keys[2] < key::any("a.b"));
        assert_eq!(keys[2].len(), 3 + FIELD_TEXT_INDEXED_BYTES);
    }
}
