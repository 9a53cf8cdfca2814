//! What is the upper half of an `f32` worth?
//!
//! It has the sign, the whole exponent and seven bits of the fraction (bfloat16): the range of `f32`, and two or three digits. Widening is exact and
//! one instruction anywhere. Sign codes have their factors so: what is rounded is part of the proven error (`codes::bounds`).

/// Bits that are left out.
pub(crate) const LOWER_BITS: u32 = 16;
/// The bits that are kept.
pub(crate) const UPPER: u32 = u32::MAX << LOWER_BITS;

/// The number that is stored.
#[inline(always)]
pub(crate) fn widen(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << LOWER_BITS)
}

/// The nearest one, of two as near the even one. Beyond the greatest that is infinity. Not of NaN.
pub(crate) fn nearest(number: f32) -> u16 {
    let bits = number.to_bits();
    let odd = bits >> LOWER_BITS & 1;
    // A fraction that is rounded up to the next power of two carries into the exponent by itself.
    ((bits + (!UPPER >> 1) + odd) >> LOWER_BITS) as u16
}

/// The least one that is no less. Neither NaN nor negative numbers come here.
pub(crate) fn up(number: f32) -> u16 {
    number.to_bits().div_ceil(1 << LOWER_BITS) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFINITE: u16 = 0x7f80;

    /// Users lose: recall, to codes that are all estimated too near; and the exact mode's promise, to a rounding that is more than
    /// the proven error has room for.
    #[test]
    fn narrowing_takes_the_nearest_and_the_even_of_two() {
        for half in 0..INFINITE {
            assert_eq!((nearest(widen(half)), nearest(-widen(half))), (half, half | 0x8000));
            let middle = f32::from_bits(u32::from(half) << 16 | 0x8000);
            let even = half + half % 2;
            assert_eq!((nearest(middle), nearest(-middle)), (even, even | 0x8000), "{middle}");
            assert_eq!(nearest(middle.next_down()), half, "{middle}");
            assert_eq!(nearest(middle.next_up()), half + 1, "{middle}");
            if middle >= f32::MIN_POSITIVE && nearest(middle) < INFINITE {
                let off = (widen(nearest(middle)) - middle).abs();
                assert!(off <= widen(nearest(middle)) / 256.0, "{middle} is off by {off}");
            }
        }
        assert_eq!(
            [1.0, -2.0, 0.0, f32::MAX, f32::INFINITY].map(nearest),
            [0x3f80, 0xc000, 0, 0x7f80, 0x7f80]
        );
        assert_eq!([f32::MIN, f32::NEG_INFINITY, 1e-45].map(nearest), [0xff80, 0xff80, 0]);
    }

    /// Users lose: a hit of the exact mode, to a residual that is stored as less than it is.
    #[test]
    fn what_is_rounded_up_is_never_less_and_the_least() {
        for half in 0..INFINITE {
            let number = widen(half);
            assert_eq!(up(number), half);
            assert_eq!(up(number.next_up()), half + 1);
            assert_eq!(up(widen(half + 1).next_down()), half + 1);
        }
        assert_eq!([0.0, 1e-45, f32::MAX, f32::INFINITY].map(up), [0, 1, 0x7f80, 0x7f80]);
    }

    /// Users lose: nothing to bytes that no encoder wrote but the scores of their own rows.
    #[test]
    fn any_half_is_some_number() {
        for half in 0..=u16::MAX {
            let (number, magnitude) = (widen(half), half & 0x7fff);
            assert_eq!(number.to_bits(), u32::from(half) << 16);
            assert_eq!(number.is_nan(), magnitude > INFINITE);
            assert_eq!(number.is_infinite(), magnitude == INFINITE);
        }
    }
}
