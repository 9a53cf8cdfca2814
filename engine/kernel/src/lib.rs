//! Distances and scans.

/// Dot products of a query with consecutive rows.
pub fn dot_rows(query: &[f32], rows: &[f32], scores: &mut [f32]) {
    for (row, score) in rows.chunks_exact(query.len()).zip(scores) {
        *score = row.iter().zip(query).map(|(a, b)| a * b).sum();
    }
}
/// Whether all are finite.
pub fn is_finite(v: &[f32]) -> bool {
    v.iter().all(|x| x.is_finite())
}
/// Length 1.
pub fn normalize(v: &mut [f32]) -> f32 {
    let n = v.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if n > 0.0 {
        for x in v.iter_mut() {
            *x = (f64::from(*x) / n) as f32;
        }
    }
    n as f32
}
