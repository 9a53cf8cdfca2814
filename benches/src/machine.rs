//! On what machine does a benchmark run, in which folder, and how does it run another process?
//!
//! Folders lie under cargo's target folder, on a real disk: the system's folder for temporary files is memory
//! on many machines, where a sync costs nothing.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An empty folder of this name beside the built programs, under cargo's target folder.
///
/// # Panics
/// When it can't be made.
pub fn fresh_folder(name: &str) -> PathBuf {
    let folder = folder(name);
    remove(&folder);
    fs::create_dir_all(&folder).expect("a folder under the target folder");
    folder
}

/// The path of a benchmark's folder, which may be there from an earlier run.
///
/// # Panics
/// When the system doesn't tell where this program lies.
pub fn folder(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    let target = program.ancestors().nth(2).expect("the target folder");
    target.join("bench").join(name)
}

/// Removes a folder with all that is in it; nothing happens when it isn't there.
///
/// # Panics
/// When it stays: the next figures would be another store's.
pub fn remove(folder: &Path) {
    if let Err(e) = fs::remove_dir_all(folder) {
        assert!(!folder.exists(), "{}: {e}", folder.display());
    }
}

/// The files in a folder and below it.
///
/// # Panics
/// When it can't be listed.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Asks the system to forget what it holds of these files in memory, so that the next read goes to the disk.
/// The system may refuse; dirty pages stay in any case.
///
/// # Panics
/// When a file can't be opened.
pub fn forget_pages(files: &[PathBuf]) {
    for path in files {
        let file = fs::File::open(path).expect("a file");
        file.sync_all().expect("a disk");
        #[cfg(target_os = "linux")]
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).ok();
    }
}

/// Memory that this process holds, in bytes (`VmRSS`).
///
/// # Panics
/// Where there is no `/proc`.
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}

/// The machine in a line: processor, its threads, memory, kernel, file system of the folder.
pub fn describe(folder: &Path) -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let processor = after(&read("/proc/cpuinfo"), "model name");
    let threads = std::thread::available_parallelism().map_or(0, usize::from);
    let memory_kib = after(&read("/proc/meminfo"), "MemTotal");
    let memory_kib = memory_kib.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let mounts = read("/proc/self/mounts");
    let file_system = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(point, _)| folder.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map_or("unknown file system", |(_, kind)| kind);
    format!(
        "{processor}, {threads} threads, {} GiB, Linux {}, {file_system}",
        memory_kib >> 20,
        kernel.trim().split('-').next().unwrap_or_default()
    )
}

/// Runs a process and reads the figures that it prints as JSON on its last line.
///
/// # Panics
/// When it fails, or prints something else.
pub fn figures(command: &mut Command) -> Value {
    let output = command.stderr(Stdio::inherit()).output().expect("a process");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {}\n{printed}", output.status);
    let line = printed.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{command:?} printed {line:?}: {e}"))
}

/// One of the figures that a process printed.
///
/// # Panics
/// When it isn't there.
pub fn figure(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap_or_else(|| panic!("no figure {name} in {figures}"))
}

/// This program once more, in a process of its own.
///
/// # Panics
/// When the system doesn't tell where this program lies.
pub fn myself(what: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.arg(what).arg(folder);
    command
}
