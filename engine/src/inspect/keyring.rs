//! What is in each slot of a mirror? Never the key.

use super::Lines;
use crate::verify::hex;
use strongroom_format::Damage;
use strongroom_format::keyring::{KeyKind, KeySlot, SLOT_BYTES, SlotState};

pub(super) fn inspect(bytes: &[u8], out: &mut Lines<'_>) {
    out.say(format_args!("keyring mirror: {} slots", bytes.len() / SLOT_BYTES));
    for (number, slot) in (0_u32..).zip(bytes.chunks(SLOT_BYTES)) {
        let at = u64::from(number) * SLOT_BYTES as u64;
        let read = if slot.len() == SLOT_BYTES {
            KeySlot::read(slot, number)
        } else {
            Err(Damage::new("KeySlot", "128 bytes", slot.len()))
        };
        if let Some(Some(slot)) = out.or_damage(read, at) {
            let state = match slot.state() {
                SlotState::Free => "free",
                SlotState::Live => "live",
                SlotState::Shredding => "shredding",
                SlotState::Shredded => "shredded",
            };
            let kind = match slot.kind() {
                KeyKind::Workspace => "workspace key",
                KeyKind::Partition => "partition key",
            };
            let (generation, retired) = (slot.generation, slot.retired_record);
            let (incarnation, workspace) = (hex(&slot.incarnation), hex(&slot.workspace));
            out.say(format_args!(
                "slot {number}: {state} {kind}, incarnation {incarnation}, workspace {workspace}, \
                 generation {generation}, retired record {retired}"
            ));
        }
    }
}
