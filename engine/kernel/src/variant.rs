//! Which kernels can this CPU run?

use crate::arch;

/// One implementation of the kernels. Having the value proves that the CPU can run it.
#[derive(Debug, Clone, Copy)]
pub struct Variant(Kind);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(arch::avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(arch::avx512::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(arch::neon::Neon),
}

impl Variant {
    /// The fastest variant for this CPU. Asks no more than a flag in memory.
    #[cfg(target_arch = "x86_64")]
    pub fn best() -> Variant {
        if let Some(avx512) = arch::avx512::Avx512::detect() {
            return Variant(Kind::Avx512(avx512));
        }
        Variant(arch::avx2::Avx2::detect().map_or(Kind::Portable, Kind::Avx2))
    }

    /// The fastest variant for this CPU. Asks no more than a flag in memory.
    #[cfg(target_arch = "aarch64")]
    pub fn best() -> Variant {
        Variant(arch::neon::Neon::detect().map_or(Kind::Portable, Kind::Neon))
    }

    /// The fastest variant for this CPU.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub fn best() -> Variant {
        Variant(Kind::Portable)
    }

    /// All variants that this CPU can run, for tests and measurements.
    pub fn all() -> Vec<Variant> {
        let mut all = vec![Kind::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(arch::avx2::Avx2::detect().map(Kind::Avx2));
            all.extend(arch::avx512::Avx512::detect().map(Kind::Avx512));
        }
        #[cfg(target_arch = "aarch64")]
        all.extend(arch::neon::Neon::detect().map(Kind::Neon));
        all.into_iter().map(Variant).collect()
    }

    /// The instruction set's name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "NEON",
        }
    }

    /// As [`dot`](crate::dot).
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "both vectors of a dot product have the same dimension");
        let mut score = [0.0];
        self.dot_rows(a, b, &mut score);
        score[0]
    }

    /// As [`dot_rows`](crate::dot_rows).
    pub fn dot_rows(self, query: &[f32], rows: &[f32], scores: &mut [f32]) {
        let elements = scores.len().checked_mul(query.len());
        assert_eq!(Some(rows.len()), elements, "there are as many rows as scores, each as long as the query");
        if query.is_empty() {
            scores.fill(0.0);
            return;
        }
        match self.0 {
            Kind::Portable => arch::portable::dot_rows(query, rows, scores),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(avx2) => avx2.dot_rows(query, rows, scores),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(avx512) => avx512.dot_rows(query, rows, scores),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(neon) => neon.dot_rows(query, rows, scores),
        }
    }
}
