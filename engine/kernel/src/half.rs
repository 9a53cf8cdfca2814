//! What is a number of 16 bits worth?
//!
//! A half (IEEE 754 binary16) has one bit of sign, five of exponent and ten of fraction. Widening is exact, so a
//! scan over halves is a scan over the numbers that they stand for; narrowing rounds to the nearest, ties to even.

/// What multiplies a half's exponent field, once it stands where `f32` has its own: `2^(127 - 15)`.
const REBIAS: f32 = f32::from_bits((127 + 127 - 15) << 23);
const MAGNITUDE: u16 = 0x7fff;
const INFINITE: u16 = 0x7c00;

/// The number that a half's bits stand for.
#[inline(always)]
pub fn widen(half: u16) -> f32 {
    let shifted = u32::from(half & MAGNITUDE) << 13;
    // The product is exact: a subnormal half is a normal `f32`.
    let finite = (f32::from_bits(shifted) * REBIAS).to_bits();
    let magnitude = if half & MAGNITUDE >= INFINITE { 0x7f80_0000 | shifted } else { finite };
    f32::from_bits(u32::from(half & !MAGNITUDE) << 16 | magnitude)
}

/// The bits of the half nearest to a number; of two as near the even one. Beyond 65,504 that is infinity.
pub fn narrow(number: f32) -> u16 {
    let sign = (number.to_bits() >> 16) as u16 & !MAGNITUDE;
    let magnitude = number.abs();
    if magnitude.is_nan() {
        return sign | INFINITE | 0x200;
    }
    // From here on everything rounds to infinity; below, a half's last place is at least 2^-24.
    if magnitude >= 65_520.0 {
        return sign | INFINITE;
    }
    let exponent = (magnitude.to_bits() >> 23).max(127 - 14);
    // A power of two so large that the sum's last place is the half's: the sum rounds as we want it.
    let ruler = f32::from_bits((exponent + 13) << 23);
    let places = (magnitude + ruler).to_bits() - ruler.to_bits();
    // A rounded fraction of 2^11 carries into the exponent by itself.
    sign | (((exponent - (127 - 14)) << 10) + places) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users lose: vectors stored as halves, whose values would come back as others.
    #[test]
    fn every_half_survives_widening_and_narrowing() {
        for half in 0..=u16::MAX {
            let wide = widen(half);
            if half & MAGNITUDE > INFINITE {
                assert!(wide.is_nan() && narrow(wide) & MAGNITUDE > INFINITE);
            } else {
                assert_eq!(narrow(wide), half, "{half:#06x} is {wide}");
            }
        }
        assert_eq!((widen(0x3c00), widen(0xc000), widen(0x0001)), (1.0, -2.0, 2.0_f32.powi(-24)));
        assert_eq!((widen(0x7bff), widen(0xfc00)), (65_504.0, f32::NEG_INFINITY));
    }

    /// Users lose: recall, if vectors drift to one side when they are stored.
    #[test]
    fn narrowing_takes_the_nearest_and_the_even_of_two() {
        for half in 0..INFINITE - 1 {
            let (low, high) = (widen(half), widen(half + 1));
            let middle = (low + high) / 2.0;
            let even = if half % 2 == 0 { half } else { half + 1 };
            assert_eq!(narrow(middle), even);
            assert_eq!(narrow(-middle), even | 0x8000);
            assert_eq!(narrow(f32::from_bits(middle.to_bits() - 1)), half);
            assert_eq!(narrow(f32::from_bits(middle.to_bits() + 1)), half + 1);
        }
        for (number, half) in [(65_519.0, 0x7bff), (65_520.0, 0x7c00), (1e-9, 0), (f32::NEG_INFINITY, 0xfc00)]
        {
            assert_eq!(narrow(number), half);
        }
    }
}
