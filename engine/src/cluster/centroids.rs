//! What stands in the middle of each list, and how near is a vector to it?

use strongroom_kernel::{Metric, Variant, normalize};

/// The middles of lists. Those of neighbouring numbers tend to be near each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Centroids {
    metric: Metric,
    dimension: usize,
    /// One behind the other.
    vectors: Vec<f32>,
    /// What is taken from each product: half the squared length, or nothing.
    biases: Vec<f32>,
}

impl Centroids {
    /// From vectors that lie one behind the other, as [`vectors`](Self::vectors) gave them. For inner products each
    /// has length 1, or 0.
    ///
    /// # Panics
    /// When the vectors are not all as long as the dimension, or it is 0.
    pub fn new(metric: Metric, dimension: usize, vectors: Vec<f32>) -> Self {
        assert!(vectors.len().is_multiple_of(dimension), "all centroids have the dimension");
        let half_square = |vector: &[f32]| match metric {
            Metric::InnerProduct => 0.0,
            Metric::SquaredDistance => Variant::best().dot(vector, vector) / 2.0,
        };
        let biases = vectors.chunks_exact(dimension).map(half_square).collect();
        Self { metric, dimension, vectors, biases }
    }

    /// From the means of rows, as Lloyd's rounds leave them.
    pub(super) fn of_means(metric: Metric, dimension: usize, mut means: Vec<f32>) -> Self {
        if metric == Metric::InnerProduct {
            for mean in means.chunks_exact_mut(dimension) {
                normalize(mean);
            }
        }
        Self::new(metric, dimension, means)
    }

    /// How many lists there are.
    pub fn lists(&self) -> usize {
        self.biases.len()
    }

    /// Components of each centroid.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// What the lists are near by.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// All centroids, one behind the other: what is to be stored.
    pub fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// One of them.
    pub(super) fn vector(&self, list: u32) -> &[f32] {
        &self.vectors[list as usize * self.dimension..][..self.dimension]
    }

    /// So many lists, those about one of them by how near their centroids are to its own, which is among them.
    pub(super) fn about(&self, list: u32, count: usize) -> Vec<u32> {
        let mut scores = vec![0.0; self.lists()];
        self.score(self.vector(list), &mut scores);
        let mut about: Vec<u32> = (0..scores.len() as u32).collect();
        let nearer =
            |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then_with(|| a.cmp(b));
        if about.len() > count {
            about.select_nth_unstable_by(count - 1, nearer);
            about.truncate(count);
        }
        about
    }

    /// Half the squared length of each centroid, or nothing for inner products.
    pub(super) fn biases(&self) -> &[f32] {
        &self.biases
    }

    /// How near each list is to a query, the greater the nearer. A score says nothing about the scores of rows.
    ///
    /// # Panics
    /// When there are not as many scores as lists, or the query has another dimension.
    pub fn score(&self, query: &[f32], scores: &mut [f32]) {
        Variant::best().dot_rows(query, &self.vectors, scores);
        for (score, bias) in scores.iter_mut().zip(&self.biases) {
            *score -= bias;
        }
    }

    /// How near one list is to a row.
    pub(super) fn score_one(&self, row: &[f32], list: u32) -> f32 {
        Variant::best().dot(row, self.vector(list)) - self.biases[list as usize]
    }
}
