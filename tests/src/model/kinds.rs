//! Which kinds of life are there?
//!
//! A life is a row of acts, drawn by weight. Each kind leans on something that goes wrong in its own way; which
//! kind a seed lives follows from the seed.

use strongroom_engine::StoreOptions;
use strongroom_engine::io::sim::Fault;

use super::world::SMALL;
use crate::chance::Chance;

/// What may happen next in a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// One document goes in.
    Put,
    /// Several do, wholly or not at all.
    PutMany,
    /// A document is replaced.
    Update,
    /// A document is deleted.
    Delete,
    /// A deleted one comes back.
    Restore,
    /// One goes for good.
    Purge,
    /// One search against brute force.
    Search,
    /// One partition is compared with the model.
    Look,
    /// A handle is taken, for later.
    Hold,
    /// A partition is dropped.
    Drop,
    /// A partition is held, or that is lifted.
    Keep,
    /// A partition is thrown away.
    ThrowAway,
    /// One comes back.
    BringBack,
    /// A partition gets another name.
    Rename,
    /// A document goes in for a request that is done once, and perhaps was done before.
    PutOnce,
    /// A partition is poured into another one.
    Pour,
    /// A workspace is dropped, with all that is in it.
    DropWorkspace,
    /// A workspace is made.
    CreateWorkspace,
    /// The host's jobs run, some or all.
    Maintain,
    /// The process stops in order.
    Stop,
    /// The process is killed.
    Kill,
    /// The power goes.
    PowerCut,
    /// One of the two, and faults strike while the store opens.
    HardOpening,
    /// A fault is planned, a few steps ahead.
    Fault,
    /// A shortage ends.
    MakeSpace,
    /// Days pass, or the clock is set back.
    Time,
    /// The whole store is compared with the model.
    Check,
}

const ACTS: [Act; 27] = [
    Act::Put,
    Act::PutMany,
    Act::Update,
    Act::Delete,
    Act::Restore,
    Act::Purge,
    Act::Search,
    Act::Look,
    Act::Hold,
    Act::Drop,
    Act::Keep,
    Act::ThrowAway,
    Act::BringBack,
    Act::Rename,
    Act::PutOnce,
    Act::Pour,
    Act::DropWorkspace,
    Act::CreateWorkspace,
    Act::Maintain,
    Act::Stop,
    Act::Kill,
    Act::PowerCut,
    Act::HardOpening,
    Act::Fault,
    Act::MakeSpace,
    Act::Time,
    Act::Check,
];

/// What a life leans on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A little of everything.
    Mixed,
    /// Many documents at once, up to more than one flush takes.
    Batches,
    /// It is stopped, killed and cut off all the time.
    Restless,
    /// Partitions and workspaces come and go, under the same few names.
    Churn,
    /// Several handles to each partition, some of them old.
    Handles,
    /// Memory for hardly one partition: they are closed and loaded again all the time.
    Cramped,
    /// The disk is full for long, and things are dropped meanwhile.
    Full,
    /// The medium fails and answers with the wrong bytes.
    Failing,
}

const KINDS: [Kind; 8] = [
    Kind::Mixed,
    Kind::Batches,
    Kind::Restless,
    Kind::Churn,
    Kind::Handles,
    Kind::Cramped,
    Kind::Full,
    Kind::Failing,
];

impl Kind {
    /// The kind that a seed lives.
    pub fn of(seed: u64) -> Kind {
        KINDS[usize::try_from(seed % KINDS.len() as u64).expect("a short list")]
    }

    /// How much memory the store may use.
    pub fn options(self) -> StoreOptions {
        match self {
            Kind::Cramped => StoreOptions { flush_bytes: 3 << 10, cache_bytes: 1 << 10, ..SMALL },
            Kind::Batches => StoreOptions { flush_bytes: 16 << 10, ..SMALL },
            // Small segments, which are merged often.
            Kind::Failing => StoreOptions { flush_bytes: 1 << 10, ..SMALL },
            _ => SMALL,
        }
    }

    /// How many documents a batch has at most.
    pub fn batch_max(self) -> usize {
        if self == Kind::Batches { 16 } else { 6 }
    }

    /// The next act.
    pub fn draw(self, chance: &mut Chance) -> Act {
        let sum = ACTS.iter().map(|act| self.weight(*act)).sum();
        let mut left = chance.below(sum);
        for act in ACTS {
            let weight = self.weight(act);
            if left < weight {
                return act;
            }
            left -= weight;
        }
        unreachable!("the weights sum up")
    }

    /// How likely an act is, beside the others of this kind.
    fn weight(self, act: Act) -> usize {
        match (self, act) {
            (Kind::Batches, Act::Put) => 20,
            (Kind::Batches, Act::PutMany) => 90,
            (Kind::Restless, Act::Stop | Act::Kill | Act::PowerCut) => 6,
            (Kind::Restless, Act::HardOpening) => 12,
            (Kind::Churn, Act::Drop) => 60,
            (Kind::Churn, Act::Purge) => 40,
            (Kind::Churn, Act::ThrowAway | Act::BringBack | Act::Rename | Act::Pour) => 24,
            (Kind::Churn, Act::DropWorkspace | Act::CreateWorkspace) => 12,
            (Kind::Handles, Act::Hold) => 40,
            (Kind::Handles, Act::Drop) => 20,
            (Kind::Cramped, Act::Maintain) => 60,
            (Kind::Full, Act::MakeSpace) => 6,
            (Kind::Full, Act::Fault) => 16,
            (Kind::Full, Act::Drop | Act::Purge) => 24,
            (Kind::Full, Act::DropWorkspace) => 9,
            (Kind::Failing, Act::Fault) => 24,
            (Kind::Failing, Act::Maintain) => 72,
            (_, act) => Kind::usual(act),
        }
    }

    fn usual(act: Act) -> usize {
        match act {
            Act::Put => 84,
            Act::PutMany => 16,
            Act::Update | Act::Delete => 36,
            Act::Restore => 24,
            Act::Search => 42,
            Act::Look => 12,
            Act::Maintain => 18,
            Act::Hold | Act::Drop => 9,
            Act::Keep | Act::ThrowAway | Act::BringBack => 6,
            Act::Rename => 4,
            Act::PutOnce => 12,
            Act::Pour => 4,
            Act::Purge => 8,
            Act::DropWorkspace | Act::CreateWorkspace => 3,
            Act::Stop | Act::Kill | Act::PowerCut | Act::HardOpening => 1,
            Act::Fault => 8,
            Act::MakeSpace => 6,
            Act::Time => 3,
            Act::Check => 2,
        }
    }

    /// What strikes next.
    pub fn fault(self, chance: &mut Chance) -> Fault {
        let faults: &[Fault] = match self {
            Kind::Full => &[Fault::Enospc, Fault::Enospc, Fault::Enospc, Fault::Crash, Fault::Eio],
            Kind::Failing => &[
                Fault::Eio,
                Fault::Eio,
                Fault::TornSlotWrite,
                Fault::LostAnswer,
                Fault::MisdirectedRead,
                Fault::MisdirectedRead,
                Fault::Crash,
            ],
            _ => &[
                Fault::Crash,
                Fault::Crash,
                Fault::Crash,
                Fault::Eio,
                Fault::Eio,
                Fault::Enospc,
                Fault::TornSlotWrite,
                Fault::LostAnswer,
                Fault::MisdirectedRead,
            ],
        };
        *chance.pick(faults)
    }
}
