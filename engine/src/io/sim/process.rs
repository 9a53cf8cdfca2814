//! How does a process on the simulated machine reach its stores?

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use strongroom_format::keyring::SLOT_BYTES;

use super::lock;
use super::machine::{Call, Change, Machine};
use crate::io::{
    BlobStore, Clock, Entropy, Erased, LogFile, LogStore, Mapped, Result, SlotStore, StorageError,
    StorageErrorKind, Strength, checks,
};

/// A process. It dies with the machine's boot; its hold on the store ends with it.
pub(super) struct Process {
    machine: Arc<Mutex<Machine>>,
    number: u64,
    boot: u64,
}

impl Process {
    pub(super) fn start(machine: &Arc<Mutex<Machine>>) -> Process {
        let (number, boot) = lock(machine).start_process();
        Process { machine: machine.clone(), number, boot }
    }

    /// Begins one call: a step of the machine.
    fn step(&self, what: &'static str, name: &str) -> Result<Step<'_>> {
        let mut machine = lock(&self.machine);
        machine.count_step(self.boot).map_err(|kind| StorageError::new(what, name, kind))?;
        Ok(Step { machine, what, name: name.to_owned() })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut machine = lock(&self.machine);
        if machine.holder == Some(self.number) {
            machine.holder = None;
        }
    }
}

/// One call under way.
struct Step<'a> {
    machine: MutexGuard<'a, Machine>,
    what: &'static str,
    name: String,
}

impl Step<'_> {
    fn refuse<T>(&self, kind: StorageErrorKind) -> Result<T> {
        Err(StorageError::new(self.what, &self.name, kind))
    }

    fn change(&mut self, call: Call, changes: Vec<Change>) -> Result<()> {
        self.machine.carry_out(call, changes).or_else(|kind| self.refuse(kind))
    }

    /// A call that changes nothing may be struck all the same.
    fn look(&mut self) -> Result<()> {
        self.change(Call::Look, Vec::new())
    }

    /// The bytes of the file, once it is known to be there.
    fn bytes(&self) -> Result<&[u8]> {
        match self.machine.find(&self.name) {
            Some(object) => Ok(&object.bytes),
            None => self.refuse(StorageErrorKind::NotFound),
        }
    }

    /// All bytes of the file, or what a misdirected read answers in their place.
    fn read_whole(&mut self) -> Result<Vec<u8>> {
        self.bytes()?;
        self.change(Call::Read, Vec::new())?;
        let name = self.name.clone();
        self.machine.misdirect(&name).map_or_else(|| Ok(self.bytes()?.to_vec()), Ok)
    }

    fn make(&mut self, bytes: Vec<u8>, writer: Option<u64>) -> Result<()> {
        if !self.machine.is_vacant(&self.name) {
            return self.refuse(StorageErrorKind::Exists);
        }
        self.change(Call::Create, vec![Change::Make { name: self.name.clone(), bytes, writer }])
    }
}

impl BlobStore for Process {
    fn create(&self, name: &str, pieces: &[&[u8]]) -> Result<()> {
        checks::check_object("create", name)?;
        self.step("create", name)?.make(pieces.concat(), None)
    }

    fn read(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>> {
        checks::check_object("read", name)?;
        let mut step = self.step("read", name)?;
        step.bytes()?;
        step.change(Call::Read, Vec::new())?;
        let elsewhere = step.machine.misdirect(name);
        let bytes = elsewhere.as_deref().map_or_else(|| step.bytes(), Ok)?;
        let cut = |range: &Range<u64>| {
            let length_bytes = checks::length_within("read", name, range, bytes.len() as u64)?;
            Ok(bytes[index(range.end) - length_bytes..index(range.end)].to_vec())
        };
        ranges.iter().map(cut).collect()
    }

    fn settle(&self, name: &str) -> Result<()> {
        let mut step = self.step("settle", name)?;
        step.bytes()?;
        step.look()
    }

    fn head(&self, name: &str) -> Result<Option<u64>> {
        checks::check_object("head", name)?;
        let mut step = self.step("head", name)?;
        step.look()?;
        Ok(step.machine.find(name).map(|object| object.bytes.len() as u64))
    }

    fn list_after(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        checks::check_prefix(prefix)?;
        let mut step = self.step("list", prefix)?;
        step.look()?;
        let objects = step.machine.names(prefix).filter(|name| checks::is_object(name));
        let page = objects.filter(|name| after.is_none_or(|after| name.as_str() > after));
        Ok(page.take(limit).cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<bool> {
        checks::check_object("delete", name)?;
        let mut step = self.step("delete", name)?;
        let is_there = step.machine.find(name).is_some();
        step.change(Call::Remove, vec![Change::Remove { name: name.to_owned() }])?;
        Ok(is_there)
    }

    fn erase(&self, name: &str, range: Range<u64>) -> Result<Erased> {
        checks::check_object("erase", name)?;
        let mut step = self.step("erase", name)?;
        let length_bytes = checks::length_within("erase", name, &range, step.bytes()?.len() as u64)?;
        if length_bytes > 0 {
            let (offset, bytes) = (index(range.start), vec![0; length_bytes]);
            step.change(Call::Remove, vec![Change::Overwrite { name: name.to_owned(), offset, bytes }])?;
        }
        Ok(Erased { overwritten_bytes: length_bytes as u64, released: true })
    }

    fn is_zero(&self, name: &str, range: Range<u64>) -> Result<bool> {
        checks::check_object("look at", name)?;
        let mut step = self.step("look at", name)?;
        checks::length_within("look at", name, &range, step.bytes()?.len() as u64)?;
        step.look()?;
        Ok(step.bytes()?[index(range.start)..index(range.end)].iter().all(|byte| *byte == 0))
    }

    fn map(&self, name: &str) -> Result<Mapped> {
        checks::check_object("map", name)?;
        let mut step = self.step("map", name)?;
        step.read_whole().map(Mapped::owned)
    }
}

impl LogStore for Process {
    fn fence(&self) -> Result<()> {
        let mut step = self.step("fence", "lock")?;
        step.look()?;
        match step.machine.holder {
            Some(holder) if holder != self.number => step.refuse(StorageErrorKind::Locked),
            _ => {
                step.machine.holder = Some(self.number);
                Ok(())
            }
        }
    }

    fn begin(&self, file: LogFile) -> Result<()> {
        self.step("begin", &file.to_string())?.make(Vec::new(), Some(self.number))
    }

    fn append(&self, file: LogFile, bytes: &[u8]) -> Result<()> {
        let mut step = self.step_own("append", file)?;
        let (name, bytes) = (step.name.clone(), bytes.to_vec());
        step.change(Call::Append, vec![Change::Append { name, bytes }])
    }

    fn commit(&self, file: LogFile) -> Result<u64> {
        let mut step = self.step_own("commit", file)?;
        let name = step.name.clone();
        step.change(Call::Commit, vec![Change::Sync { name }])?;
        Ok(step.bytes()?.len() as u64)
    }

    fn list(&self) -> Result<Vec<LogFile>> {
        let mut step = self.step("list", "log")?;
        step.look()?;
        Ok(log_files(&step.machine))
    }

    fn replay(&self, file: LogFile) -> Result<Vec<u8>> {
        let mut step = self.step("replay", &file.to_string())?;
        let bytes = step.bytes()?.to_vec();
        let name = step.name.clone();
        step.change(Call::Look, vec![Change::Sync { name }])?;
        Ok(bytes)
    }

    fn truncate(&self, before: LogFile) -> Result<()> {
        let mut step = self.step("truncate", &before.to_string())?;
        let older = log_files(&step.machine).into_iter().filter(|file| *file < before);
        let changes = older.map(|file| Change::Remove { name: file.to_string() }).collect();
        step.change(Call::Remove, changes)
    }

    fn hold_reserve(&self) -> Result<()> {
        self.step("hold", "reserve")?.change(Call::Create, vec![Change::Hold])
    }

    fn release_reserve(&self) -> Result<bool> {
        let mut step = self.step("release", "reserve")?;
        let was_held = step.machine.is_reserve_held();
        step.change(Call::Remove, vec![Change::Release])?;
        Ok(was_held)
    }
}

impl Process {
    /// Begins a call to a log file that this process may append to.
    fn step_own(&self, what: &'static str, file: LogFile) -> Result<Step<'_>> {
        let step = self.step(what, &file.to_string())?;
        match step.machine.find(&step.name) {
            Some(object) if object.failed => step.refuse(StorageErrorKind::Other("it failed before".into())),
            Some(object) if object.writer == Some(self.number) => Ok(step),
            _ => step.refuse(StorageErrorKind::Other("this process didn't begin it".into())),
        }
    }
}

impl SlotStore for Process {
    fn read_mirror(&self, mirror: usize) -> Result<Mapped> {
        let name = checks::mirror_name("read", mirror)?;
        let mut step = self.step("read", name)?;
        step.look()?;
        let mut bytes = step.machine.find(name).map_or_else(Vec::new, |object| object.bytes.clone());
        bytes.truncate(bytes.len() - bytes.len() % SLOT_BYTES);
        Ok(Mapped::owned(bytes))
    }

    fn read_slots(&self, mirror: usize, first: u64, count: usize) -> Result<Vec<u8>> {
        let name = checks::mirror_name("read", mirror)?;
        let mut step = self.step("read", name)?;
        step.look()?;
        let bytes = step.machine.find(name).map_or(&[][..], |object| &object.bytes);
        let range = checks::slots_range(name, first, count, bytes.len() as u64)?;
        Ok(bytes[index(range.start)..index(range.end)].to_vec())
    }

    fn write_slots(&self, mirror: usize, first: u64, bytes: &[u8]) -> Result<()> {
        let name = checks::mirror_name("write", mirror)?;
        let offset = index(checks::slots_offset(name, first, bytes)?);
        let change = Change::Overwrite { name: name.to_owned(), offset, bytes: bytes.to_vec() };
        self.step("write", name)?.change(Call::WriteSlots, vec![change])
    }

    fn strength(&self) -> Strength {
        Strength::InPlace
    }
}

impl Clock for Process {
    fn now_ms(&self) -> u64 {
        lock(&self.machine).now_ms
    }
}

impl Entropy for Process {
    fn fill(&self, buffer: &mut [u8]) {
        lock(&self.machine).fill_with_entropy(buffer);
    }
}

/// The log files there are, in order.
fn log_files(machine: &Machine) -> Vec<LogFile> {
    let parse = |name: &String| {
        let (run, number) = name.strip_prefix("log/")?.split_once('/')?;
        Some(LogFile {
            run: u64::from_str_radix(run, 16).ok()?,
            number: u64::from_str_radix(number, 16).ok()?,
        })
    };
    machine.names("log/").filter_map(parse).collect()
}

/// Objects of the simulated machine lie in memory, so their offsets are indexes.
fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("the offset lies in memory")
}
