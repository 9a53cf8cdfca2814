//! What happens to bytes that nobody promised anything about?
//!
//! Each [`Target`] is a function over bytes that must end without a panic, whatever they are. What a target of a
//! format accepts must be encoded again to the same bytes; `bundle`, `extract`, `filter` and `differential` have promises of their
//! own, told in their modules. The same functions are run by `cargo xtask fuzz-smoke` (the corpus and a bounded number
//! of mutations, on stable Rust) and by libFuzzer (`fuzz/targets`, with cargo-fuzz). `fuzz/README.md` says how.

mod carried;
mod differential;
mod filter;
mod read_out;
mod repair;
mod seeds;
mod story;
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
    /// Whether the bytes are fields, each of which is worth each odd value.
    pub has_fields: bool,
    /// How many mutations a smoke run tries: as many as fit in a few seconds.
    pub mutations: usize,
    /// A mutated input never gets longer than this, in bytes.
    pub input_bytes_max: usize,
}

/// A target over one of the formats of `format-spec.md`.
const fn format(
    name: &'static str,
    run: fn(&[u8]) -> bool,
    seeds: fn() -> Vec<Vec<u8>>,
    repair: fn(&mut [u8]),
) -> Target {
    Target { name, run, seeds, repair, has_fields: true, mutations: 20_000, input_bytes_max: 64 << 10 }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    format("log", targets::log, seeds::log, repair::log),
    format("batch", targets::batch, seeds::batch, repair::batch),
    format("manifest", targets::version, seeds::manifest, repair::checkpoint),
    format("edit", targets::version, seeds::edit, repair::edit),
    format("receipt", targets::receipt, seeds::receipt, repair::receipt),
    format("keyring", targets::keyring, seeds::keyring, repair::slots),
    format("segment", targets::segment, seeds::segment, repair::segment),
    format("table", targets::table, seeds::table, repair::table),
    format("record", targets::record, seeds::record, repair::nothing),
    format("directory", targets::directory, seeds::directory, repair::nothing),
    format("name", targets::name, seeds::name, repair::nothing),
    Target { mutations: 4_000, ..format("bundle", carried::run, carried::seeds, repair::nothing) },
    Target {
        name: "extract",
        run: read_out::run,
        seeds: read_out::seeds,
        repair: repair::nothing,
        has_fields: false,
        mutations: 4_000,
        input_bytes_max: 16 << 10,
    },
    Target {
        name: "filter",
        run: filter::run,
        seeds: filter::seeds,
        repair: repair::nothing,
        has_fields: false,
        mutations: 100_000,
        input_bytes_max: 4 << 10,
    },
    Target {
        name: "differential",
        run: differential::run,
        seeds: story::seeds,
        repair: repair::nothing,
        has_fields: false,
        mutations: 200,
        input_bytes_max: differential::INPUT_BYTES_MAX,
    },
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
