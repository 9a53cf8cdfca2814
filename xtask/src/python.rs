//! How do Python programs get to run, the published client against the server and the peers that are measured?
//!
//! Each in a virtual environment of its own under the target folder, with the versions that the
//! `requirements.txt` beside it pins. An environment keeps a copy of the requirements it was made from and is
//! made anew when they differ, or when the last attempt did not finish.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{Failed, Steps};

const SUITE: &str = "tests/python";

/// Prepares the environment when needed, then runs the suite.
pub(crate) fn run_client_suite(steps: &mut Steps) -> Result<(), Failed> {
    let interpreter = prepare(steps, "python", SUITE)?;
    let mut pytest = Command::new(interpreter);
    pytest.args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", SUITE]);
    steps.run("the Python client", pytest)
}

/// Runs the tests of programs in a folder, as far as they need nothing but Python's own library.
pub(crate) fn check_programs(steps: &mut Steps, folder: &str) -> Result<(), Failed> {
    let mut tests = Command::new("python3");
    tests.args(["-B", "-m", "unittest", "discover", "--quiet", folder]);
    steps.run(&format!("tests of {folder}"), tests)
}

/// The interpreter of the environment `name`, for the programs in `folder`.
pub(crate) fn prepare(steps: &mut Steps, name: &str, folder: &str) -> Result<PathBuf, Failed> {
    let home = steps.target().join(name);
    let interpreter = home.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let wanted = read(&steps.root().join(folder).join("requirements.txt"))?;
    let stamp = home.join("made-from.txt");
    if interpreter.exists() && std::fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(interpreter);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&home);
    steps.run("make a Python environment", make)?;
    let mut install = Command::new(&interpreter);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    install.arg(Path::new(folder).join("requirements.txt"));
    steps.run("install what it needs", install)?;
    std::fs::write(&stamp, wanted).map_err(|e| Failed::new("note what was installed", &e))?;
    Ok(interpreter)
}

fn read(path: &Path) -> Result<String, Failed> {
    std::fs::read_to_string(path).map_err(|e| Failed::new(&format!("read {}", path.display()), &e))
}
