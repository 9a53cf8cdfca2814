//! What happens to bytes that nobody promised anything about?
//!
//! Each [`Target`] is a function over bytes that must end without a panic, whatever they are; and whatever it
//! accepts must be encoded again to the same bytes. The same functions are run by `cargo xtask fuzz-smoke` (the
//! corpus and a bounded number of mutations, on stable Rust) and by libFuzzer (`fuzz/targets`, with cargo-fuzz).

mod repair;
mod seeds;
mod targets;

/// Something that reads bytes from outside.
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Reads the bytes, and says whether it took them; panics when a promise is broken.
    pub run: fn(&[u8]) -> bool,
    /// Bytes that it accepts, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Puts checksums right after a mutation, so that what lies behind them is reached.
    pub repair: fn(&mut [u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "log", run: targets::log, seeds: seeds::log, repair: repair::log },
    Target { name: "batch", run: targets::batch, seeds: seeds::batch, repair: repair::batch },
    Target { name: "manifest", run: targets::version, seeds: seeds::manifest, repair: repair::checkpoint },
    Target { name: "edit", run: targets::version, seeds: seeds::edit, repair: repair::edit },
    Target { name: "receipt", run: targets::receipt, seeds: seeds::receipt, repair: repair::receipt },
    Target { name: "keyring", run: targets::keyring, seeds: seeds::keyring, repair: repair::slots },
    Target { name: "segment", run: targets::segment, seeds: seeds::segment, repair: repair::segment },
    Target { name: "table", run: targets::table, seeds: seeds::table, repair: repair::table },
    Target { name: "record", run: targets::record, seeds: seeds::record, repair: repair::nothing },
    Target { name: "directory", run: targets::directory, seeds: seeds::directory, repair: repair::nothing },
    Target { name: "name", run: targets::name, seeds: seeds::name, repair: repair::nothing },
];

/// The target of this name.
///
/// # Panics
/// When there is none.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no target {name}"))
}

#[cfg(test)]
mod tests {
    use super::TARGETS;

    /// A name that nobody may have.
    fn is_refused(seed: &[u8]) -> bool {
        seed == b"."
    }

    // A fuzzer that starts from bytes which are refused at once never gets anywhere.
    #[test]
    fn every_seed_is_accepted_and_survives_repair() {
        for target in TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{}", target.name);
            for seed in seeds {
                assert!((target.run)(&seed) != is_refused(&seed), "{}", target.name);
                let mut repaired = seed.clone();
                (target.repair)(&mut repaired);
                assert_eq!(repaired, seed, "{}: repair changes what is right", target.name);
            }
        }
    }
}
