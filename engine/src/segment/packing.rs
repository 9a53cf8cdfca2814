//! How does a block of texts become smaller before it is sealed?
//!
//! As one LZ4 block, so that each opens alone. What doesn't become smaller is kept as it is; its length says so.

use strongroom_format::Damage;
use zeroize::Zeroizing;

/// The shorter of a block and its compressed form.
pub(super) fn pack(plain: &[u8]) -> Zeroizing<Vec<u8>> {
    let packed = Zeroizing::new(lz4_flex::block::compress(plain));
    if packed.len() < plain.len() { packed } else { Zeroizing::new(plain.to_vec()) }
}

/// A block of so many bytes, given its shorter form.
pub(crate) fn unpack(packed: Zeroizing<Vec<u8>>, plain_bytes: usize) -> Result<Zeroizing<Vec<u8>>, Damage> {
    let mut plain = Zeroizing::new(vec![0; plain_bytes]);
    unpack_into(&packed, &mut plain)?;
    Ok(plain)
}

/// The same, to where the block is to lie.
pub(super) fn unpack_into(packed: &[u8], plain: &mut [u8]) -> Result<(), Damage> {
    let plain_bytes = plain.len();
    if packed.len() == plain_bytes {
        plain.copy_from_slice(packed);
        return Ok(());
    }
    match lz4_flex::block::decompress_into(packed, plain) {
        Ok(bytes) if bytes == plain_bytes => Ok(()),
        Ok(bytes) => Err(Damage::new("block", format_args!("LZ4 of {plain_bytes} bytes"), bytes)),
        Err(error) => Err(Damage::new("block", format_args!("LZ4 of {plain_bytes} bytes"), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, texts would come back changed, or not at all.
    #[test]
    fn what_is_packed_is_unpacked() {
        let noise: Vec<u8> = (0..1000_u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        for plain in [b"a".repeat(16_384), b"once, and once more, and once".repeat(40), noise, vec![7]] {
            let packed = pack(&plain);
            assert!(packed.len() <= plain.len());
            assert_eq!(*unpack(packed, plain.len()).expect("it unpacks"), plain);
        }
        assert!(pack(&b"word ".repeat(1000)).len() < 100);
    }

    /// Without this, hostile bytes could take memory or end the process.
    #[test]
    fn what_is_no_block_is_damage() {
        let packed = pack(&b"word ".repeat(1000));
        for plain_bytes in [0, 1, 4_999, 5_001, 16_384] {
            unpack(packed.clone(), plain_bytes).expect_err("another length");
        }
        for at in 0..packed.len() {
            let mut cut = packed.clone();
            cut.truncate(at);
            unpack(cut, 5000).expect_err("cut short");
            for byte in [0, 0x7f, 0xff] {
                let mut wrong = packed.clone();
                wrong[at] = byte;
                unpack(wrong, 5000).ok();
            }
        }
    }
}
