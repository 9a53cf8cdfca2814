//! What runs under the library that lets calls fail, and what judges afterwards without it?
//!
//! `faults-life FOLDER JOURNAL` lives one life of a store; `faults-life judge FOLDER JOURNAL` says whether the
//! store in the folder is what the journal promises, and on stderr what it is instead.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = run(&words);
    outcome.map_or_else(|why| tell(&why), |()| ExitCode::SUCCESS)
}

#[cfg(target_os = "linux")]
fn run(words: &[&str]) -> Result<(), String> {
    use strongroom_tests::faults::{judge::judge, life::live};
    match words {
        ["judge", folder, journal] => judge(Path::new(folder), Path::new(journal)),
        [folder, journal] => live(Path::new(folder), Path::new(journal)).map_err(|error| error.to_string()),
        _ => Err("which folder, and which journal?".to_owned()),
    }
}

#[cfg(not(target_os = "linux"))]
fn run(_: &[&str]) -> Result<(), String> {
    Err("calls can be made to fail on Linux only".to_owned())
}

#[expect(clippy::print_stderr, reason = "whoever started the process reads it there")]
fn tell(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}
