//! In which rows does a phrase stand, and how often?
//!
//! A phrase begins at a place if each of its words stands as far behind that place as it stands behind the phrase's first. So
//! each word's places are moved to where the phrase would begin, and those that all words agree on are left.

use std::cmp::Ordering;
use strongroom_format::words::{Place, Posting};

/// The rows that have a phrase, rising, from its words, each with how far behind the first it stands, and what tells
/// a word's places, rising.
pub fn postings<E>(
    words: &[(String, u32)],
    mut places: impl FnMut(&str) -> Result<Vec<Place>, E>,
) -> Result<Vec<Posting>, E> {
    let mut begins: Option<Vec<Place>> = None;
    for (word, behind) in words {
        let moved = places(word)?
            .into_iter()
            .filter_map(|place| Some(Place { position: place.position.checked_sub(*behind)?, ..place }));
        let both = match begins {
            None => moved.collect(),
            Some(mut begins) => {
                keep_both(&mut begins, moved);
                begins
            }
        };
        if both.is_empty() {
            return Ok(Vec::new());
        }
        begins = Some(both);
    }
    let begins = begins.unwrap_or_default();
    let rows = begins.chunk_by(|a, b| a.row == b.row);
    Ok(rows.map(|of_row| Posting { row: of_row[0].row, times: of_row.len() as u32 }).collect())
}

/// Leaves those that the others have too. Both rise.
fn keep_both(places: &mut Vec<Place>, others: impl Iterator<Item = Place>) {
    let mut others = others.peekable();
    places.retain(|place| {
        loop {
            match others.peek().map(|other| other.cmp(place)) {
                None | Some(Ordering::Greater) => return false,
                Some(Ordering::Equal) => return true,
                Some(Ordering::Less) => others.next(),
            };
        }
    });
}
