//! How are simulated lives lived by the hundred thousand, and where does it stand which ones were?
//!
//! The program `simulator` of the tests lives them; this module builds it, hands it a range of seeds, and enters
//! what passed into the ledger, `docs/simulator-ledger.csv`. Ranges of the ledger never overlap, so the sum of
//! its counts is the number of distinct seeds.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::steps::{Failed, Steps};

const LEDGER: &str = "docs/simulator-ledger.csv";

const HEAD: &str = "from_seed,seeds,commit,date";

/// A long run is entered into the ledger so often, in seconds: what was lived is not lost with the run.
const SLICE_SECONDS: u64 = 600;

/// How long to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Seconds(u64),
    Seeds(u64),
}

/// One row: a range of seeds that were lived without a violation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    from: u64,
    seeds: u64,
    commit: String,
    date: String,
}

impl Row {
    fn end(&self) -> u64 {
        self.from + self.seeds
    }
}

/// `cargo xtask sim …`; none when the words say nothing.
pub(crate) fn run(steps: &mut Steps, words: &[&str]) -> Option<Result<(), Failed>> {
    if let [seed] = words
        && let Ok(seed) = seed.parse::<u64>()
    {
        return Some(replay(steps, seed));
    }
    let (mut until, mut from) = (None, None);
    for pair in words.chunks(2) {
        let [option, number] = pair else { return None };
        match *option {
            "--hours" => until = Some(Until::Seconds(seconds_of(number)?)),
            "--seeds" => until = Some(Until::Seeds(number.parse().ok()?)),
            "--from" => from = Some(number.parse().ok()?),
            _ => return None,
        }
    }
    Some(live(steps, until?, from))
}

/// Hours, with a fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within a year, and not negative"
)]
fn seconds_of(hours: &str) -> Option<u64> {
    let hours = hours.parse::<f64>().ok().filter(|hours| (0.0..=8784.0).contains(hours))?;
    Some((hours * 3600.0).ceil() as u64)
}

pub(crate) fn build(steps: &mut Steps) -> Result<PathBuf, Failed> {
    steps.cargo("build the simulator", &["build", "--release", "--workspace", "--bin", "simulator"])?;
    Ok(steps.binary("release", "simulator"))
}

fn replay(steps: &mut Steps, seed: u64) -> Result<(), Failed> {
    let mut simulator = Command::new(build(steps)?);
    simulator.args(["replay", &seed.to_string()]);
    steps.run("simulated life", simulator)
}

/// Lives seeds until the time is up, slice by slice.
fn live(steps: &mut Steps, until: Until, from: Option<u64>) -> Result<(), Failed> {
    let simulator = build(steps)?;
    let mut ledger = read_ledger(steps)?;
    let start = from.unwrap_or_else(|| ledger.iter().map(Row::end).max().unwrap_or(0));
    let (commit, date) = (
        git(steps, &["rev-parse", "--short=12", "HEAD"])?,
        git(steps, &["show", "-s", "--format=%cs", "HEAD"])?,
    );
    let changes = git(steps, &["status", "--porcelain", "--", ".", &format!(":!{LEDGER}")])?;
    let why_not = if changes.is_empty() { None } else { Some("the tree is not what its commit says") };
    let (mut next, mut left) = (start, until);
    loop {
        let (unit, slice, rest) = match left {
            Until::Seconds(seconds) => {
                let slice = seconds.min(SLICE_SECONDS);
                ("seconds", slice, Until::Seconds(seconds - slice))
            }
            Until::Seeds(seeds) => ("seeds", seeds, Until::Seeds(0)),
        };
        let lived = run_simulator(steps, &simulator, next, unit, slice)?;
        next += lived;
        let row = Row { from: next - lived, seeds: lived, commit: commit.clone(), date: date.clone() };
        match why_not.or_else(|| overlap(&ledger, &row)) {
            Some(why) => println!("not entered into the ledger: {why}"),
            None => {
                enter(&mut ledger, row);
                write_ledger(steps, &ledger)?;
            }
        }
        let sum: u64 = ledger.iter().map(|row| row.seeds).sum();
        println!("seeds {start} to {} passed; the ledger has {sum}", next.saturating_sub(1));
        if matches!(rest, Until::Seconds(0) | Until::Seeds(0)) {
            return Ok(());
        }
        left = rest;
    }
}

/// Runs one slice and answers how many seeds it lived.
fn run_simulator(steps: &Steps, program: &PathBuf, from: u64, unit: &str, count: u64) -> Result<u64, Failed> {
    let failed = |why: &dyn std::fmt::Display| Failed::new("simulated lives", why);
    let mut simulator = Command::new(program);
    simulator.args(["live", &from.to_string(), unit, &count.to_string()]).current_dir(steps.root());
    let output = simulator.stderr(Stdio::inherit()).output().map_err(|e| failed(&e))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        return Err(failed(&said));
    }
    let seeds = said.split_once(' ').and_then(|(_, seeds)| seeds.parse().ok());
    seeds.ok_or_else(|| failed(&format!("the simulator said {said:?}")))
}

/// Insists that an engine that forgets one sync, and one that shares a statistic, are found out.
pub(crate) fn canary(steps: &mut Steps) -> Result<(), Failed> {
    // With a test beside, as everything else in the gate: for the program alone other features would be chosen.
    let arguments = ["build", "--profile", "gate", "--workspace", "--bin", "canary", "--test", "house"];
    steps.cargo("build the canary", &arguments)?;
    steps.run("canary", Command::new(steps.binary("gate", "canary")))
}

fn git(steps: &Steps, arguments: &[&str]) -> Result<String, Failed> {
    let output = Command::new("git").args(arguments).current_dir(steps.root()).output();
    let output = output.map_err(|e| Failed::new("git", &e))?;
    if !output.status.success() {
        return Err(Failed::new("git", &String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn read_ledger(steps: &Steps) -> Result<Vec<Row>, Failed> {
    let path = steps.root().join(LEDGER);
    let text = fs::read_to_string(&path).map_err(|e| Failed::new(LEDGER, &e))?;
    parse(&text).ok_or_else(|| Failed::new(LEDGER, &"not a ledger"))
}

fn parse(text: &str) -> Option<Vec<Row>> {
    let mut lines = text.lines();
    lines.next().filter(|head| *head == HEAD)?;
    lines
        .map(|line| {
            let [from, seeds, commit, date] = line.split(',').collect::<Vec<_>>().try_into().ok()?;
            let (from, seeds) = (from.parse().ok()?, seeds.parse().ok()?);
            Some(Row { from, seeds, commit: commit.to_owned(), date: date.to_owned() })
        })
        .collect()
}

fn write_ledger(steps: &Steps, rows: &[Row]) -> Result<(), Failed> {
    let lines = rows.iter().map(|row| format!("{},{},{},{}\n", row.from, row.seeds, row.commit, row.date));
    let text: String = [format!("{HEAD}\n")].into_iter().chain(lines).collect();
    fs::write(steps.root().join(LEDGER), text).map_err(|e| Failed::new(LEDGER, &e))
}

/// Why a range can't be entered: each seed counts once.
fn overlap(ledger: &[Row], row: &Row) -> Option<&'static str> {
    let overlaps = ledger.iter().any(|other| row.from < other.end() && other.from < row.end());
    overlaps.then_some("some of these seeds are in it already")
}

/// A range that goes on where the last one of the same commit ended makes that one longer.
fn enter(ledger: &mut Vec<Row>, row: Row) {
    match ledger.last_mut() {
        Some(last) if last.end() == row.from && last.commit == row.commit => last.seeds += row.seeds,
        _ => ledger.push(row),
    }
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Row, enter, overlap, parse};

    fn row(from: u64, seeds: u64, commit: &str) -> Row {
        Row { from, seeds, commit: commit.to_owned(), date: "2024-02-29".to_owned() }
    }

    // The count of distinct seeds that the documents state would be too high.
    #[test]
    fn no_seed_counts_twice() {
        let ledger = [row(0, 100, "a"), row(200, 100, "b")];
        for (from, seeds, is_free) in [
            (100, 100, true),
            (300, 1, true),
            (99, 1, false),
            (150, 51, false),
            (50, 500, false),
            (299, 1, false),
        ] {
            assert_eq!(overlap(&ledger, &row(from, seeds, "c")).is_none(), is_free, "{from} {seeds}");
        }
    }

    // A run of some days would fill the ledger with a row for every few minutes.
    #[test]
    fn what_goes_on_stays_one_row() {
        let mut ledger = parse(&format!("{HEAD}\n0,100,a,2024-02-29\n")).expect("a ledger");
        enter(&mut ledger, row(100, 50, "a"));
        enter(&mut ledger, row(150, 50, "b"));
        enter(&mut ledger, row(300, 50, "b"));
        assert_eq!(ledger, [row(0, 150, "a"), row(150, 50, "b"), row(300, 50, "b")]);
        assert_eq!(parse("seeds\n"), None);
        assert_eq!(parse(&format!("{HEAD}\n0,1,a\n")), None);
    }
}
