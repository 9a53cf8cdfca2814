//! What would users lose if a damaged log were read wrongly?

use super::super::recovery::Recovered;
use super::*;
use crate::io::Result as IoResult;
use std::collections::BTreeMap;
use strongroom_format::Damage;
use strongroom_format::log::{BatchHeader, DirectoryEntry, START_COPY};

/// The files of a log, to be damaged at will and read.
#[derive(Clone)]
struct Image(BTreeMap<LogFile, Vec<u8>>);

impl LogStore for Image {
    fn fence(&self) -> IoResult<()> {
        unreachable!("it is only read")
    }
    fn begin(&self, _: LogFile) -> IoResult<()> {
        unreachable!("it is only read")
    }
    fn append(&self, _: LogFile, _: &[u8]) -> IoResult<()> {
        unreachable!("it is only read")
    }
    fn commit(&self, _: LogFile) -> IoResult<u64> {
        unreachable!("it is only read")
    }
    fn list(&self) -> IoResult<Vec<LogFile>> {
        Ok(self.0.keys().copied().collect())
    }
    fn replay(&self, file: LogFile) -> IoResult<Vec<u8>> {
        Ok(self.0[&file].clone())
    }
    fn truncate(&self, _: LogFile) -> IoResult<()> {
        unreachable!("it is only read")
    }
    fn hold_reserve(&self) -> IoResult<()> {
        unreachable!("it is only read")
    }
    fn release_reserve(&self) -> IoResult<bool> {
        unreachable!("it is only read")
    }
}

/// All that is told of a record.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    file_id: [u8; 16],
    incarnation: [u8; 16],
    name_tag: [u8; 16],
    record: u64,
    kind: RecordKind,
    sealed: Result<Vec<u8>, Damage>,
}

impl Image {
    fn read_from(&self, floor: LogFile) -> Result<(Recovered, Vec<Told>), Fault> {
        let mut told = Vec::new();
        let recovered = Recovery::find(self, floor)?.visit(|file_id, found| {
            told.push(Told {
                file_id: *file_id,
                incarnation: found.incarnation,
                name_tag: found.name_tag,
                record: found.record,
                kind: found.kind,
                sealed: found.sealed.clone().map(<[u8]>::to_vec),
            });
            Ok(())
        })?;
        Ok((recovered, told))
    }

    fn read(&self) -> Result<(Recovered, Vec<Told>), Fault> {
        self.read_from(FIRST)
    }

    fn damage(&self) -> Damage {
        match self.read() {
            Err(Fault::Damaged(damage)) => damage,
            other => panic!("damage that nobody noticed: {other:?}"),
        }
    }

    fn bytes(&mut self, file: LogFile) -> &mut Vec<u8> {
        self.0.get_mut(&file).unwrap()
    }

    fn newest(&self) -> LogFile {
        *self.0.keys().last().unwrap()
    }
}

/// A batch of the log: where it lies, and where its records' bytes do.
struct Laid {
    file: LogFile,
    begins: usize,
    ends: usize,
    body: std::ops::Range<usize>,
    /// The number of its first record.
    first: u64,
    records: usize,
}

/// Three files of two runs, two batches in each, of one and three records of three partitions.
fn some_log() -> (Image, Vec<Laid>) {
    let sim = Sim::new(30);
    let mut batches = Vec::new();
    for (run, rotations) in [(1, 2), (2, 1)] {
        let (log, _) = begin(&sim.restart());
        for number in 0..rotations {
            let file = LogFile { run, number };
            for records in [1, 3] {
                let (begins, first) = (log.file_bytes() as usize, log.next_record());
                let mut last = None;
                for whose in 0..records {
                    // One batch in the midst of it all is longer than what they are aligned to.
                    let text = format!("{first} of {whose} ").repeat(if begins == ALIGN && number == 1 {
                        500
                    } else {
                        9
                    });
                    let at = log.reserve(1, Urgency::Write).unwrap();
                    let put = record(whose as u8, at.first_record, RecordKind::Put, &text);
                    last = log.enqueue(&at, vec![put], Urgency::Write).unwrap();
                }
                log.wait(&last.unwrap()).unwrap();
                let body = begins + BatchHeader::BYTES + records * DirectoryEntry::BYTES;
                let ends = log.file_bytes() as usize;
                batches.push(Laid { file, begins, ends, body: body..0, first, records });
            }
            if number + 1 < rotations {
                log.rotate().unwrap();
            }
        }
        sim.crash();
    }
    let store = sim.restart().log;
    let files = store.list().unwrap().into_iter();
    let image = Image(files.map(|file| (file, store.replay(file).unwrap())).collect());
    let (_, told) = image.read().unwrap();
    for batch in &mut batches {
        let bytes: usize = of(&told, batch).iter().map(|told| told.sealed.as_ref().unwrap().len()).sum();
        batch.body.end = batch.body.start + bytes;
    }
    (image, batches)
}

/// The records of a batch.
fn of<'a>(told: &'a [Told], batch: &Laid) -> &'a [Told] {
    let at = told.iter().position(|told| told.record == batch.first).unwrap();
    &told[at..at + batch.records]
}

/// Without this, one damaged byte would cost more than the record it lies in: documents of other partitions,
/// or the whole store. Or it would cost something and nobody would be told. What may be lost in silence is
/// the very last batch, whose damage looks like a torn write; and only if it hits the sealed bytes themselves.
#[test]
fn each_byte_flipped_costs_its_own_record_at_most() {
    let (image, batches) = some_log();
    let (whole, told) = image.read().unwrap();
    assert_eq!((image.0.len(), told.len(), &whole.notes), (3, 12, &Vec::new()));
    let last = batches.last().unwrap();
    let (mut hit, mut cut, mut mended) = (0, 0, 0);
    for (&file, bytes) in &image.0 {
        for offset in 0..bytes.len() {
            let mut image = image.clone();
            image.bytes(file)[offset] ^= 1 << (offset % 8);
            let (recovered, found) = image.read().unwrap();
            let place = format!("byte {offset} of {file}");
            let batch = batches
                .iter()
                .find(|batch| batch.file == file && (batch.begins..batch.ends).contains(&offset));
            let body = batch.filter(|batch| batch.body.contains(&offset));
            match body {
                Some(batch) if batch.first == last.first => {
                    assert_eq!(found, told[..told.len() - last.records], "{place}");
                    assert_eq!(recovered.previous.unwrap().end, last.begins as u64);
                    cut += 1;
                    continue;
                }
                Some(batch) => {
                    let wrong: Vec<usize> = (0..told.len()).filter(|&at| found[at] != told[at]).collect();
                    let [at] = wrong[..] else { panic!("{place}: {wrong:?}") };
                    let Err(damage) = &found[at].sealed else { panic!("{place} is served") };
                    assert_eq!(damage.file, file.to_string());
                    assert!(
                        (batch.begins..batch.ends).contains(&(damage.offset as usize)),
                        "{place}: {damage}"
                    );
                    assert_eq!(Told { sealed: told[at].sealed.clone(), ..found[at].clone() }, told[at]);
                    assert!(of(&found, batch).contains(&found[at]), "{place}");
                    assert!(recovered.notes.is_empty(), "{place}");
                    hit += 1;
                }
                None => {
                    assert_eq!(found, told, "{place}");
                    let [note] = &recovered.notes[..] else { panic!("{place}: {:?}", recovered.notes) };
                    let begins = batch.map_or(0, |batch| batch.begins);
                    let ends = batch.map_or(ALIGN, |batch| batch.ends);
                    assert_eq!(note.file, file.to_string(), "{place}");
                    assert!((begins..ends).contains(&(note.offset as usize)), "{place}: {note}");
                    mended += 1;
                }
            }
            assert_eq!(Recovered { notes: Vec::new(), ..recovered }, whole, "{place}");
        }
    }
    let bodies: usize = batches.iter().map(|batch| batch.body.len()).sum();
    let bytes: usize = image.0.values().map(Vec::len).sum();
    assert_eq!([hit, cut, mended], [bodies - last.body.len(), last.body.len(), bytes - bodies]);
}

/// Without this, a file that lost its end would be read as if nothing had been there. Only in the newest file
/// can the end not be told from one that was never written: there what is whole counts, and no less.
#[test]
fn each_file_cut_at_each_border_is_named_or_read_as_far_as_it_goes() {
    let (image, batches) = some_log();
    let (_, told) = image.read().unwrap();
    for (&file, bytes) in &image.0 {
        let ends = batches.iter().filter(|batch| batch.file == file).map(|batch| batch.ends);
        for border in ends.chain([0, 128, START_COPY, ALIGN]) {
            for length in [border.saturating_sub(1), border, border + 1] {
                let mut image = image.clone();
                image.bytes(file).resize(length, 0);
                let place = format!("{file} of {} bytes cut to {length}", bytes.len());
                if length >= bytes.len() {
                    assert_eq!(image.read().unwrap().1, told, "{place}");
                } else if file != image.newest() {
                    assert_eq!(image.damage().file, file.to_string(), "{place}");
                } else {
                    let is_left = |batch: &&Laid| batch.file != file || batch.ends <= length;
                    let left: usize = batches.iter().filter(is_left).map(|batch| batch.records).sum();
                    assert_eq!(image.read().unwrap().1, told[..left], "{place}");
                    // A manifest that names the file knows that it had a start.
                    assert_eq!(image.read_from(file).is_err(), length < ALIGN, "{place}");
                }
            }
        }
    }
}

/// Without this, what can't be laid at a partition's door would be passed over in silence; or a torn write
/// would keep a store from opening.
#[test]
fn a_batch_that_says_nothing_is_damage_but_at_the_very_end() {
    let (image, batches) = some_log();
    let (_, told) = image.read().unwrap();
    for (at, batch) in batches.iter().enumerate() {
        let directory = batch.begins + BatchHeader::BYTES;
        let directory_copy = batch.ends - BatchHeader::BYTES - batch.records * DirectoryEntry::BYTES;
        let pairs = [
            // Neither header; the first directory's entry in neither directory.
            (batch.begins + 5, batch.ends - 30),
            (directory + 3, directory_copy + 40),
        ];
        for (first, second) in pairs {
            let mut image = image.clone();
            image.bytes(batch.file)[first] ^= 1;
            image.bytes(batch.file)[second] ^= 1;
            if at + 1 < batches.len() {
                let damage = image.damage();
                assert!((batch.begins..batch.ends).contains(&(damage.offset as usize)), "{damage}");
                assert_eq!(damage.file, batch.file.to_string());
            } else {
                let (recovered, found) = image.read().unwrap();
                assert_eq!(found, told[..told.len() - batch.records]);
                assert_eq!(recovered.previous.unwrap().end, batch.begins as u64);
            }
        }
    }
}

/// Without this, a file of which a crash or a fault left only part would pass for a whole one.
#[test]
fn a_start_that_neither_copy_tells_a_missing_file_and_one_in_anothers_place_are_named() {
    let (image, _) = some_log();
    let files: Vec<LogFile> = image.0.keys().copied().collect();
    for &file in &files {
        let mut unread = image.clone();
        unread.bytes(file)[70] ^= 1;
        unread.bytes(file)[START_COPY + 70] ^= 1;
        assert_eq!(unread.damage().file, file.to_string());
        let mut missing = image.clone();
        missing.0.remove(&file);
        if file == image.newest() {
            let found = missing.read_from(file).err();
            assert!(matches!(found, Some(Fault::Damaged(damage)) if damage.file == file.to_string()));
        } else {
            assert_eq!(missing.damage().file, file.to_string());
        }
        for &other in files.iter().filter(|other| **other != file) {
            let mut swapped = image.clone();
            *swapped.bytes(file) = image.0[&other].clone();
            assert_eq!(swapped.damage().file, file.to_string());
        }
    }
}

/// Without this, half a file that a crash or a full disk left behind would keep the store from opening.
#[test]
fn what_a_failed_start_left_is_passed_over() {
    let (image, batches) = some_log();
    let (whole, told) = image.read().unwrap();
    let floor = batches[0].file;
    let names = [LogFile { run: 1, number: 2 }, LogFile { run: 2, number: 7 }, LogFile { run: 3, number: 0 }];
    let header = FileHeader::new(FileKind::Log, [9; 16], 3, 0);
    let (start, _) = encode_start(&header, None, 1);
    for length in [0, 1, 64, 128, START_COPY, START_COPY + 128, ALIGN - 1] {
        let mut image = image.clone();
        for name in names {
            image.0.insert(name, start[..length].to_vec());
        }
        let mut grown = image.clone();
        for name in names {
            grown.0.insert(name, vec![0; ALIGN]);
        }
        for image in [image, grown] {
            let (recovered, found) = image.read_from(floor).unwrap();
            assert_eq!(found, told);
            assert_eq!(recovered, Recovered { last_run: 3, ..whole.clone() });
        }
    }
}
