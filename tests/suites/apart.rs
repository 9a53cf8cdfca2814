//! Does anything of one partition show in what another one answers?

use strongroom_tests::apart::try_many;

/// Trials in the gate; `cargo xtask apart` lives more.
const TRIALS: u64 = 500;

// A score, an order, a count or a page of a tenant's would tell what another tenant does.
#[test]
fn a_partition_answers_the_same_with_neighbours_and_without() {
    let tried = try_many(0, TRIALS);
    assert_eq!(tried.trials, TRIALS);
    assert!(tried.difference.is_none(), "{}", tried.difference.unwrap_or_default());
}
