//! How is a benchmark built and run, with what it needs beside itself?
//!
//! Most are one program of the package `strongroom-benches`. Two need more: `writes` an environment with the
//! peers that it measures, `sealing` a second build of itself with the null cipher, in a target folder of its
//! own so that nothing else is ever linked with it.

use std::ffi::OsString;

use crate::python;
use crate::steps::{Failed, Steps};

/// The compiler's flag that takes the cipher out of the engine.
const NULL_CIPHER: &str = "--cfg strongroom_null_cipher";

/// Runs one benchmark, or all there are.
pub(crate) fn run(steps: &mut Steps, wanted: Option<&str>) -> Result<(), Failed> {
    let names = match wanted {
        Some(name) => vec![name.to_owned()],
        None => names(steps)?,
    };
    for name in names {
        match name.as_str() {
            "writes" => {
                let interpreter = python::prepare(steps, "python-peers", "benches/peers")?;
                steps.pass_on("STRONGROOM_BENCH_PYTHON", interpreter);
            }
            "sealing" => build_null_cipher(steps)?,
            _ => {}
        }
        steps.cargo(
            &format!("bench {name}"),
            &["run", "--release", "--package", "strongroom-benches", "--bin", &name],
        )?;
    }
    Ok(())
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

/// The benchmarks there are: the files of `benches/src/bin`, sorted.
fn names(steps: &Steps) -> Result<Vec<String>, Failed> {
    let folder = steps.root().join("benches/src/bin");
    let entries = std::fs::read_dir(&folder).map_err(|e| Failed::new("list the benchmarks", &e))?;
    let mut names = Vec::new();
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
