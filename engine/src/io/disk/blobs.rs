//! How are write-once objects kept as files?

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::calls::{sync_all, sync_data, sync_folder, sync_name};
use super::folders::is_absence;
use super::{Disk, failed, private};
use crate::io::{BlobStore, Erased, Mapped, Result, StorageError, StorageErrorKind, checks};

/// How many zeros are written at once.
const ZEROS_BYTES: usize = 256 * 1024;
static ZEROS: [u8; ZEROS_BYTES] = [0; ZEROS_BYTES];

impl BlobStore for Disk {
    fn create(&self, name: &str, pieces: &[&[u8]]) -> Result<()> {
        checks::check_object("create", name)?;
        let path = self.root.join(name);
        let refused = |e| failed("create", name, e);
        let folder = path.parent().unwrap_or(&self.root);
        self.folders.ensure(folder).map_err(refused)?;
        let file = private().write(true).create_new(true).open(&path).map_err(refused)?;
        fill(&file, pieces).and_then(|()| sync_folder(folder)).map_err(|e| {
            // The first failure is the one worth telling. What stays, or comes back in a power cut, must not
            // look whole: the caller goes on as if it had never been made.
            file.set_len(0).ok();
            self.folders.remove(&path).ok();
            refused(e)
        })
    }

    fn read(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>> {
        let file = self.open_object("read", name, false)?;
        let end = file.metadata().map_err(|e| failed("read", name, e))?.len();
        ranges.iter().map(|range| read_range(&file, name, range, end)).collect()
    }

    fn settle(&self, name: &str) -> Result<()> {
        let file = self.open_object("settle", name, false)?;
        let path = self.root.join(name);
        sync_all(&file).and_then(|()| sync_name(&path)).map_err(|e| failed("settle", name, e))
    }

    fn head(&self, name: &str) -> Result<Option<u64>> {
        checks::check_object("head", name)?;
        match fs::symlink_metadata(self.root.join(name)) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(e) if is_absence(&e) => Ok(None),
            Err(e) => Err(failed("head", name, e)),
        }
    }

    fn list_after(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let folder = checks::check_prefix(prefix)?;
        let mut page = Page { prefix, after, limit, names: BTreeSet::new() };
        page.collect(&self.root, folder).map_err(|e| failed("list", prefix, e))?;
        Ok(page.names.into_iter().collect())
    }

    fn delete(&self, name: &str) -> Result<bool> {
        checks::check_object("delete", name)?;
        let path = self.root.join(name);
        if path.is_dir() {
            return Ok(false);
        }
        self.folders.remove(&path).map_err(|e| failed("delete", name, e))
    }

    fn erase(&self, name: &str, range: Range<u64>) -> Result<Erased> {
        let file = self.open_object("erase", name, true)?;
        let refused = |e| failed("erase", name, e);
        let end = file.metadata().map_err(refused)?.len();
        checks::length_within("erase", name, &range, end)?;
        if range.is_empty() {
            return Ok(Erased { overwritten_bytes: 0, released: true });
        }
        overwrite(&file, &range).map_err(refused)?;
        let released = punch(&file, &range).map_err(refused)?;
        Ok(Erased { overwritten_bytes: range.end - range.start, released })
    }

    fn is_zero(&self, name: &str, range: Range<u64>) -> Result<bool> {
        let file = self.open_object("look at", name, false)?;
        let refused = |e| failed("look at", name, e);
        let end = file.metadata().map_err(refused)?.len();
        checks::length_within("look at", name, &range, end)?;
        sync_data(&file).and_then(|()| forget_pages(&file, &range)).map_err(refused)?;
        holds_zeros(&file, &range).map_err(refused)
    }

    fn map(&self, name: &str) -> Result<Mapped> {
        let file = self.open_object("map", name, false)?;
        Mapped::whole(&file).map_err(|e| failed("map", name, e))
    }
}

impl Disk {
    fn open_object(&self, what: &'static str, name: &str, write: bool) -> Result<File> {
        checks::check_object(what, name)?;
        let absent = || StorageError::new(what, name, StorageErrorKind::NotFound);
        let path = self.root.join(name);
        let file = match private().read(true).write(write).open(&path) {
            Ok(file) => file,
            Err(e) if is_absence(&e) || path.is_dir() => return Err(absent()),
            Err(e) => return Err(failed(what, name, e)),
        };
        let metadata = file.metadata().map_err(|e| failed(what, name, e))?;
        if metadata.is_file() { Ok(file) } else { Err(absent()) }
    }
}

fn fill(file: &File, pieces: &[&[u8]]) -> io::Result<()> {
    let mut offset = 0;
    for piece in pieces {
        file.write_all_at(piece, offset)?;
        offset += piece.len() as u64;
    }
    sync_all(file)
}

fn read_range(file: &File, name: &str, range: &Range<u64>, end: u64) -> Result<Vec<u8>> {
    let length_bytes = checks::length_within("read", name, range, end)?;
    let mut bytes = vec![0; length_bytes];
    file.read_exact_at(&mut bytes, range.start).map_err(|e| failed("read", name, e))?;
    Ok(bytes)
}

/// Writes zeros over a range and syncs them.
pub(super) fn overwrite(file: &File, range: &Range<u64>) -> io::Result<()> {
    let mut offset = range.start;
    while offset < range.end {
        let left_bytes = range.end - offset;
        let zeros = &ZEROS[..usize::try_from(left_bytes).map_or(ZEROS_BYTES, |n| n.min(ZEROS_BYTES))];
        file.write_all_at(zeros, offset)?;
        offset += zeros.len() as u64;
    }
    sync_data(file)
}

/// Lets the system forget what it remembers of a range, so that the next read asks the medium. Beginning at 0
/// and empty, the range stands for the whole file.
#[cfg(target_os = "linux")]
pub(super) fn forget_pages(file: &File, range: &Range<u64>) -> io::Result<()> {
    use rustix::fs::{Advice, fadvise};
    // Only pages that lie wholly in the range are forgotten. No system we know has larger ones.
    const PAGE_BYTES: u64 = 64 * 1024;
    let start = range.start - range.start % PAGE_BYTES;
    // No length means to the end of the file, which is where the last page ends at the latest.
    let length = range.end.checked_next_multiple_of(PAGE_BYTES).and_then(|end| NonZeroU64::new(end - start));
    Ok(fadvise(file, start, length, Advice::DontNeed)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn forget_pages(_file: &File, _range: &Range<u64>) -> io::Result<()> {
    Ok(())
}

fn holds_zeros(file: &File, range: &Range<u64>) -> io::Result<bool> {
    let mut buffer = vec![0; ZEROS_BYTES];
    let mut offset = range.start;
    while offset < range.end {
        let left_bytes = range.end - offset;
        let part = &mut buffer[..usize::try_from(left_bytes).map_or(ZEROS_BYTES, |n| n.min(ZEROS_BYTES))];
        file.read_exact_at(part, offset)?;
        if part.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        offset += part.len() as u64;
    }
    Ok(true)
}

/// Gives the blocks of a range back to the filesystem; `false` where it has no way to. The zeros are durable
/// by now, so a crash before the hole is synced brings nothing back.
#[cfg(target_os = "linux")]
fn punch(file: &File, range: &Range<u64>) -> io::Result<bool> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match fallocate(file, flags, range.start, range.end - range.start) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn punch(_file: &File, _range: &Range<u64>) -> io::Result<bool> {
    Ok(false)
}

/// The first `limit` names of a listing, found in whatever order the folders give them.
struct Page<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    limit: usize,
    names: BTreeSet<String>,
}

impl Page<'_> {
    /// Looks through a folder and those below it.
    fn collect(&mut self, root: &Path, folder: &str) -> io::Result<()> {
        let path: PathBuf = root.join(folder);
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(e) if is_absence(&e) => return Ok(()),
            Err(e) => return Err(e),
        };
        for entry in entries {
            let entry = entry?;
            let Ok(part) = entry.file_name().into_string() else { continue };
            let name = if folder.is_empty() { part } else { format!("{folder}/{part}") };
            if !name.starts_with(self.prefix) || self.is_outside(&name) || !checks::is_object(&name) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.collect(root, &name)?,
                Ok(kind) if kind.is_file() => self.offer(name),
                Ok(_) => {}
                Err(e) if is_absence(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Whether neither this name nor any that begins with it and a slash can be on the page, as far as is known: looking
    /// through many pages costs most where a folder is large.
    fn is_outside(&self, name: &str) -> bool {
        let is_before = self.after.is_some_and(|after| name < after && !after.starts_with(name));
        let last = self.names.last().filter(|_| self.names.len() == self.limit);
        is_before || last.is_some_and(|last| last.as_str() < name)
    }

    fn offer(&mut self, name: String) {
        if self.after.is_none_or(|after| name.as_str() > after) {
            self.names.insert(name);
            if self.names.len() > self.limit {
                self.names.pop_last();
            }
        }
    }
}
