//! In which second list may a row be found when its own is not looked at?
//!
//! In one that is near, but whose centroid lies in another direction from the row than that of its own: where a query is
//! farther from the one it is nearer to the other, and rarely farther from both (SOAR, Sun et al. 2023). Rows that are far from
//! their own centroid gain most by it, and only some get a second list, as each costs a second code.

use super::centroids::Centroids;
use super::groups::Groups;
use super::lloyd::Members;
use super::rows::Rows;
use super::workers::Workers;
use strongroom_kernel::Variant;

/// How much more the part of a second list's distance counts that lies along the way to the first.
const ALONG: f32 = 1.5;
/// The share of rows that get a second list, about: with more, the codes of 384 components would take more than 300 bytes a row. Of the fewest
/// that are put into lists, where centroids count for most, they take just so many.
const SHARE: f64 = 0.54;

/// A row's second list.
#[derive(Debug, Clone, Copy)]
struct Second {
    row: u32,
    list: u32,
    /// How far the row is from its own list's centroid, squared.
    distance: f32,
}

/// The rows that stand in each list as a second one, those first that gain most; in all lists about as many as [`SHARE`] says. Each list is filled
/// up to a multiple of `block` rows, its own among them, as far as there are any.
///
/// # Panics
/// When the rows are not those of the lists.
pub fn seconds(
    centroids: &Centroids,
    rows: &[f32],
    list_of_row: &[u32],
    block: usize,
    workers: &Workers,
) -> Vec<Vec<u32>> {
    let rows = Rows::new(rows, centroids.dimension());
    let members = Members::new(list_of_row, centroids.lists());
    let groups = Groups::new(centroids, workers);
    let found = workers
        .map(centroids.lists(), |list| of_list(centroids, &groups, list as u32, rows, members.of(list)));
    let mut found = found.concat();
    found.sort_unstable_by(|a, b| b.distance.total_cmp(&a.distance).then(a.row.cmp(&b.row)));
    let wanted = (found.len() as f64 * SHARE) as usize;
    let mut seconds = vec![Vec::new(); centroids.lists()];
    let mut wanted_in = vec![0; centroids.lists()];
    for (rank, Second { row, list, .. }) in found.into_iter().enumerate() {
        seconds[list as usize].push(row);
        wanted_in[list as usize] += usize::from(rank < wanted);
    }
    for (list, (seconds, wanted)) in seconds.iter_mut().zip(wanted_in).enumerate() {
        let own = members.of(list).len();
        // The nearest multiple, but none that leaves its own rows out.
        let room = ((own + wanted + block / 2) / block * block).max(own.next_multiple_of(block));
        seconds.truncate(room - own);
    }
    seconds
}

/// What is known of a row that looks for its second list.
struct Looking {
    /// Its length squared, and the product of it and its own centroid.
    square: f32,
    with_own: f32,
    /// How far it is from that centroid, squared; and what counts by how much of another way lies along the way to it.
    distance: f32,
    along: f32,
    best: Option<u32>,
    cost: f32,
}

/// The second list of each row of a list, in the groups that are nearest to the row; none when there is no other.
fn of_list(centroids: &Centroids, groups: &Groups, own: u32, rows: Rows<'_>, members: &[u32]) -> Vec<Second> {
    let vector = centroids.vector(own);
    let mut with_own = vec![0.0; centroids.lists()];
    let variant = Variant::best();
    variant.dot_rows(vector, centroids.vectors(), &mut with_own);
    let looking = |&row: &u32| {
        let row = rows.row(row);
        let (square, row_with_own) = (variant.dot(row, row), variant.dot(row, vector));
        let distance = (square - 2.0 * row_with_own + with_own[own as usize]).max(0.0);
        let along = if distance > 0.0 { ALONG / distance } else { 0.0 };
        Looking { square, with_own: row_with_own, distance, along, best: None, cost: f32::INFINITY }
    };
    let mut looking: Vec<Looking> = members.iter().map(looking).collect();
    groups.look(rows, members, |at, list, score| {
        let row = &mut looking[at];
        // What the way from that centroid to the row has in common with the way from the own one to it.
        let (bias, with_own) = (centroids.biases()[list as usize], with_own[list as usize]);
        let common = row.square - (score + bias) - row.with_own + with_own;
        let cost = row.along * common * common - 2.0 * score;
        let is_better = cost < row.cost || (cost == row.cost && row.best.is_some_and(|best| list < best));
        if is_better && list != own {
            (row.cost, row.best) = (cost, Some(list));
        }
    });
    let second = |(&row, looking): (&u32, &Looking)| {
        Some(Second { row, list: looking.best?, distance: looking.distance })
    };
    members.iter().zip(&looking).filter_map(second).collect()
}
