//! How long is a vector, and can it be scored at all?

/// Lanes of the sum, as many as in a dot product.
const LANES: usize = 16;

/// The Euclidean length. Squares and their sum are taken in `f64`, so that no finite vector is too large or
/// too small for it; infinite only when the length itself is above `f32::MAX`.
pub fn norm(v: &[f32]) -> f32 {
    round(norm_f64(v))
}

/// Brings a vector to length 1 and answers the length it had. A zero vector stays as it is.
///
/// A vector with an element that isn't finite has no length: see [`is_finite`], which callers ask first.
pub fn normalize(v: &mut [f32]) -> f32 {
    let norm = norm_f64(v);
    if norm > 0.0 {
        for element in v.iter_mut() {
            *element = round(f64::from(*element) / norm);
        }
    }
    round(norm)
}

/// Whether no element is infinite or not a number.
pub fn is_finite(v: &[f32]) -> bool {
    // Looks at all of them: without an early end the loop becomes vector instructions.
    v.iter().fold(true, |all, element| all & element.is_finite())
}

fn norm_f64(v: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    for chunk in v.chunks(LANES) {
        for (lane, element) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(*element) * f64::from(*element);
        }
    }
    lanes.iter().sum::<f64>().sqrt()
}


fn round(x: f64) -> f32 {
    x as f32
}
