//! In which second list may a row be found when its own is not looked at?
//!
//! In one that is near, but whose centroid lies in another direction from the row than that of its own: where a query is
//! farther from the one it is nearer to the other, and rarely farther from both (SOAR, Sun et al. 2023). Rows that are far from
//! their own centroid gain most by it, and only some get a second list, as each costs a second code.

use super::centroids::Centroids;
use super::lloyd::Members;
use super::rows::Rows;
use super::scan::each_score;
use super::workers::Workers;
use strongroom_kernel::Variant;

/// How much more the part of a second list's distance counts that lies along the way to the first.
const ALONG: f32 = 1.5;
/// One row in so many gets a second list, about: the codes of 384 components of more would take 300 bytes a row and more.
const SHARE: f64 = 0.4;

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
    let found = workers.map(centroids.lists(), |list| of_list(centroids, list, rows, members.of(list)));
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

/// The second list of each row of a list; none when there is no other.
fn of_list(centroids: &Centroids, own: usize, rows: Rows<'_>, members: &[u32]) -> Vec<Second> {
    let lists = centroids.lists();
    let vector = centroids.vector(own as u32);
    let mut with_own = vec![0.0; lists];
    Variant::best().dot_rows(vector, centroids.vectors(), &mut with_own);
    let mut scores = vec![0.0; members.len() * lists];
    each_score(centroids, 0..lists, rows, members, 0..members.len(), |at, list, score| {
        scores[at * lists + list] = score;
    });
    let second = |(&row, scores): (&u32, &[f32])| {
        let (row_with_own, square) = (product(rows.row(row), vector), product(rows.row(row), rows.row(row)));
        let distance = (square - 2.0 * row_with_own + with_own[own]).max(0.0);
        let along = if distance > 0.0 { ALONG / distance } else { 0.0 };
        let (mut least, mut second) = (f32::INFINITY, None);
        for (list, ((score, bias), with_own)) in
            (0..).zip(scores.iter().zip(centroids.biases()).zip(&with_own))
        {
            // What the way from that centroid to the row has in common with the way from the own one to it.
            let common = square - (score + bias) - row_with_own + with_own;
            let cost = along * common * common - 2.0 * score;
            if cost < least && list != own as u32 {
                (least, second) = (cost, Some(list));
            }
        }
        Some(Second { row, list: second?, distance })
    };
    members.iter().zip(scores.chunks_exact(lists)).filter_map(second).collect()
}

fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut product = [0.0];
    Variant::best().dot_rows(a, b, &mut product);
    product[0]
}
