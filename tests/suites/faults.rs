//! Does anything acknowledged get lost, or anything erased come back, when the disk fails or the process is killed?
//!
//! A script of 200 operations is lived on the real disk once for each of its calls that change files, and each
//! time something else happens to one of them: it fails once or from there on, for an I/O error or a full disk, or
//! the process is killed before, in or after it, or soon after the failure. If this fails, a user loses an acknowledged write, sees erased
//! data again, or meets a panic; the message names the call and how to strike it again.
//!
//! Every run lives a sample. `cargo xtask faults` lives all of it, `cargo xtask faults CALL MODE` one case. Except while the
//! calls are counted, a sync that isn't struck is answered at once: the machine lives on, so what the disk does in
//! its own time changes nothing, and a life takes a twentieth of it. `STRONGROOM_FAULTS_SYNC=real` waits nevertheless,
//! and judges without the library.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use strongroom_tests::chance::Chance;
use strongroom_tests::cores::on_all_cores;
use strongroom_tests::faults::strike::{Call, Finding, Mode, Workshop};

/// What to live: `all`, `all MODE`, `CALL MODE`; the sample when it isn't set.
const WANTED: &str = "STRONGROOM_FAULTS";

/// Whether every sync waits for the disk: `real`.
const SYNC: &str = "STRONGROOM_FAULTS_SYNC";

/// Of each mode, one call in so many is in the sample.
const SAMPLE: usize = 32;

/// Sorts of findings that are told.
const SORTS_TOLD_MAX: usize = 30;

/// Cases that are named of a sort, beside the one that is told in full.
const OTHERS_TOLD_MAX: usize = 20;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_erased_returns() {
    let real_syncs = std::env::var(SYNC).is_ok_and(|how| how == "real");
    let program = Path::new(env!("CARGO_BIN_EXE_faults-life"));
    let workshop = Workshop::new(Path::new(env!("CARGO_TARGET_TMPDIR")), program, real_syncs);
    let calls = workshop.count();
    for (name, least) in [("fdatasync", 150), ("fsync", 50), ("pwrite", 150), ("create", 20), ("unlink", 10)]
    {
        let count = calls.iter().filter(|call| call.name == name).count();
        assert!(count >= least, "{count} calls of {name}: does the engine make them past the library?");
    }
    let cases = match std::env::var(WANTED).as_deref() {
        Err(_) => sample(&calls),
        Ok(wanted) => chosen(&calls, wanted),
    };
    let findings = live(&workshop, &cases);
    say(&format!("{} calls, {} cases, {} findings", calls.len(), cases.len(), findings.len()));
    assert!(
        findings.is_empty(),
        "{} of {} cases failed:\n{}",
        findings.len(),
        cases.len(),
        report(&findings)
    );
}

/// Findings of one sort stand together: the first in full, of the others which they are.
fn report(findings: &[Finding]) -> String {
    let mut sorts: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        sorts.entry(&finding.why).or_default().push(finding);
    }
    let mut sorts: Vec<Vec<&Finding>> = sorts.into_values().collect();
    sorts.sort_by_key(|sort| std::cmp::Reverse(sort.len()));
    let mut text = String::new();
    for sort in sorts.iter().take(SORTS_TOLD_MAX) {
        let named = |f: &&Finding| format!("{} {}", f.call.number, f.mode.name());
        let others: Vec<String> = sort.iter().skip(1).take(OTHERS_TOLD_MAX).map(named).collect();
        text += &format!("{}  and {} more: {} …\n\n", sort[0], sort.len() - 1, others.join(", "));
    }
    if sorts.len() > SORTS_TOLD_MAX {
        text += &format!("and {} more sorts of findings\n", sorts.len() - SORTS_TOLD_MAX);
    }
    text
}

/// Of each mode, calls spread over the whole life, each mode with others.
fn sample(calls: &[Call]) -> Vec<(usize, Mode)> {
    let mut chance = Chance::new(3);
    let mut chosen = Vec::new();
    for mode in Mode::ALL {
        let fitting: Vec<&Call> = calls.iter().filter(|call| mode.fits(call)).collect();
        chosen.extend(fitting.chunks(SAMPLE).map(|some| (chance.pick(some).number, mode)));
    }
    chosen
}

/// What was asked for: `all`, `all MODE` or `CALL MODE`.
fn chosen(calls: &[Call], wanted: &str) -> Vec<(usize, Mode)> {
    let mut words = wanted.split_whitespace();
    let number = match words.next() {
        Some("all") => None,
        word => Some(word.and_then(|word| word.parse::<usize>().ok()).expect("a call's number, or all")),
    };
    let wanted = words.next().map(|name| {
        let names = || Mode::ALL.map(Mode::name);
        let mode = Mode::ALL.into_iter().find(|mode| mode.name() == name);
        mode.unwrap_or_else(|| panic!("a mode is one of {:?}, not {name:?}", names()))
    });
    let modes = Mode::ALL.into_iter().filter(|mode| wanted.is_none_or(|wanted| wanted == *mode));
    let calls = || calls.iter().filter(|call| number.is_none_or(|number| number == call.number));
    let of = |mode: Mode| calls().filter(move |call| mode.fits(call)).map(move |call| (call.number, mode));
    let cases: Vec<_> = modes.flat_map(of).collect();
    assert!(!cases.is_empty(), "there is no case {number:?} {wanted:?}");
    cases
}

/// Lives the cases on all processors, and answers what went wrong in the order of the cases.
fn live(workshop: &Workshop, cases: &[(usize, Mode)]) -> Vec<Finding> {
    let findings = Mutex::new(Vec::new());
    on_all_cores(cases.iter().enumerate(), |(at, (number, mode))| {
        if let Some(finding) = workshop.strike(*number, *mode) {
            findings.lock().expect("no worker panics").push((at, finding));
        }
    });
    let mut findings = findings.into_inner().expect("no worker panics");
    findings.sort_unstable_by_key(|(at, _)| *at);
    findings.into_iter().map(|(_, finding)| finding).collect()
}

#[expect(clippy::print_stderr, reason = "whoever lives all cases wants to know how many there were")]
fn say(line: &str) {
    eprintln!("{line}");
}
