//! How is isolation tried for longer than the gate does?
//!
//! `apart` lives trials of the engine, `probes` sends random requests to a server: the same code as in the suites `apart` and
//! `isolation`, compiled as users get it, from any seed and as many as are wanted. `docs/isolation.md` has the figures.

use std::process::Command;

use crate::sim;
use crate::steps::{Failed, Steps};

/// What is to be tried.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    seed: Option<u64>,
    count: Option<u64>,
}

/// `[SEED] [--count N]`; none when the words say nothing.
pub(crate) fn parse(words: &[&str]) -> Option<Wanted> {
    let mut wanted = Wanted::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (place, number) = match *word {
            "--count" => (&mut wanted.count, *words.next()?),
            seed => (&mut wanted.seed, seed),
        };
        if place.replace(number.parse().ok()?).is_some() {
            return None;
        }
    }
    Some(wanted)
}

/// Lives trials.
pub(crate) fn apart(steps: &mut Steps, wanted: &Wanted) -> Result<(), Failed> {
    let mut program = Command::new(sim::build(steps)?);
    let [from, count] =
        [wanted.seed.unwrap_or(0), wanted.count.unwrap_or(500)].map(|number| number.to_string());
    program.args(["apart", &from, &count]);
    steps.run("a partition with neighbours and without", program)
}

/// Sends random requests.
pub(crate) fn probes(steps: &mut Steps, wanted: &Wanted) -> Result<(), Failed> {
    steps.cargo("build the server", &["build", "--release", "--workspace", "--bin", "strongroom"])?;
    steps.pass_on("STRONGROOM_BIN", steps.binary("release", "strongroom"));
    for (variable, number) in [("STRONGROOM_PROBES_SEED", wanted.seed), ("STRONGROOM_PROBES", wanted.count)] {
        if let Some(number) = number {
            steps.pass_on(variable, number.to_string());
        }
    }
    let test = ["test", "--release", "--package", "strongroom-tests", "--test", "isolation"];
    steps.cargo("probes", &[&test[..], &["random_requests", "--", "--nocapture"]].concat())
}

#[cfg(test)]
mod tests {
    use super::{Wanted, parse};

    // A long run would be made from another seed than the one that was asked for.
    #[test]
    fn words_are_read_in_any_order() {
        let both = Some(Wanted { seed: Some(7), count: Some(100) });
        assert_eq!(parse(&["7", "--count", "100"]), both);
        assert_eq!(parse(&["--count", "100", "7"]), both);
        assert_eq!(parse(&[]), Some(Wanted::default()));
        for wrong in [&["x"][..], &["--count"], &["7", "8"], &["--count", "x"], &["--counts", "7"]] {
            assert_eq!(parse(wrong), None);
        }
    }
}
