//! Is every act written down once, in a chain that shows what was changed?

use super::*;

fn control(folder: &tempfile::TempDir) -> Control {
    Control::open(&folder.path().join("control.sqlite"), &[1; 32], None).unwrap()
}

fn entry(workspace: u8, actor: Actor, receipt: Option<u8>) -> Entry {
    let by = By::system().with_actor(actor);
    let resource = [receipt.unwrap_or(0xff); 16];
    let erased = Entry::erased(WorkspaceId([workspace; 16]), by, Action::PartitionDrop, resource, resource);
    Entry { receipt: receipt.map(|id| [id; 16]), ..erased }
}

/// Number and actor of each row, newest first.
fn rows(control: &Control, workspace: u8) -> Vec<(u64, String)> {
    let found = control.audit_rows(WorkspaceId([workspace; 16]), AuditFilter::default(), 0, 99).unwrap();
    assert_eq!(found.1, found.0.len() as u64);
    found.0.into_iter().map(|row| (row.seq, row.actor.id().to_owned())).collect()
}

fn told(rows: &[(u64, &str)]) -> Vec<(u64, String)> {
    rows.iter().map(|(seq, who)| (*seq, (*who).to_owned())).collect()
}

/// Lost otherwise: an erasure would be told twice, or a gap would look as if somebody had taken a row out.
#[test]
fn a_receipt_has_one_row_and_numbers_have_no_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(&folder);
    let key = || Actor::Key("0123456789ab".to_owned());
    control.enter(|| vec![entry(1, key(), Some(7)), entry(2, Actor::System, Some(8))]).unwrap();
    control.enter(|| vec![entry(1, Actor::System, Some(7)), entry(1, Actor::Operator, Some(9))]).unwrap();
    // Without a receipt each is an act of its own.
    control.enter(|| vec![entry(1, key(), None), entry(1, key(), None)]).unwrap();
    let (me, one) = ("0123456789ab", rows(&control, 1));
    assert_eq!(one, told(&[(4, me), (3, me), (2, "operator"), (1, me)]));
    assert_eq!(rows(&control, 2), told(&[(1, "system")]));
    let receipt = |id: u8| (WorkspaceId([1; 16]), [id; 16]);
    let mut without = vec![receipt(6), receipt(7), receipt(9), receipt(10)];
    control.retain_without_row(&mut without).unwrap();
    assert_eq!(without, [receipt(6), receipt(10)]);
}

/// Lost otherwise: whoever reads the log could not rely on what it said before.
#[test]
fn rows_are_neither_changed_nor_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(&folder);
    control.enter(|| vec![entry(1, Actor::Operator, Some(7))]).unwrap();
    for change in ["UPDATE audit SET actor_kind = 'system'", "DELETE FROM audit"] {
        let refused = control.lock().execute(change, []).unwrap_err().to_string();
        assert!(refused.contains("the audit log is never"), "{change}: {refused}");
    }
    assert_eq!(rows(&control, 1), told(&[(1, "operator")]));
}

/// Lost otherwise: what could not be written would be forgotten, or written as somebody else's act.
#[test]
fn what_could_not_be_written_is_owed() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(&folder);
    let refuse = |refuse: bool| control.lock().pragma_update(None, "query_only", refuse).unwrap();
    refuse(true);
    assert!(control.enter(|| vec![entry(1, Actor::Operator, Some(7))]).is_err());
    assert!(control.enter(Vec::new).is_err(), "nothing is told to be written while something is owed");
    refuse(false);
    control.enter(|| vec![entry(1, Actor::System, Some(8))]).unwrap();
    assert_eq!(rows(&control, 1), told(&[(2, "system"), (1, "operator")]));
    refuse(true);
    control.enter(Vec::new).expect("nothing is owed any more");
}

/// The faults that a check of all chains finds, with what `tamper` does to a copy of the rows first.
fn faults(control: &Control, known: &[Head], tamper: &str) -> Vec<String> {
    let mut db = control.lock();
    let trial = db.transaction().unwrap();
    trial.execute_batch("DROP TRIGGER audit_rows_stay; DROP TRIGGER audit_rows_stand").unwrap();
    trial.execute_batch(tamper).unwrap();
    check(&trial, known).unwrap().faults
}

/// Lost otherwise: whoever can write the database would take out what they did, and the log would still look whole.
#[test]
fn what_was_changed_in_the_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(&folder);
    for number in 1..=4 {
        control
            .enter(|| vec![entry(1, Actor::Operator, Some(number)), entry(2, Actor::System, None)])
            .unwrap();
    }
    let known = [control.audit_head(WorkspaceId([1; 16])).unwrap()];
    assert_eq!(known[0].entries, 4);
    control.enter(|| vec![entry(1, Actor::Operator, None)]).unwrap();
    assert_eq!(faults(&control, &known, ""), [""; 0]);
    let one = "workspace = '01010101010101010101010101010101'";
    for (tamper, at) in [
        (
            format!("UPDATE audit SET actor_kind = 'system' WHERE {one} AND seq = 2"),
            "entry 2: it does not follow",
        ),
        (format!("UPDATE audit SET user_agent = '' WHERE {one} AND seq = 3"), "entry 3: it does not follow"),
        (format!("UPDATE audit SET times = 2 WHERE {one} AND seq = 1"), "entry 1: it does not follow"),
        (
            format!("UPDATE audit SET at_ms = at_ms - 1 WHERE {one} AND seq = 5"),
            "entry 5: it does not follow",
        ),
        (format!("UPDATE audit SET receipt = NULL WHERE {one} AND seq = 2"), "entry 2: it does not follow"),
        (format!("DELETE FROM audit WHERE {one} AND seq = 2"), "entry 3: the one before it is 1"),
        (format!("UPDATE audit SET hash = zeroblob(32) WHERE {one} AND seq = 1"), "entry 1: it does not"),
        // The chain alone can't tell that its end is gone: that is what a head is kept for.
        (format!("DELETE FROM audit WHERE {one} AND seq > 3"), "entry 4: it is not the one of the head"),
        ("DELETE FROM audit".to_owned(), "entry 4: it is not the one of the head"),
    ] {
        let found = faults(&control, &known, &tamper);
        assert!(found.first().is_some_and(|fault| fault.contains(at)), "{tamper}: {found:?}");
    }
    // Whoever changes a row and computes all hashes anew is found by the head alone.
    let anew = {
        let mut db = control.lock();
        let trial = db.transaction().unwrap();
        trial.execute_batch("DROP TRIGGER audit_rows_stay; DROP TRIGGER audit_rows_stand").unwrap();
        trial.execute_batch("UPDATE audit SET actor_kind = 'system' WHERE seq = 2").unwrap();
        begin(&trial).unwrap();
        (check(&trial, &[]).unwrap().faults, check(&trial, &known).unwrap().faults.len())
    };
    assert_eq!(anew, (vec![], 1));
}

/// Lost otherwise: two different rows would have one hash, and one could stand in the other's place.
#[test]
fn no_two_rows_read_alike_under_the_hash() {
    let row = || AuditRow {
        seq: 1,
        at_ms: 2,
        actor: Actor::Operator,
        action: "ab".to_owned(),
        resource_type: "c".to_owned(),
        resource_id: None,
        receipt: None,
        outcome: "done".to_owned(),
        request_id: None,
        peer: None,
        user_agent: None,
        times: 1,
        note: None,
        hash: [0; 32],
    };
    let rows = [
        row(),
        AuditRow { action: "a".to_owned(), resource_type: "bc".to_owned(), ..row() },
        AuditRow { resource_id: Some(String::new()), ..row() },
        AuditRow { receipt: Some(String::new()), ..row() },
        AuditRow { peer: Some("x".to_owned()), ..row() },
        AuditRow { user_agent: Some("x".to_owned()), ..row() },
        AuditRow { actor: Actor::Key("operator".to_owned()), ..row() },
        AuditRow { seq: 2, at_ms: 1, ..row() },
        AuditRow { note: Some(Vec::new()), ..row() },
        AuditRow { note: Some(vec![0]), ..row() },
    ];
    let mut hashes: Vec<_> = rows.iter().map(|row| chain::link(&chain::BEGIN, "w", row)).collect();
    hashes.push(chain::link(&[1; 32], "w", &row()));
    hashes.push(chain::link(&chain::BEGIN, "v", &row()));
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
}

/// Lost otherwise: a key would be minted, or a member made an owner, and nobody could tell who did it.
#[test]
fn an_act_and_its_row_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let control = control(&folder);
    let told = |number| vec![entry(1, Actor::Operator, Some(number))];
    let change = |db: &Connection| -> Result<(), ControlError> {
        db.execute("INSERT INTO workspaces VALUES ('00', 'made', 'live', 1)", [])?;
        Ok(())
    };
    let mut shown = false;
    let failed = control.act(
        told(1),
        |db| change(db).and_then(|()| Err::<(), _>(ControlError::NoKey)),
        |_, ()| shown = true,
    );
    assert!(failed.is_err() && rows(&control, 1).is_empty());
    control.act(told(2), change, |_, ()| {}).unwrap();
    // The same workspace again: it can't be made, and nothing says that it was.
    control.act(told(3), change, |_, ()| shown = true).unwrap_err();
    assert_eq!(rows(&control, 1).len(), 1);
    assert!(!shown, "requests saw what was not done");
}
