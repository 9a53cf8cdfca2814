//! What happens to bytes that nobody promised anything about?
//!
//! Each [`Target`] is a function over bytes that must end without a panic, whatever they are; and whatever it
//! accepts must be encoded again to the same bytes. The same functions are run by `cargo xtask fuzz-smoke` (the
//! corpus and a bounded number of mutations, on stable Rust) and by libFuzzer (`fuzz/targets`, with cargo-fuzz).

mod seeds;
mod targets;

/// Something that reads bytes from outside.
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Reads the bytes; panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Bytes that it accepts, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Puts checksums right after a mutation, so that what lies behind them is reached.
    pub repair: fn(&mut [u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "log", run: targets::log, seeds: seeds::log, repair: targets::repair_log },
    Target {
        name: "manifest",
        run: targets::manifest,
        seeds: seeds::manifest,
        repair: targets::repair_manifest,
    },
    Target { name: "keyring", run: targets::keyring, seeds: seeds::keyring, repair: targets::repair_slots },
    Target { name: "segment", run: targets::segment, seeds: seeds::segment, repair: targets::repair_segment },
    Target { name: "table", run: targets::table, seeds: seeds::table, repair: targets::repair_table },
    Target { name: "record", run: targets::record, seeds: seeds::record, repair: targets::repair_nothing },
    Target {
        name: "directory",
        run: targets::directory,
        seeds: seeds::directory,
        repair: targets::repair_nothing,
    },
    Target { name: "name", run: targets::name, seeds: seeds::name, repair: targets::repair_nothing },
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

    // A fuzzer that starts from bytes which are refused at once never gets anywhere.
    #[test]
    fn every_seed_is_accepted_and_survives_repair() {
        for target in TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{}", target.name);
            for seed in seeds {
                (target.run)(&seed);
                let mut repaired = seed.clone();
                (target.repair)(&mut repaired);
                assert_eq!(repaired, seed, "{}: repair changes what is right", target.name);
            }
        }
    }
}
