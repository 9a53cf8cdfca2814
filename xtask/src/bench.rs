//! How is a benchmark built and run, with what it needs beside itself?
//!
//! Most are one program of the package `strongroom-benches`; `bandwidth`, which reads memory with instructions of its own, is an
//! example of the kernels' package. Three need more: `writes` an environment with the
//! peers that it measures, `sealing` a second build of itself with the null cipher, in a target folder of its
//! own so that nothing else is ever linked with it, `nearest` a data set that is fetched.
//!
//! `peers` is `nearest` and then the same on its peers; `report` brings the results of both into the documents. Both are
//! run by name only: the peers take hours.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::python;
use crate::steps::{Failed, Steps};

/// The compiler's flag that takes the cipher out of the engine.
const NULL_CIPHER: &str = "--cfg strongroom_null_cipher";

/// The programs that measure the peers of `nearest`.
const PEERS_OF_NEAREST: &str = "benches/peers/nearest";

/// The benchmark that stands beside the kernels.
const BANDWIDTH: &str = "bandwidth";

/// Runs one benchmark, or all there are.
pub(crate) fn run(steps: &mut Steps, wanted: Option<&str>) -> Result<(), Failed> {
    let names = match wanted {
        Some(name) => vec![name.to_owned()],
        None => names(steps)?,
    };
    for name in names {
        match name.as_str() {
            "peers" => {
                run_program(steps, "nearest")?;
                measure_peers(steps)?;
            }
            "report" => report(steps, Some("docs"))?,
            name => run_program(steps, name)?,
        }
    }
    Ok(())
}

/// Runs one program, with what it needs.
fn run_program(steps: &mut Steps, name: &str) -> Result<(), Failed> {
    match name {
        "writes" => {
            let interpreter = python::prepare(steps, "python-peers", "benches/peers")?;
            steps.pass_on("STRONGROOM_BENCH_PYTHON", interpreter);
        }
        "sealing" => build_null_cipher(steps)?,
        "nearest" => fetch_words(steps)?,
        _ => {}
    }
    let (package, kind) = match name {
        BANDWIDTH => ("strongroom-kernel", "--example"),
        _ => ("strongroom-benches", "--bin"),
    };
    steps.cargo(&format!("bench {name}"), &["run", "--release", "--package", package, kind, name])
}

/// Where `nearest` leaves its results, and its peers find what to measure with.
fn nearest_folder(steps: &Steps) -> PathBuf {
    steps.target().join("bench/nearest")
}

/// Makes the set of words, unless it is there or not wanted.
fn fetch_words(steps: &mut Steps) -> Result<(), Failed> {
    let is_wanted = |sets: String| sets.split(',').any(|set| set == "words");
    if !std::env::var("STRONGROOM_BENCH_SETS").map_or(true, is_wanted) {
        return Ok(());
    }
    let mut fetch = Command::new("python3");
    fetch.args(["-B", "benches/peers/nearest/words.py"]).arg(nearest_folder(steps));
    steps.run("fetch the words", fetch)
}

/// Measures the peers that are not done yet, and compares.
fn measure_peers(steps: &mut Steps) -> Result<(), Failed> {
    let mut measure = Command::new(python::prepare(steps, "python-nearest", PEERS_OF_NEAREST)?);
    measure.args(["-B", "benches/peers/nearest/run.py"]).arg(nearest_folder(steps));
    steps.run("measure the peers", measure)?;
    report(steps, None)
}

/// Prints what is known, and brings it into the documents when asked to.
fn report(steps: &mut Steps, docs: Option<&str>) -> Result<(), Failed> {
    let mut report = Command::new(python::prepare(steps, "python-nearest", PEERS_OF_NEAREST)?);
    report.args(["-B", "benches/peers/nearest/report.py"]).arg(nearest_folder(steps)).args(docs);
    steps.run("compare", report)
}

/// Builds `sealing` without a cipher and passes on where it lies.
fn build_null_cipher(steps: &mut Steps) -> Result<(), Failed> {
    let mut flags = std::env::var_os("RUSTFLAGS").unwrap_or_default();
    flags.push(" ");
    flags.push(NULL_CIPHER);
    let target = steps.target().join("null-cipher");
    let program = target.join("release/sealing").with_extension(std::env::consts::EXE_EXTENSION);
    let environment = [("RUSTFLAGS", flags), ("CARGO_TARGET_DIR", OsString::from(target))];
    steps.cargo_with(
        "build the null cipher",
        &["build", "--release", "--package", "strongroom-benches", "--bin", "sealing"],
        environment,
    )?;
    steps.pass_on("STRONGROOM_BENCH_NULL_CIPHER", program);
    Ok(())
}

/// The benchmarks there are: the files of `benches/src/bin` and the one of the kernels, sorted.
fn names(steps: &Steps) -> Result<Vec<String>, Failed> {
    let folder = steps.root().join("benches/src/bin");
    let entries = std::fs::read_dir(&folder).map_err(|e| Failed::new("list the benchmarks", &e))?;
    let mut names = vec![BANDWIDTH.to_owned()];
    for entry in entries {
        let path = entry.map_err(|e| Failed::new("list the benchmarks", &e))?.path();
        if let (Some("rs"), Some(stem)) =
            (path.extension().and_then(|e| e.to_str()), path.file_stem().and_then(|s| s.to_str()))
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}
