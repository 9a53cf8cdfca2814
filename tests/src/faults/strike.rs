//! How is one case lived: which call is struck, how, and what comes of it?
//!
//! The library that strikes is `shim.c`, compiled when a suite begins. A case is a number of a call and a [`Mode`];
//! it runs in a folder of its own on the disk that also holds what cargo builds.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};

use tempfile::TempDir;

use super::life::{Answer, Line, read};

const SIGKILL: i32 = 9;

/// Lines of a journal that a finding shows.
const TOLD_LINES_MAX: usize = 12;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// It fails with an I/O error.
    EioOnce,
    /// It and all later ones do.
    EioStuck,
    /// It is a sync, fails with an I/O error, and what it was to make durable is gone.
    EioLost,
    /// It fails with an I/O error, a sync loses what it was to make durable, and soon after the process is killed.
    EioKill,
    /// It fails for want of space.
    EnospcOnce,
    /// It and all later ones do.
    EnospcStuck,
    /// It fails for want of space, and soon after the process is killed.
    EnospcKill,
    /// The process is killed before it.
    KillBefore,
    /// It is a write, and the process is killed when half of it is done.
    KillMidway,
    /// The process is killed after it.
    KillAfter,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 10] = [
        Mode::EioOnce,
        Mode::EioStuck,
        Mode::EioLost,
        Mode::EioKill,
        Mode::EnospcOnce,
        Mode::EnospcStuck,
        Mode::EnospcKill,
        Mode::KillBefore,
        Mode::KillMidway,
        Mode::KillAfter,
    ];

    /// Its name on the command line and in the library.
    pub fn name(self) -> &'static str {
        match self {
            Mode::EioOnce => "eio-once",
            Mode::EioStuck => "eio-stuck",
            Mode::EioLost => "eio-lost",
            Mode::EioKill => "eio-kill",
            Mode::EnospcOnce => "enospc-once",
            Mode::EnospcStuck => "enospc-stuck",
            Mode::EnospcKill => "enospc-kill",
            Mode::KillBefore => "kill-before",
            Mode::KillMidway => "kill-midway",
            Mode::KillAfter => "kill-after",
        }
    }

    /// Whether it can happen to such a call.
    pub fn fits(self, call: &Call) -> bool {
        match self {
            Mode::EioLost => call.is_sync(),
            Mode::KillMidway => call.name == "pwrite",
            _ => true,
        }
    }

    /// Whether it may end a life: by a signal, or because the store never opens again.
    fn may_end(self) -> bool {
        !matches!(self, Mode::EioOnce | Mode::EioLost | Mode::EnospcOnce)
    }

    /// Whether a life that ends in this way is one of this mode.
    fn ends(self, status: ExitStatus) -> bool {
        let killed = status.signal() == Some(SIGKILL);
        match self {
            Mode::KillBefore | Mode::KillMidway | Mode::KillAfter => killed,
            // The script may end before the process is killed.
            Mode::EioKill | Mode::EnospcKill => killed || status.success(),
            _ => status.success(),
        }
    }
}

/// A call that the library counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its number, from 1.
    pub number: usize,
    /// Which call it was.
    pub name: String,
    /// On which path inside the store's folder.
    pub path: String,
}

impl Call {
    fn parse(line: &str) -> Call {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let number = word().parse().expect("the number of a call");
        Call { number, name: word(), path: word() }
    }

    /// Whether it makes something durable.
    pub fn is_sync(&self) -> bool {
        self.name == "fsync" || self.name == "fdatasync"
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "call {}, {} {}", self.number, self.name, self.path)
    }
}

/// A case that ended badly.
#[derive(Debug)]
pub struct Finding {
    /// The call that was struck.
    pub call: Call,
    /// How.
    pub mode: Mode,
    /// What a user would lose.
    pub why: String,
    /// What the store answered, but for what went well.
    pub told: Vec<String>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Finding { call, mode, why, told } = self;
        let mode = mode.name();
        writeln!(f, "{call}, {mode}: {}", why.trim_end())?;
        writeln!(f, "  the store said: {}", told.join("\n                  "))?;
        writeln!(f, "  again: cargo xtask faults {} {mode}", call.number)
    }
}

/// Compiles the library into a folder.
pub fn compile(into: &Path) -> PathBuf {
    let shim = into.join("shim.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/faults/shim.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", "-pthread", "-o"]).arg(&shim).arg(source).arg("-ldl");
    let compiled = compiler.output().expect("a C compiler named cc");
    assert!(compiled.status.success(), "cc: {}", String::from_utf8_lossy(&compiled.stderr));
    shim
}

/// What it takes to live cases.
#[derive(Debug)]
pub struct Workshop {
    folder: TempDir,
    shim: PathBuf,
    program: PathBuf,
    /// Whether syncs that are not struck wait for the disk.
    real_syncs: bool,
}

impl Workshop {
    /// Compiles the library. `program` lives the script and judges it: see `faults-life`.
    pub fn new(within: &Path, program: &Path, real_syncs: bool) -> Workshop {
        std::fs::create_dir_all(within).expect("a folder for the cases");
        let within = within.canonicalize().expect("the folder's path without links");
        let folder = tempfile::tempdir_in(within).expect("a folder for the cases");
        let shim = compile(folder.path());
        Workshop { folder, shim, program: program.to_owned(), real_syncs }
    }

    /// Lives the script without a failure, every sync waiting for the disk, and answers the calls that were counted.
    pub fn count(&self) -> Vec<Call> {
        let case = self.folder("count");
        let output = self.run(&case, "count", 0, true);
        let journal = read(&text(&case.path().join("journal")));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(journal.last(), Some(&Line::Done), "{}", String::from_utf8_lossy(&output.stderr));
        let refused =
            journal.iter().find(|line| matches!(line, Line::Ack(_, answer) if *answer != Answer::Ok));
        assert_eq!(refused, None, "a store whose disk never fails does all of the script");
        self.judge(&case).unwrap_or_else(|why| panic!("{why}"));
        text(&case.path().join("calls")).lines().map(Call::parse).collect()
    }

    /// Lives one case, and answers what it found wrong.
    pub fn strike(&self, number: usize, mode: Mode) -> Option<Finding> {
        let case = self.folder(&format!("{number}-{}-", mode.name()));
        let output = self.run(&case, mode.name(), number, self.real_syncs);
        let why = self.outcome(&case, mode, &output).err()?;
        let struck = text(&case.path().join("calls"));
        let call = struck.lines().next().map(Call::parse);
        let call = call.unwrap_or(Call { number, name: "no call".to_owned(), path: String::new() });
        let journal = text(&case.path().join("journal"));
        let remarkable = |line: &&str| !line.starts_with("begin") && !line.contains(" ok ");
        let told = journal.lines().filter(remarkable).take(TOLD_LINES_MAX).map(str::to_owned).collect();
        Some(Finding { call, mode, why, told })
    }

    fn outcome(&self, case: &TempDir, mode: Mode, output: &Output) -> Result<(), String> {
        let stderr = String::from_utf8_lossy(&output.stderr);
        if stderr.contains("panicked") {
            return Err(format!("the program panicked: {stderr}"));
        }
        if text(&case.path().join("calls")).is_empty() {
            return Err("the call never came: does the script live the same life each time?".to_owned());
        }
        if !mode.ends(output.status) {
            return Err(format!("the program ended with {}: {stderr}", output.status));
        }
        let journal = read(&text(&case.path().join("journal")));
        if !mode.may_end() && journal.last() != Some(&Line::Done) {
            return Err("one failure ended the script, the store does not open again".to_owned());
        }
        self.judge(case)
    }

    /// Judges what a case left behind, in a process of its own in which nothing is struck.
    fn judge(&self, case: &TempDir) -> Result<(), String> {
        let mut program = Command::new(&self.program);
        program.arg("judge").arg(case.path().join("store")).arg(case.path().join("journal"));
        if !self.real_syncs {
            self.preload(&mut program, case, "pass", 0, false);
        }
        let output = program.output().expect("the program runs");
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{}{}", String::from_utf8_lossy(&output.stderr), describe(output.status)))
    }

    fn folder(&self, name: &str) -> TempDir {
        tempfile::Builder::new().prefix(name).tempdir_in(self.folder.path()).expect("a folder for a case")
    }

    fn run(&self, case: &TempDir, mode: &str, number: usize, real_syncs: bool) -> Output {
        let mut program = Command::new(&self.program);
        program.arg(case.path().join("store")).arg(case.path().join("journal"));
        self.preload(&mut program, case, mode, number, real_syncs);
        program.output().expect("the program runs")
    }

    fn preload(&self, program: &mut Command, case: &TempDir, mode: &str, number: usize, real_syncs: bool) {
        program
            .env("LD_PRELOAD", &self.shim)
            .env("STRONGROOM_SHIM_ROOT", case.path().join("store"))
            .env("STRONGROOM_SHIM_REPORT", case.path().join("calls"))
            .env("STRONGROOM_SHIM_MODE", mode)
            .env("STRONGROOM_SHIM_CALL", number.to_string())
            .env("STRONGROOM_SHIM_SYNC", if real_syncs { "real" } else { "answered" });
    }
}

/// How a judge ended who did not simply say what is wrong.
fn describe(status: ExitStatus) -> String {
    status.signal().map_or_else(String::new, |signal| format!("the judge was ended by signal {signal}"))
}

/// A file's text; empty when there is no such file.
fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
