//! Which damage was met in the keyring?

use strongroom_format::Damage;

/// How many places are told apart. A mirror that is garbage from end to end is told well enough by these.
const NOTES_MAX: usize = 1000;

/// Damage that was met, each place once.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Damage>);

impl Notes {
    pub(super) fn add(&mut self, damage: Damage) {
        if self.0.len() < NOTES_MAX && !self.0.contains(&damage) {
            self.0.push(damage);
        }
    }

    pub(super) fn all(&self) -> Vec<Damage> {
        self.0.clone()
    }
}
