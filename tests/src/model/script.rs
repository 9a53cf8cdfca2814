//! What happens in the life that is interrupted at each of its steps?
//!
//! Everything once, always the same. After an interruption the rest of it is lived as well.

use super::life::doc;
use super::world::World;
use super::{Doc, Spot};
use crate::chance::Chance;

/// The scripted life.
pub fn scripted_life(world: &mut World) {
    let mut chance = Chance::new(5);
    let spot = |workspace: u8, name: &str| Spot { workspace, name: Some(name.to_owned()) };
    let (acme, globex, other) = (spot(1, "acme"), spot(1, "globex"), spot(2, "acme"));
    let mut put = |world: &mut World, spot: &Spot, ids: &[&str]| {
        let docs: Vec<(Option<String>, Doc)> =
            ids.iter().map(|id| (Some((*id).to_owned()), doc(&mut chance))).collect();
        world.put_many(spot, &docs);
    };
    world.create_workspace(1);
    world.create_workspace(2);
    put(world, &acme, &["a", "b"]);
    put(world, &globex, &["a"]);
    put(world, &other, &["a"]);
    world.delete(&acme, "a");
    world.maintain(true);
    put(world, &acme, &["c"]);
    world.restore(&acme, "a");
    let mut chance = Chance::new(6);
    world.update(&acme, "b", doc(&mut chance));
    world.drop_partition(&globex);
    world.maintain(true);
    let mut put = |world: &mut World, spot: &Spot, id: &str| {
        world.put_many(spot, &[(Some(id.to_owned()), doc(&mut chance))]);
    };
    put(world, &globex, "new");
    for id in ["p", "q", "r", "s", "t"] {
        put(world, &acme, id);
        world.maintain(true);
        world.maintain(false);
    }
    world.drop_workspace(2);
    world.pour(&globex, &acme);
    world.delete(&acme, "c");
    world.check();
}
