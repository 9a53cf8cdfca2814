//! How is one step run, timed and reported?
//!
//! A step is one child process in the repository's root; it inherits the terminal. Nothing is retried.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A step that did not pass: which one, and how it ended.
pub(crate) struct Failed {
    step: String,
    why: String,
}

impl Failed {
    pub(crate) fn new(step: &str, why: &dyn fmt::Display) -> Failed {
        Failed { step: step.to_owned(), why: why.to_string() }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.why)
    }
}

/// The steps of one command, in the order they run.
pub(crate) struct Steps {
    root: PathBuf,
    begun: Instant,
    done: usize,
    environment: Vec<(String, OsString)>,
}

impl Steps {
    pub(crate) fn new(root: PathBuf) -> Steps {
        Steps { root, begun: Instant::now(), done: 0, environment: Vec::new() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder: where its own variable says, else `target` in the root.
    pub(crate) fn target(&self) -> PathBuf {
        match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => self.root.join(folder),
            None => self.root.join("target"),
        }
    }

    /// Where `cargo build --profile …` puts a program.
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.target().join(profile).join(name).with_extension(std::env::consts::EXE_EXTENSION)
    }

    /// Sets a variable for every later step.
    pub(crate) fn pass_on(&mut self, variable: &str, value: impl Into<OsString>) {
        self.environment.push((variable.to_owned(), value.into()));
    }

    /// One step that is a call of cargo, the one that runs this program.
    pub(crate) fn cargo(&mut self, name: &str, arguments: &[&str]) -> Result<(), Failed> {
        self.cargo_with(name, arguments, [])
    }

    /// The same, with variables that no later step sees.
    pub(crate) fn cargo_with<const N: usize>(
        &mut self,
        name: &str,
        arguments: &[&str],
        environment: [(&str, OsString); N],
    ) -> Result<(), Failed> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(arguments).envs(environment);
        self.run(name, command)
    }

    /// One step: prints its name before and its time after.
    pub(crate) fn run(&mut self, name: &str, mut command: Command) -> Result<(), Failed> {
        println!("==> {name}");
        let begun = Instant::now();
        command.current_dir(&self.root).envs(self.environment.iter().map(|(k, v)| (k, v)));
        let status = command.status().map_err(|e| Failed::new(name, &e))?;
        if !status.success() {
            return Err(Failed::new(name, &status));
        }
        println!("    {name}: {}", seconds(begun.elapsed()));
        self.done += 1;
        Ok(())
    }

    pub(crate) fn done(&self) -> usize {
        self.done
    }

    pub(crate) fn elapsed(&self) -> String {
        seconds(self.begun.elapsed())
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
