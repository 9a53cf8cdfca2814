//! Which stories does the fuzzer of the differential target begin with?
//!
//! Short ones, each about one thing that stores get wrong, written in acts and turned into bytes here.

use strongroom_engine::io::sim::Fault;
use strongroom_tests::model::kinds::{Act, Kind};

use crate::differential::{ACTS, FAULTS, INPUT_BYTES_MAX};

/// Document number 0 to 7, long, at once: bits of an argument.
const LONG: u8 = 0x80;
const AT_ONCE: u8 = 0x80;
const OWN_ID: u8 = 0x40;

/// Which partition: its name, and the newest workspace or the one before.
const ACME: u8 = 1;
const LIKE_ACME: u8 = 2;
const BEFORE: u8 = 4;

/// A story under way.
struct Story(Vec<u8>);

impl Story {
    fn new(kind: Kind, seed: u8) -> Story {
        let kind = (0..8).find(|number| Kind::of(u64::from(*number)) == kind);
        Story(vec![kind.expect("one of the eight kinds"), seed])
    }

    fn then(mut self, act: Act, place: u8, argument: u8) -> Story {
        let number = ACTS.iter().position(|other| *other == act).expect("an act of the table");
        self.0.extend([u8::try_from(number).expect("one of 32") | place << 5, argument]);
        self
    }

    /// The same act with each of these arguments.
    fn each(self, act: Act, place: u8, arguments: impl IntoIterator<Item = u8>) -> Story {
        arguments.into_iter().fold(self, |story, argument| story.then(act, place, argument))
    }

    fn again(self, times: usize, part: impl Fn(Story) -> Story) -> Story {
        (0..times).fold(self, |story, _| part(story))
    }
}

/// The argument for a fault so many steps ahead.
fn strike(fault: Fault, steps: u8) -> u8 {
    let number = FAULTS.iter().position(|other| *other == fault).expect("a fault of the table");
    7 * steps + u8::try_from(number).expect("one of seven")
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let stories = [
        every_day(),
        names_used_again(),
        purges(),
        full_disk(),
        hard_openings(),
        cramped(),
        batches(),
        strikes(),
    ];
    let seeds: Vec<Vec<u8>> = stories.into_iter().map(|story| story.0).collect();
    assert!(seeds.iter().all(|seed| seed.len() <= INPUT_BYTES_MAX), "a story that is cut");
    seeds
}

/// Every sort of write, flushed and not, over each way to end.
fn every_day() -> Story {
    let changes = |story: Story| {
        story
            .each(Act::Put, ACME, [0, 1, 2 | LONG, OWN_ID])
            .then(Act::PutMany, 0, 3)
            .then(Act::Update, ACME, 1)
            .each(Act::Delete, ACME, [0, 2])
            .then(Act::Restore, ACME, 0)
            .each(Act::Search, ACME, [0, 1])
            .then(Act::Look, ACME, 0)
    };
    let story = changes(Story::new(Kind::Mixed, 1)).then(Act::Kill, 0, 0);
    let story = changes(story).then(Act::Maintain, 0, 1).then(Act::PowerCut, 0, 0);
    changes(story).then(Act::Stop, 0, 0).then(Act::Check, 0, 0)
}

/// Dropped names and workspaces come back empty, for handles from before too.
fn names_used_again() -> Story {
    let round = |story: Story| {
        story
            .each(Act::Put, ACME, [0, 1])
            .each(Act::Keep, ACME, [1, 0])
            .then(Act::ThrowAway, ACME, 9)
            .then(Act::BringBack, ACME, 0)
            .each(Act::Rename, ACME, [3, 1])
            .then(Act::Put, LIKE_ACME, 0)
            .each(Act::PutOnce, ACME, [0, 0, 4])
            .then(Act::Pour, ACME, 2)
            .then(Act::PutOnce, ACME, 0)
            .then(Act::Put, ACME | BEFORE, 0)
            .then(Act::Hold, ACME, 0)
            .then(Act::Drop, ACME, 0)
            .then(Act::Put, ACME, 1)
            .then(Act::Search, ACME, 0)
            .then(Act::Hold, LIKE_ACME | BEFORE, 0)
            .then(Act::DropWorkspace, BEFORE, 0)
            .then(Act::Put, LIKE_ACME | BEFORE, 0)
            .then(Act::CreateWorkspace, 0, 0)
            .then(Act::CreateWorkspace, 0, 0)
            .then(Act::Maintain, 0, 1)
    };
    Story::new(Kind::Churn, 2).again(2, round).then(Act::PowerCut, 0, 0).again(1, round)
}

/// Documents go for good, at once and when their time comes.
fn purges() -> Story {
    Story::new(Kind::Mixed, 3)
        .each(Act::Put, ACME, 0..8)
        .then(Act::Maintain, 0, 1)
        .each(Act::Put, ACME, [OWN_ID, OWN_ID | LONG])
        .each(Act::Purge, ACME, [0, AT_ONCE, 1, 2])
        .then(Act::Kill, 0, 0)
        .then(Act::Restore, ACME, 0)
        .then(Act::Time, 0, 6)
        .then(Act::Maintain, 0, 0)
        .then(Act::PowerCut, 0, 0)
        .each(Act::Purge, ACME, [AT_ONCE, AT_ONCE | 1, AT_ONCE])
        .then(Act::Put, ACME, 0)
        .then(Act::Search, ACME, 0)
}

/// A full disk: what erases goes on, what writes is refused, and all is well when there is space.
fn full_disk() -> Story {
    let short = |story: Story| {
        story
            .then(Act::Fault, 0, strike(Fault::Enospc, 0))
            .each(Act::Put, ACME, [0, 1])
            .each(Act::Delete, ACME, [0, 1])
            .then(Act::Purge, ACME, AT_ONCE)
            .then(Act::Drop, LIKE_ACME, 0)
            .then(Act::DropWorkspace, BEFORE, 0)
            .then(Act::Maintain, 0, 1)
            .then(Act::CreateWorkspace, 0, 0)
            .then(Act::Kill, 0, 0)
            .then(Act::MakeSpace, 0, 0)
    };
    let put = |story: Story| story.each(Act::Put, ACME, 0..4).each(Act::Put, LIKE_ACME, [0, LONG | 1]);
    short(put(short(put(Story::new(Kind::Full, 4))))).then(Act::Put, ACME, 7)
}

/// Recovery is struck, and the recovery from that.
fn hard_openings() -> Story {
    FAULTS.into_iter().zip([3, 17, 9, 1, 5, 12]).fold(
        Story::new(Kind::Restless, 5),
        |story, (fault, steps)| {
            story
                .each(Act::Put, ACME, [0, 1, OWN_ID])
                .then(Act::Drop, LIKE_ACME, 0)
                .then(Act::Put, LIKE_ACME, 2)
                .then(Act::HardOpening, 0, strike(fault, steps))
        },
    )
}

/// Memory for hardly one partition, and many of them in turn.
fn cramped() -> Story {
    let round = |story: Story| {
        (0..8)
            .fold(story, |story, place| story.then(Act::Put, place, OWN_ID).then(Act::Search, place, 0))
            .then(Act::Maintain, 0, 0)
            .then(Act::Delete, ACME, 0)
    };
    Story::new(Kind::Cramped, 6).again(3, round).then(Act::Stop, 0, 0)
}

/// More than a flush takes, again and again, so that segments are merged.
fn batches() -> Story {
    let round = |story: Story| {
        story.then(Act::PutMany, ACME, LONG | 5).then(Act::Maintain, 0, 1).then(Act::Delete, ACME, 3).then(
            Act::Time,
            0,
            9,
        )
    };
    Story::new(Kind::Batches, 7).again(6, round).then(Act::Restore, ACME, 3).then(Act::Kill, 0, 0)
}

/// Each fault strikes a write, a drop and a flush.
fn strikes() -> Story {
    FAULTS.into_iter().zip(0..).fold(Story::new(Kind::Failing, 8), |story, (fault, number)| {
        story
            .each(Act::Put, ACME, [number, OWN_ID])
            .then(Act::Fault, 0, strike(fault, number % 4))
            .then(Act::Update, ACME, 0)
            .then(Act::Drop, LIKE_ACME, 0)
            .then(Act::Fault, 0, strike(fault, number))
            .then(Act::Put, LIKE_ACME, LONG)
            .then(Act::Maintain, 0, 1)
            .then(Act::MakeSpace, 0, 0)
    })
}
