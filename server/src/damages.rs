//! What damage was met on the disk, and does the operator know?
//!
//! Opening, serving and scrubbing all meet damage, and most of it again and again. Here each place is told once: a line
//! in the log and one in the counter that an alarm can watch.
//!
//! Invariants:
//! 1. A line names file, offset and field, never what stands there: it may be a tenant's.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use strongroom_engine::Damage;

use crate::log;
use crate::metrics::Metrics;

/// Beyond this many places the log says no more than that.
const TOLD_MAX: usize = 4096;

/// The places that were told.
#[derive(Debug, Default)]
pub(crate) struct Damages {
    told: Mutex<HashSet<(String, u64, &'static str)>>,
}

/// Where the damage is, in the operator's words.
pub(crate) fn place(damage: &Damage) -> String {
    let file = if damage.file.is_empty() { "an unknown file" } else { &damage.file };
    format!("damage in {file} at byte {}: {}", damage.offset, damage.field)
}

impl Damages {
    /// Tells what wasn't told before.
    pub(crate) fn tell(&self, metrics: &Metrics, found: &[Damage]) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for damage in found {
            if told.len() >= TOLD_MAX || !told.insert((damage.file.clone(), damage.offset, damage.field)) {
                continue;
            }
            metrics.count_damage();
            log::error(&place(damage));
            if told.len() == TOLD_MAX {
                log::error("no more damage is listed here: stop the server and run strongroom verify");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: one bad sector would fill the log every minute, or a second one go unnoticed behind it.
    #[test]
    fn each_place_is_told_once() {
        let (damages, metrics) = (Damages::default(), Metrics::new());
        let at = |offset| Damage::new("BlockHeader.crc32", 1, "a tenant's word").at("segments/a", offset);
        damages.tell(&metrics, &[at(0), at(0), at(512)]);
        damages.tell(&metrics, &[at(512), at(0)]);
        assert!(metrics.render().contains("strongroom_damages_total 2\n"), "{}", metrics.render());
        assert_eq!(place(&at(512)), "damage in segments/a at byte 512: BlockHeader.crc32");
    }
}
