//! Do the fuzzers' targets survive the corpus and a bounded number of mutations?
//!
//! For every push, on stable Rust, in seconds. `smoke` runs all targets, `smoke write-corpus` writes the seeds
//! into the corpus, `smoke run NAME FILE…` runs one target over files. What a run of libFuzzer finds is put into
//! the corpus, and is run here from then on.
#![expect(clippy::print_stdout, reason = "a command for people")]

use std::path::{Path, PathBuf};

use strongroom_fuzz::{TARGETS, Target, target};
use strongroom_tests::chance::Chance;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            TARGETS.iter().enumerate().try_for_each(|(number, target)| smoke(number as u64, target, &corpus))
        }
        ["write-corpus"] => {
            TARGETS.iter().try_for_each(|target| write_seeds(&corpus.join(target.name), target))
        }
        ["run", name, files @ ..] => files.iter().try_for_each(|file| {
            let took = (target(name).run)(&std::fs::read(file)?);
            println!("{file}: {}", if took { "accepted" } else { "refused" });
            Ok(())
        }),
        _ => Err(std::io::Error::other("smoke, smoke write-corpus, or smoke run NAME FILE…")),
    }
}

fn smoke(seed: u64, target: &Target, corpus: &Path) -> std::io::Result<()> {
    let mut inputs = (target.seeds)();
    inputs.extend(files_of(&corpus.join(target.name))?);
    inputs.iter().for_each(|input| run_or_keep(target, input));
    if target.has_fields {
        inputs.iter().for_each(|input| odd_fields(target, input));
    }
    let mut chance = Chance::new(seed);
    for _ in 0..target.mutations {
        let mut input = chance.pick(&inputs).clone();
        mutate(&mut input, &inputs, &mut chance);
        input.truncate(target.input_bytes_max);
        if chance.percent(70) {
            (target.repair)(&mut input);
        }
        run_or_keep(target, &input);
    }
    println!("{}: {} inputs, {} mutations", target.name, inputs.len(), target.mutations);
    Ok(())
}

/// Runs the target; when it panics the input is kept, to be looked at and put into the corpus.
fn run_or_keep(target: &Target, input: &[u8]) {
    struct Keep<'a>(&'a Target, &'a [u8]);
    impl Drop for Keep<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let path = std::env::temp_dir().join(format!("strongroom-fuzz-{}", self.0.name));
                let kept = std::fs::write(&path, self.1);
                println!("{} failed; its input is in {}: {kept:?}", self.0.name, path.display());
            }
        }
    }
    let keep = Keep(target, input);
    (target.run)(keep.1);
}

/// Values at which sums and products go wrong.
const ODD: [u64; 8] = [0, 1, 0x7f, 0x80, 0xff, u64::MAX, i64::MAX as u64, 1 << 32];

/// Each field in turn (wherever something stands, at each width) becomes each odd value, its checksum right.
fn odd_fields(target: &Target, input: &[u8]) {
    for width in [1, 2, 4, 8] {
        for (index, field) in input.chunks(width).enumerate() {
            if field.iter().all(|b| *b == 0) {
                continue;
            }
            for odd in ODD {
                let mut changed = input.to_vec();
                changed[index * width..][..field.len()].copy_from_slice(&odd.to_le_bytes()[..field.len()]);
                (target.repair)(&mut changed);
                run_or_keep(target, &changed);
            }
        }
    }
}

fn mutate(input: &mut Vec<u8>, inputs: &[Vec<u8>], chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        if input.is_empty() {
            input.push(0);
        }
        // Where something stands, mostly: files are padded with zeros, and those are soon tried.
        let places: Vec<usize> = (0..8).map(|_| chance.below(input.len())).collect();
        let at = places.iter().copied().find(|at| input[*at] != 0).unwrap_or(places[0]);
        match chance.below(7) {
            0 => input[at] ^= 1 << chance.below(8),
            1 => input[at] = chance.bits().to_le_bytes()[0],
            2 => {
                let odd = chance.pick(&ODD).to_le_bytes();
                let width = 1 << chance.below(4);
                let begin = at - at % width;
                let end = (begin + width).min(input.len());
                input[begin..end].copy_from_slice(&odd[..end - begin]);
            }
            3 => input.truncate(at),
            4 => {
                input.remove(at);
            }
            5 => input.insert(at, chance.bits().to_le_bytes()[0]),
            _ => {
                let other = chance.pick(inputs);
                let from = chance.below(other.len().max(1)).min(other.len());
                input.splice(at.., other[from..].iter().copied());
            }
        }
    }
}

fn files_of(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    paths.sort();
    paths.iter().map(std::fs::read).collect()
}

fn write_seeds(folder: &Path, target: &Target) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (number, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number}")), seed)?;
    }
    Ok(())
}
