//! Does the engine do what a plain model does, through crashes and failures of every sort?
//!
//! If this fails, some sequence of calls loses, resurrects or mixes up what users stored, or a search is wrong.
//! The message names the seed; `cargo xtask sim SEED` lives that life again and prints it.

use strongroom_tests::model::life::random_life;
use strongroom_tests::model::runner::live;

/// Lives that each run of the suite lives.
const SEEDS: u64 = 1000;

// Users lose acknowledged writes, or see deleted ones again, after some crash that nobody thought of.
#[test]
fn random_lives_match_the_model() {
    assert_eq!(live(0, SEEDS, None).violated, None, "a seed is violated");
}

// A failure that a seed found could not be found again.
#[test]
fn the_same_seed_lives_the_same_life() {
    for seed in 16..24 {
        let (first, second) = (random_life(seed, false), random_life(seed, false));
        let parting = first.life().iter().zip(second.life()).find(|(a, b)| a != b);
        assert_eq!(parting, None, "seed {seed}");
        assert_eq!(first.life().len(), second.life().len(), "seed {seed}");
        assert_eq!(first.sim().steps(), second.sim().steps());
        assert!(first.sim().files() == second.sim().files(), "seed {seed} left two different disks");
    }
}
