//! How are values of varying length written and read?
//!
//! Little-endian integers, and byte strings with a 32-bit length before them. The reader checks each length
//! against a named limit and against what is left, and borrows instead of allocating.

use crate::Damage;
use byteorder::{ByteOrder, LittleEndian, WriteBytesExt};

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.0.write_u32::<LittleEndian>(value).expect("a Vec takes all");
        self
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.0.write_u64::<LittleEndian>(value).expect("a Vec takes all");
        self
    }

    /// Seven bits a byte, the lowest first, the eighth bit set in all bytes but the last (LEB128).
    pub fn varint(&mut self, mut value: u64) -> &mut Self {
        while value > 0x7f {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8)
    }

    /// Bytes as they are, their number known from elsewhere.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A length and the bytes.
    ///
    /// # Panics
    /// When there are 4 GiB or more: every caller has checked a limit far below.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(u32::try_from(bytes.len()).expect("checked against a limit before"));
        self.raw(bytes)
    }

    /// Floats, as many as are known from elsewhere.
    pub fn f32s(&mut self, values: &[f32]) -> &mut Self {
        let start = self.0.len();
        self.0.resize(start + values.len() * 4, 0);
        LittleEndian::write_f32_into(values, &mut self.0[start..]);
        self
    }
}

/// Takes values off the front of a byte string.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    structure: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads a structure of this name: damage is told under it.
    pub fn new(structure: &'static str, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, structure }
    }

    /// Bytes whose number is known.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], Damage> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(Damage::new(
                self.structure,
                format_args!("{count} more bytes"),
                format_args!("{} bytes", self.rest.len()),
            ));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Damage> {
        Ok(self.raw(1)?[0])
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Damage> {
        Ok(LittleEndian::read_u32(self.raw(4)?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Damage> {
        Ok(LittleEndian::read_u64(self.raw(8)?))
    }

    /// Seven bits a byte; none more than the value needs.
    pub fn varint(&mut self) -> Result<u64, Damage> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if bits.leading_zeros() < shift || (byte == 0 && shift > 0) {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damage::new(self.structure, "a varint of no more bytes than it needs", "another"))
    }

    /// Two varints, if the first is one of at most two bytes and the second is one byte; else nothing is taken.
    #[inline]
    pub fn short_pair(&mut self) -> Option<(u64, u64)> {
        let (first, second, rest) = match *self.rest {
            [first @ ..0x80, second @ ..0x80, ref rest @ ..] => (u64::from(first), second, rest),
            [low @ 0x80..=0xff, high @ 1..0x80, second @ ..0x80, ref rest @ ..] => {
                (u64::from(low & 0x7f) | u64::from(high) << 7, second, rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some((first, u64::from(second)))
    }

    /// A count of things of at least `item_bytes` each: at most `limit`, and no more than can be there.
    pub fn count(&mut self, limit: usize, item_bytes: usize) -> Result<usize, Damage> {
        let count = self.u32()? as usize;
        if count > limit || count.saturating_mul(item_bytes) > self.rest.len() {
            return Err(Damage::new(self.structure, format_args!("at most {limit} and all there"), count));
        }
        Ok(count)
    }

    /// A length, at most `limit`, and the bytes.
    pub fn bytes(&mut self, limit: usize) -> Result<&'a [u8], Damage> {
        let count = self.count(limit, 1)?;
        self.raw(count)
    }

    /// A length and that much UTF-8.
    pub fn text(&mut self, limit: usize) -> Result<&'a str, Damage> {
        let structure = self.structure;
        std::str::from_utf8(self.bytes(limit)?).map_err(|error| Damage::new(structure, "UTF-8", error))
    }

    /// Floats, as many as are known from elsewhere.
    pub fn f32s(&mut self, count: usize) -> Result<Vec<f32>, Damage> {
        let bytes = self.raw(count.saturating_mul(4))?;
        let mut values = vec![0.0; count];
        LittleEndian::read_f32_into(bytes, &mut values);
        Ok(values)
    }

    /// An array of bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N)?);
        Ok(array)
    }

    /// How many bytes were not read yet.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the structure: nothing may be left.
    pub fn finish(self) -> Result<(), Damage> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Damage::new(self.structure, "its end", format_args!("{} bytes more", self.rest.len())))
        }
    }
}
