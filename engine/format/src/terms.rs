//! On what terms is a partition kept?
//!
//! Whether it is held, whether it lies in the trash, and for how long it and what is put into it are kept. They stand in the
//! partition's [`Identity`](crate::record::Identity), under its own key, and are all zero for most partitions: those have none.

use crate::Damage;
use crate::wire::{Reader, Writer};

/// Terms as bytes: five times.
pub const TERMS_BYTES: usize = 40;

/// On what terms a partition is kept. Times are milliseconds since 1970, and none of them is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Terms {
    /// Since when it is held: nothing of it may go, and no time passes for what would expire.
    pub held_ms: Option<u64>,
    /// That it lies in the trash.
    pub trash: Option<Trash>,
    /// When it is gone with all that is in it.
    pub expires_ms: Option<u64>,
    /// How long documents are kept that are put into it and name no time of their own, in milliseconds.
    pub ttl_ms: Option<u64>,
}

/// That a partition lies in the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trash {
    /// Since when.
    pub since_ms: u64,
    /// From when on it is shredded. Not before `since_ms`.
    pub shred_ms: u64,
}

impl Terms {
    /// Whether they are those of most partitions.
    pub fn are_usual(&self) -> bool {
        *self == Self::default()
    }

    /// What time it is for what would expire: as long as it is held, the time at which that began.
    pub fn clock_ms(&self, now_ms: u64) -> u64 {
        self.held_ms.map_or(now_ms, |held_ms| held_ms.min(now_ms))
    }

    /// When it is to be shredded, if nothing keeps it until then.
    pub fn end_ms(&self) -> Option<u64> {
        let shred_ms = self.trash.map(|trash| trash.shred_ms);
        shred_ms.into_iter().chain(self.expires_ms).min().filter(|_| self.held_ms.is_none())
    }

    /// Whether its own time is over: it is as if it weren't there, and is to be shredded.
    pub fn are_over(&self, now_ms: u64) -> bool {
        self.end_ms().is_some_and(|end_ms| end_ms <= now_ms)
    }

    /// Whether it is there for reads and writes.
    pub fn serve(&self, now_ms: u64) -> bool {
        self.trash.is_none() && !self.are_over(now_ms)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        let time = |time: Option<u64>| time.unwrap_or(0);
        out.u64(time(self.held_ms));
        out.u64(time(self.trash.map(|trash| trash.since_ms)));
        out.u64(time(self.trash.map(|trash| trash.shred_ms)));
        out.u64(time(self.expires_ms)).u64(time(self.ttl_ms));
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, Damage> {
        let mut time = || input.u64().map(|time| Some(time).filter(|time| *time != 0));
        let (held_ms, since_ms, shred_ms, expires_ms, ttl_ms) = (time()?, time()?, time()?, time()?, time()?);
        let trash = match (since_ms, shred_ms) {
            (None, None) => None,
            (Some(since_ms), Some(shred_ms)) if shred_ms >= since_ms => Some(Trash { since_ms, shred_ms }),
            _ => return Err(Damage::new("Terms.shred", "a time not before that of the trash", "another")),
        };
        let terms = Self { held_ms, trash, expires_ms, ttl_ms };
        // Terms that say nothing are left out: there is one way to write each identity.
        if terms.are_usual() {
            return Err(Damage::new("Terms", "something", "nothing"));
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRASH: Trash = Trash { since_ms: 10, shred_ms: 20 };

    /// Lost otherwise: what a court asked to be kept would be shredded when its time is over, or what is thrown away would be
    /// kept for ever.
    #[test]
    fn time_passes_unless_it_is_held() {
        let trashed = Terms { trash: Some(TRASH), expires_ms: Some(30), ..Terms::default() };
        assert_eq!(trashed.end_ms(), Some(20));
        assert!(!trashed.serve(11) && !trashed.are_over(19) && trashed.are_over(20));
        let held = Terms { held_ms: Some(15), ..trashed };
        assert!(!held.serve(99) && !held.are_over(99));
        assert_eq!((held.clock_ms(99), held.clock_ms(12), trashed.clock_ms(99)), (15, 12, 99));
        let short = Terms { expires_ms: Some(30), ..Terms::default() };
        assert!(short.serve(29) && !short.serve(30));
        assert!(Terms { held_ms: Some(29), ..short }.serve(30));
    }

    /// Lost otherwise: a partition would come back held, or thrown away, that never was.
    #[test]
    fn they_come_back_as_they_were_and_nothing_else_does() {
        let read = |times: [u64; 5]| {
            let mut out = Writer::default();
            for time in times {
                out.u64(time);
            }
            Terms::read(&mut Reader::new("Terms", &out.0))
        };
        for terms in [
            Terms { held_ms: Some(1), ..Terms::default() },
            Terms { trash: Some(TRASH), ..Terms::default() },
            Terms { held_ms: Some(1), trash: Some(TRASH), expires_ms: Some(2), ttl_ms: Some(u64::MAX) },
        ] {
            let mut out = Writer::default();
            terms.write(&mut out);
            assert_eq!(out.0.len(), TERMS_BYTES);
            assert_eq!(Terms::read(&mut Reader::new("Terms", &out.0)), Ok(terms));
        }
        for wrong in [[0; 5], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [1, 2, 1, 0, 0]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
