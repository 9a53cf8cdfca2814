//! What would the store do on a machine whose power, disk and time are in the test's hand?
//!
//! A [`Sim`] is one machine: its medium, its clock, its randomness. A [`Medium`] taken from it stands for one
//! process. The same seed and the same calls give the same bytes, faults included.
//!
//! The model of the medium, which is harsher than the local disk where a disk may be harsh:
//! 1. What a call did is durable once it returns `Ok`. What was appended and neither committed nor replayed
//!    survives its process, and is lost in a power cut: as a whole, from some sector on, or sector by sector
//!    in any choice. What a commit failed on is lost in the same way as soon as its process ends.
//! 2. A call that the power cut interrupts has happened not at all, partly or wholly. Sectors of 512 bytes are
//!    written whole; their order is open. A name may be lost with its bytes. `truncate` goes from the oldest
//!    file to the newest.
//! 3. A name that was published is never free again, not even after it was deleted.
//! 4. The reserve is no file here: it is held or it isn't, also after a power cut.
//! 5. Deleting leaves the bytes on the medium, see [`Sim::residue`]; overwriting leaves nothing.
//!
//! Concurrency: one lock around the machine. It is for tests, which run step by step.

pub mod defects;
mod machine;
mod process;
mod space;
mod tear;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Medium;
use machine::Machine;
use process::Process;

/// What the machine does wrong. Every call to a store is a step; see [`Sim::fail_after`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The power goes in the midst of the call. Every later call fails until [`Sim::restart`].
    Crash,
    /// The call fails and has no effect. After a failed commit the file refuses whatever follows.
    Eio,
    /// From this call on every call that has to change the medium fails and has no effect, until [`Sim::mend`],
    /// also after a restart. Reading goes on; so does replaying what is durable.
    StuckEio,
    /// From this call on nothing can grow, until [`Sim::make_space`]. Reading, deleting and overwriting go on.
    /// A reserve that is released meanwhile is room for as many bytes, and for 4,096 fewer with each new name.
    Enospc,
    /// Waits for a call to `write_slots`, which fails after writing up to some byte, even within a sector.
    TornSlotWrite,
    /// Waits for a call to `commit`, `delete`, `erase`, `release_reserve`, `truncate` or `write_slots`, which
    /// fails after it has done all.
    LostAnswer,
    /// Waits for a call to `BlobStore::read` or `map`, which answers bytes from elsewhere, of the right length.
    MisdirectedRead,
}

/// A simulated machine. Clones are the same machine.
#[derive(Clone)]
pub struct Sim {
    machine: Arc<Mutex<Machine>>,
}

impl Sim {
    /// A machine with an empty medium, switched on, whose chances and randomness follow from the seed.
    pub fn new(seed: u64) -> Sim {
        Sim { machine: Arc::new(Mutex::new(Machine::new(seed))) }
    }

    /// A new process on this machine. Several may live at a time; the fence tells them apart.
    pub fn medium(&self) -> Medium {
        let process = Arc::new(Process::start(&self.machine));
        Medium {
            blobs: process.clone(),
            log: process.clone(),
            slots: process.clone(),
            clock: process.clone(),
            entropy: process,
        }
    }

    /// Cuts the power: what was not durable is lost or torn, every process dies.
    pub fn crash(&self) {
        self.lock().cut_power();
    }

    /// Switches the machine on, and starts a process. If it was running, its processes are killed first, as
    /// with `kill -9`: what they appended stays.
    pub fn restart(&self) -> Medium {
        self.lock().boot();
        self.medium()
    }

    /// Lets `steps` more calls through and then has the fault strike the first call it fits. Calls that are
    /// refused for a reason of their own are counted but not struck.
    pub fn fail_after(&self, steps: u64, fault: Fault) {
        self.lock().plan(steps, fault);
    }

    /// Ends the shortage that [`Fault::Enospc`] began.
    pub fn make_space(&self) {
        self.lock().make_space();
    }

    /// Ends what [`Fault::StuckEio`] began.
    pub fn mend(&self) {
        self.lock().mend();
    }

    /// Another machine with the same medium, clock and chances, as if this one's had been copied while its
    /// processes were killed: what they appended is there, nobody holds the store. It is switched on, counts
    /// its steps on from here, and none of the faults planned here strike there. From then on neither changes
    /// the other.
    pub fn snapshot(&self) -> Sim {
        Sim { machine: Arc::new(Mutex::new(self.lock().copy())) }
    }

    /// How many calls to the stores reached the machine while it was on.
    pub fn steps(&self) -> u64 {
        self.lock().steps()
    }

    /// Whether the machine is on. It goes off by [`Sim::crash`] and by [`Fault::Crash`].
    pub fn is_on(&self) -> bool {
        self.lock().is_on()
    }

    /// Flips one bit (0 to 7) of one byte on the medium.
    ///
    /// # Panics
    /// When there is no such byte.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) {
        self.lock().damage(name, |bytes| {
            let index = usize::try_from(offset).unwrap_or(usize::MAX);
            let byte = bytes.get_mut(index).filter(|_| bit < 8);
            let Some(byte) = byte else { panic!("no bit {bit} of byte {offset} in {name}") };
            *byte ^= 1 << bit;
        });
    }

    /// Puts these bytes in the place of a file's, durably: another file's, or an older copy of its own.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn files_set(&self, name: &str, bytes: &[u8]) {
        self.lock().damage(name, |old| *old = bytes.to_vec());
    }

    /// Cuts a file to its first `bytes_len` bytes, durably.
    ///
    /// # Panics
    /// When there is no such file, or when it is shorter.
    pub fn truncate_file(&self, name: &str, bytes_len: u64) {
        self.lock().damage(name, |bytes| match usize::try_from(bytes_len) {
            Ok(end) if end <= bytes.len() => bytes.truncate(end),
            _ => panic!("{name} has {} bytes, not {bytes_len}", bytes.len()),
        });
    }

    /// All files with their bytes as readers see them: objects by name, `log/…` and `keyring/…`, sorted.
    /// After a crash this is the durable image.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        self.lock().files()
    }

    /// What a thief finds beside the files: the bytes of all that was deleted, oldest first.
    pub fn residue(&self) -> Vec<(String, Vec<u8>)> {
        self.lock().residue()
    }

    /// Lets time pass.
    pub fn advance_ms(&self, ms: u64) {
        let mut machine = self.lock();
        machine.now_ms = machine.now_ms.saturating_add(ms);
    }

    /// Sets the clock, backwards too.
    pub fn set_now_ms(&self, now_ms: u64) {
        self.lock().now_ms = now_ms;
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }
}

/// A test that panicked beside us leaves the machine as whole as a crash would.
fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}
