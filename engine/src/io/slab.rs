//! Where do rows lie that are open, so that a search that reads many of them waits little for addresses?
//!
//! In memory that asks for large pages: *regions* as long and aligned as one such page, each cut into *rooms* of one size.
//! Where the system has none to give, or refuses to be asked, a region has small pages and everything else holds.
//!
//! Invariants:
//! 1. A unit of a region is free, or in one [`Room`]; a room's units are freed by its drop alone, after it was zeroized.
//! 2. A region is mapped as long as one of its units is in a room; with the last one it is the system's again.
//! 3. What is not in a room is zero.
//!
//! Concurrency: rooms are made and dropped from any thread; one lock keeps the books, and is held for as long as that takes.
#![allow(unsafe_code)]

use super::lock;
use memmap2::{MmapMut, MmapRaw};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use zerocopy::FromZeros;
use zeroize::{DefaultIsZeroes, Zeroize};

/// How long a large page is, and a region.
pub(crate) const REGION_BYTES: usize = 2 << 20;
/// Rooms are whole units of this.
const UNIT_BYTES: usize = 16 << 10;
/// A room has so many at most.
const UNITS_MAX: usize = 4;
const REGION_UNITS: usize = REGION_BYTES / UNIT_BYTES;
/// Of a room, at least so many quarters are used: what would leave more of it empty belongs on the heap.
const QUARTERS_USED_MIN: usize = 3;

/// What rooms hold: plain numbers, for which zeros stand.
pub(crate) trait Plain: FromZeros + DefaultIsZeroes + Send + Sync {}

impl<T: FromZeros + DefaultIsZeroes + Send + Sync> Plain for T {}

/// Regions, and what is free in them.
#[derive(Debug, Default)]
pub(crate) struct Slab {
    books: Mutex<Books>,
    /// What of mapped regions is in no room, in bytes.
    spare_bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Books {
    /// By number; there are numbers without a region.
    regions: Vec<Option<Region>>,
    /// For rooms of so many units: no region below this number has one that is free.
    from: [usize; UNITS_MAX + 1],
}

#[derive(Debug)]
struct Region {
    map: MmapRaw,
    /// Where in the map the large page begins.
    skipped: usize,
    /// Units of each of its rooms.
    units: usize,
    /// A bit for each room.
    free: u128,
    /// Whether rooms are still made here.
    open: bool,
}

impl Region {
    /// A region of zeros.
    fn map(units: usize) -> Option<Self> {
        // The system tends to answer one region right below the last one, and so aligned once one was.
        let mut map = MmapRaw::from(MmapMut::map_anon(REGION_BYTES).ok()?);
        let mut skipped = map.as_ptr().align_offset(REGION_BYTES);
        if skipped != 0 {
            map = MmapRaw::from(MmapMut::map_anon(2 * REGION_BYTES).ok()?);
            skipped = map.as_ptr().align_offset(REGION_BYTES);
        }
        // Refused where the kernel was built without them: then pages are small.
        #[cfg(target_os = "linux")]
        map.advise_range(memmap2::Advice::HugePage, skipped, REGION_BYTES).ok();
        let rooms = REGION_UNITS / units;
        Some(Self { map, skipped, units, free: u128::MAX >> (128 - rooms), open: true })
    }

    /// How many rooms it is cut into.
    fn rooms(&self) -> usize {
        REGION_UNITS / self.units
    }

    fn used(&self) -> usize {
        self.rooms() - self.free.count_ones() as usize
    }

    fn has_room(&self, units: usize) -> bool {
        self.open && self.units == units && self.free != 0
    }
}

/// How many units so many bytes take, if they fill them.
fn units(bytes: usize) -> Option<usize> {
    let units = bytes.div_ceil(UNIT_BYTES);
    let fills = bytes * 4 >= units * UNIT_BYTES * QUARTERS_USED_MIN;
    (units > 0 && units <= UNITS_MAX && fills).then_some(units)
}

impl Slab {
    /// A room of so many elements, all zero. None for what wouldn't fill one, and where the system gives no memory.
    pub(crate) fn room<T: Plain>(self: &Arc<Self>, len: usize) -> Option<Room<T>> {
        self.take(len, true)
    }

    /// The same, in a region that is there.
    pub(crate) fn room_within<T: Plain>(self: &Arc<Self>, len: usize) -> Option<Room<T>> {
        self.take(len, false)
    }

    fn take<T: Plain>(self: &Arc<Self>, len: usize, may_map: bool) -> Option<Room<T>> {
        const { assert!(align_of::<T>() <= UNIT_BYTES) };
        let units = units(len * size_of::<T>())?;
        let mut books = lock(&self.books);
        let from = books.from[units];
        let known = books
            .regions
            .iter()
            .skip(from)
            .position(|region| region.as_ref().is_some_and(|region| region.has_room(units)));
        let number = match known {
            Some(at) => from + at,
            None if may_map => {
                let region = Region::map(units)?;
                self.spare_bytes.fetch_add(REGION_BYTES, Ordering::Relaxed);
                books.place(region)
            }
            None => return None,
        };
        books.from[units] = number;
        let region = books.regions[number].as_mut().expect("a region that was found or placed");
        let place = region.free.trailing_zeros() as usize;
        region.free &= !(1 << place);
        self.spare_bytes.fetch_sub(units * UNIT_BYTES, Ordering::Relaxed);
        let offset = region.skipped + place * units * UNIT_BYTES;
        // SAFETY: the map is at least `skipped` and a region long, and `place` is one of the region's rooms, so the
        // offset lies within.
        let at = NonNull::new(unsafe { region.map.as_mut_ptr().add(offset) })?.cast();
        drop(books);
        Some(Room { slab: Arc::clone(self), region: number as u32, place: place as u32, len, at })
    }

    fn free(&self, number: u32, place: u32) {
        let number = number as usize;
        let mut books = lock(&self.books);
        let region = books.regions[number].as_mut().expect("the region of a room");
        region.free |= 1 << place;
        let units = region.units;
        let is_empty = region.used() == 0;
        self.spare_bytes.fetch_add(units * UNIT_BYTES, Ordering::Relaxed);
        books.from[units] = books.from[units].min(number);
        let empty = if is_empty { books.regions[number].take() } else { None };
        if empty.is_some() {
            self.spare_bytes.fetch_sub(REGION_BYTES, Ordering::Relaxed);
            while books.regions.pop_if(|last| last.is_none()).is_some() {}
        }
        drop(books);
        // Unmapped here, where nobody waits for the books.
        drop(empty);
    }

    /// What of mapped regions is in no room, in bytes.
    pub(crate) fn spare_bytes(&self) -> usize {
        self.spare_bytes.load(Ordering::Relaxed)
    }

    /// Closes the regions with the fewest rooms, as many as would halve what is spare if these rooms moved into the others: no
    /// room is made in them any more, and when the last one is dropped they are gone. Answers their numbers.
    pub(crate) fn close_sparse(&self) -> Vec<u32> {
        let mut books = lock(&self.books);
        let mut order: Vec<(usize, usize)> = Vec::new();
        let (mut free, mut spare_units) = ([0; UNITS_MAX + 1], 0);
        for (number, region) in books.regions.iter().enumerate() {
            if let Some(region) = region.as_ref().filter(|region| region.open) {
                order.push((region.used() * region.units, number));
                spare_units += REGION_UNITS - region.used() * region.units;
                free[region.units] += region.rooms() - region.used();
            }
        }
        order.sort_unstable();
        let count = (spare_units / REGION_UNITS).div_ceil(2);
        let mut closed = Vec::new();
        for (_, number) in order {
            if closed.len() == count {
                break;
            }
            let Some(region) = &mut books.regions[number] else { continue };
            let (units, used) = (region.units, region.used());
            // Its own free rooms are not for its own.
            let left = free[units] - (region.rooms() - used);
            if left >= used {
                free[units] = left - used;
                region.open = false;
                closed.push(number as u32);
            }
        }
        closed.sort_unstable();
        closed
    }
}

impl Books {
    fn place(&mut self, region: Region) -> usize {
        match self.regions.iter().position(Option::is_none) {
            Some(number) => {
                self.regions[number] = Some(region);
                number
            }
            None => {
                self.regions.push(Some(region));
                self.regions.len() - 1
            }
        }
    }
}

/// Elements that lie in a region; zeroized when they are dropped.
pub(crate) struct Room<T: Plain> {
    slab: Arc<Slab>,
    region: u32,
    place: u32,
    len: usize,
    at: NonNull<T>,
}

// SAFETY: a room owns its elements, as a vector does: nobody else has its units (invariant 1), and what it shares with
// other rooms is behind the slab's lock.
unsafe impl<T: Plain> Send for Room<T> {}
// SAFETY: a shared room gives out shared elements alone.
unsafe impl<T: Plain> Sync for Room<T> {}

impl<T: Plain> Room<T> {
    /// What it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        (self.len * size_of::<T>()).div_ceil(UNIT_BYTES) * UNIT_BYTES
    }

    /// The number of its region.
    pub(crate) fn region(&self) -> u32 {
        self.region
    }
}

impl<T: Plain> Deref for Room<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: from `at` on, which is aligned to a unit, `len` elements lie in this room's units: mapped as long as the
        // room lives (invariant 2), zero or written as elements (zeros are elements, `FromZeros`), and nobody else's
        // (invariant 1), so that what this borrow of the room forbids is forbidden to all.
        unsafe { slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl<T: Plain> DerefMut for Room<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and this borrow is the only one of the only room that has these units.
        unsafe { slice::from_raw_parts_mut(self.at.as_ptr(), self.len) }
    }
}

impl<T: Plain> Drop for Room<T> {
    fn drop(&mut self) {
        self.zeroize();
        self.slab.free(self.region, self.place);
    }
}

/// Says how long it is: the elements may be a tenant's.
impl<T: Plain> fmt::Debug for Room<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({} elements)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(slab: &Slab) -> usize {
        lock(&slab.books).regions.iter().flatten().count()
    }

    /// Without this, one tenant's rows would be scored as another's, or be read where they were.
    #[test]
    fn rooms_hold_what_is_put_there_and_nothing_of_before() {
        let slab = Arc::new(Slab::default());
        let lengths = [16_384, 12_288, 32_000, 49_152, 65_400, 65_536];
        for turn in 0..3_u8 {
            let mut rooms: Vec<Room<u8>> = Vec::new();
            for number in 0..300 {
                let mut room = slab.room::<u8>(lengths[number % lengths.len()]).expect("a room");
                assert_eq!(room.as_ptr().align_offset(UNIT_BYTES), 0);
                assert!(room.iter().all(|byte| *byte == 0), "turn {turn}: what was there is gone");
                room.fill(number as u8 ^ turn);
                rooms.push(room);
                // Some go while others come.
                if number % 3 == 0 {
                    rooms.swap_remove(number / 3);
                }
            }
            let mut spans: Vec<(usize, usize)> =
                rooms.iter().map(|room| (room.as_ptr().addr(), room.bytes())).collect();
            spans.sort_unstable();
            assert!(spans.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "no two share a byte");
            for room in &rooms {
                assert!(room.iter().all(|byte| *byte == room[0]), "what was put there stays");
            }
            let taken: usize = rooms.iter().map(Room::bytes).sum();
            assert_eq!(taken + slab.spare_bytes(), regions(&slab) * REGION_BYTES);
        }
        assert_eq!((regions(&slab), slab.spare_bytes()), (0, 0), "the system has all of it again");
    }

    /// Without this, a partition of a few rows would take a large page.
    #[test]
    fn what_would_not_fill_a_room_gets_none() {
        let slab = Arc::new(Slab::default());
        for (bytes, fits) in [
            (0, false),
            (12_287, false),
            (12_288, true),
            (16_385, false),
            (33_000, false),
            (36_864, true),
            (65_536, true),
            (65_537, false),
            (1 << 30, false),
        ] {
            assert_eq!(slab.room::<u8>(bytes).is_some(), fits, "{bytes} bytes");
        }
        assert!(slab.room::<f32>(12_288).is_some_and(|room| room.bytes() == 49_152));
    }

    /// Without this, what is left of a busy time would never move together, or move to where it was.
    #[test]
    fn regions_that_are_closed_take_no_more_rooms() {
        let slab = Arc::new(Slab::default());
        let mut rooms: Vec<Room<f32>> = (0..420).filter_map(|_| slab.room(12_288)).collect();
        assert_eq!((rooms.len(), regions(&slab)), (420, 10));
        assert!(slab.close_sparse().is_empty(), "they are full");
        let mut number = 0;
        rooms.retain(|_| {
            number += 1;
            number % 6 == 0
        });
        assert_eq!(regions(&slab), 10);
        let closed = slab.close_sparse();
        assert_eq!(closed.len(), 4, "8 regions and more are spare");
        let more: Vec<Room<f32>> = (0..300).filter_map(|_| slab.room_within(12_288)).collect();
        assert_eq!(more.len(), 6 * 35, "there is room in the others");
        assert!(slab.room_within::<f32>(12_288).is_none(), "and no more");
        assert!(more.iter().all(|room| !closed.contains(&room.region())));
        rooms.retain(|room| !closed.contains(&room.region()));
        assert_eq!(regions(&slab), 6, "what is empty is gone");
    }

    /// Without this, two searches that open groups at once could be given the same room.
    #[test]
    fn rooms_are_apart_whoever_asks() {
        let slab = Arc::new(Slab::default());
        std::thread::scope(|threads| {
            for thread in 0..4_u8 {
                let slab = &slab;
                threads.spawn(move || {
                    let mut rooms = std::collections::VecDeque::new();
                    for _ in 0..500 {
                        let mut room = slab.room::<u8>(16_384).expect("a room");
                        assert!(room.iter().all(|byte| *byte == 0));
                        room.fill(thread + 1);
                        rooms.push_back(room);
                        if rooms.len() > 20 {
                            let room = rooms.pop_front().expect("the oldest");
                            assert!(room.iter().all(|byte| *byte == thread + 1));
                        }
                    }
                });
            }
        });
        assert_eq!(regions(&slab), 0);
    }
}
