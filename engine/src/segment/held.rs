//! Where does what was opened lie?
//!
//! On the heap, or in a room of large pages when it is as long as one; zeroized when it is dropped in either.

use crate::io::slab::{Plain, Room, Slab};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Elements that were opened together.
#[derive(Debug)]
pub(super) enum Held<T: Plain> {
    /// On the heap.
    Heap(Zeroizing<Vec<T>>),
    /// In large pages.
    Large(Room<T>),
}

impl<T: Plain> Held<T> {
    /// So many elements, all zero.
    pub(super) fn zero(slab: Option<&Arc<Slab>>, len: usize) -> Self {
        match slab.and_then(|slab| slab.room(len)) {
            Some(room) => Self::Large(room),
            None => Self::Heap(Zeroizing::new(vec![T::default(); len])),
        }
    }

    /// What it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Heap(elements) => elements.len() * size_of::<T>(),
            Self::Large(room) => room.bytes(),
        }
    }

    /// The number of the region that it lies in.
    pub(super) fn region(&self) -> Option<u32> {
        match self {
            Self::Heap(_) => None,
            Self::Large(room) => Some(room.region()),
        }
    }

    /// The same in another region that is there, if one has a room for it.
    pub(super) fn moved(&self, slab: &Arc<Slab>) -> Option<Self> {
        let mut room = slab.room_within(self.len())?;
        room.copy_from_slice(self);
        Some(Self::Large(room))
    }
}

impl<T: Plain> Deref for Held<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Heap(elements) => elements,
            Self::Large(room) => room,
        }
    }
}

impl<T: Plain> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Heap(elements) => elements,
            Self::Large(room) => room,
        }
    }
}
