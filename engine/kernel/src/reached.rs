//! Where does a scan tell which rows may reach a floor?

use crate::coded::Bounds;

/// So many rows are told of at a time.
const TOGETHER: usize = 16;
/// There is room for so many at first.
const ROOM: usize = 16 * TOGETHER;

/// Rows that may reach a floor: the number of each, and what it may score.
#[derive(Debug, Default)]
pub struct Reached {
    /// Rising.
    pub numbers: Vec<u32>,
    /// Of each.
    pub bounds: Vec<Bounds>,
}

impl Reached {
    /// None.
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.bounds.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Leaves those alone that this is true of.
    pub fn retain(&mut self, mut stays: impl FnMut(u32, Bounds) -> bool) {
        let mut count = 0;
        for at in 0..self.len() {
            let (number, bounds) = (self.numbers[at], self.bounds[at]);
            (self.numbers[count], self.bounds[count]) = (number, bounds);
            count += usize::from(stays(number, bounds));
        }
        self.cut(count);
    }

    /// Room for sixteen rows behind so many.
    #[inline(always)]
    pub(crate) fn room(&mut self, count: usize) -> (&mut [u32; TOGETHER], &mut [Bounds; TOGETHER]) {
        if self.numbers.len() < count + TOGETHER || self.bounds.len() < count + TOGETHER {
            self.numbers.resize(2 * count + ROOM, 0);
            self.bounds.resize(2 * count + ROOM, Bounds::NONE);
        }
        let numbers = self.numbers[count..].first_chunk_mut().expect("room for sixteen more");
        (numbers, self.bounds[count..].first_chunk_mut().expect("room for sixteen more"))
    }

    /// Leaves the first ones alone.
    pub(crate) fn cut(&mut self, count: usize) {
        self.numbers.truncate(count);
        self.bounds.truncate(count);
    }
}
