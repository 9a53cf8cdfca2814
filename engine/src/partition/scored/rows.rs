//! What does a search ask of the rows of a source, as they are scored?

use super::Scored;
use crate::index::Bounds;
use crate::nearness::measure;
use crate::partition::ReadError;
use crate::partition::view::Rows;
use std::ops::Range;
use strongroom_kernel::{Estimate, Reached};

impl<'v> crate::index::Rows<'v> for Scored<'v, '_> {
    type Error = ReadError;

    fn places(&self, ordinals: Range<u32>) -> (Range<u32>, bool) {
        if let Rows::Segment(segment) = &self.source.rows
            && self.is_listed()
        {
            return (0..segment.place().rows, ordinals.len() == segment.directory().len());
        }
        (self.source.rows_of(ordinals.start).start..self.source.rows_of(ordinals.end - 1).end, true)
    }

    fn has_one_each(&self) -> bool {
        matches!(&self.source.rows, Rows::Segment(segment) if segment.is_row_by_row())
    }

    fn ordinal(&self, place: u32) -> u32 {
        self.source.ordinal(self.at(place), 0)
    }

    fn row(&self, place: u32) -> (u32, u32) {
        let row = self.at(place);
        let ordinal = self.source.ordinal(row, 0);
        (ordinal, row - self.source.rows_of(ordinal).start)
    }

    fn id(&self, ordinal: u32) -> &'v str {
        match &self.source.rows {
            Rows::Segment(segment) => &segment.directory()[ordinal as usize].id,
            Rows::Memtable(memtable) => &memtable.entries()[ordinal as usize].document.id,
        }
    }

    fn bounds(&self, places: Range<u32>, bounds: &mut [Bounds]) -> Result<bool, ReadError> {
        let mut own = [vec![Bounds::NONE; bounds.len()]];
        let exact = Self::bounds_together(&[self], &places, &mut own)?;
        bounds.copy_from_slice(&own[0]);
        Ok(exact)
    }

    fn bounds_together(
        searches: &[&Self],
        places: &Range<u32>,
        bounds: &mut [Vec<Bounds>],
    ) -> Result<bool, ReadError> {
        let queries: Option<Vec<_>> =
            searches.iter().map(|search| search.codes.as_ref().map(|codes| &codes.query)).collect();
        let (Some(queries), Some(Rows::Segment(segment))) =
            (queries, searches.first().map(|search| &search.source.rows))
        else {
            for (search, bounds) in searches.iter().zip(bounds) {
                search.exact(places.clone(), bounds)?;
            }
            return Ok(true);
        };
        if searches.iter().all(|search| search.is_bare() && search.doubt == 1.0) {
            segment.estimate(&queries, places.clone(), bounds)?;
            return Ok(false);
        }
        let mut estimates = vec![vec![Estimate::default(); places.len()]; searches.len()];
        segment.estimate(&queries, places.clone(), &mut estimates)?;
        for ((search, bounds), estimates) in searches.iter().zip(bounds).zip(estimates) {
            for ((place, bounds), estimate) in places.clone().zip(bounds).zip(estimates) {
                *bounds = search.between(place, estimate, search.doubt);
            }
        }
        Ok(false)
    }

    fn reach(&self, places: Range<u32>, floor: f32, reached: &mut Reached) -> Result<bool, ReadError> {
        let (Some(codes), Rows::Segment(segment)) = (&self.codes, &self.source.rows) else {
            return Ok(false);
        };
        let tells = self.is_bare() && self.doubt == 1.0;
        if tells {
            segment.reach(&codes.query, places, floor, reached)?;
        }
        Ok(tells)
    }

    fn exact(&self, places: Range<u32>, bounds: &mut [Bounds]) -> Result<(), ReadError> {
        let Some(vector) = self.vector else {
            for (row, bounds) in places.zip(bounds) {
                let word = self.word(row).filter(|&word| word > 0.0);
                *bounds = word.map_or(Bounds::NONE, |word| Bounds::exact(self.aged(row, word)));
            }
            return Ok(());
        };
        if self.is_listed() {
            return Ok(());
        }
        let mut of_vectors = vec![0.0; bounds.len()];
        match &self.source.rows {
            Rows::Segment(segment) => segment.score(vector, places.clone(), &mut of_vectors)?,
            Rows::Memtable(memtable) => {
                let components = places.start as usize * vector.len()..places.end as usize * vector.len();
                measure(self.metric).score_rows(vector, &memtable.vectors()[components], &mut of_vectors);
            }
        }
        for ((row, bounds), of_vector) in places.zip(bounds).zip(of_vectors) {
            *bounds = Bounds::exact(self.score(row, of_vector));
        }
        Ok(())
    }

    fn bounds_each(&self, places: &[u32], bounds: &mut [Bounds]) -> Result<(), ReadError> {
        if let (Some(codes), Rows::Segment(segment)) = (&self.codes, &self.source.rows) {
            let mut estimates = vec![Estimate::default(); places.len()];
            segment.estimate_each(&codes.query, places, &mut estimates)?;
            for ((&place, bounds), estimate) in places.iter().zip(bounds).zip(estimates) {
                *bounds = self.between(place, estimate, self.doubt);
            }
            return Ok(());
        }
        let mut scores = vec![0.0; places.len()];
        self.scores(places, &mut scores)?;
        for (bounds, score) in bounds.iter_mut().zip(scores) {
            *bounds = Bounds::exact(score);
        }
        Ok(())
    }

    fn scores(&self, places: &[u32], scores: &mut [f32]) -> Result<(), ReadError> {
        let (Some(vector), Rows::Segment(segment)) = (self.vector, &self.source.rows) else {
            for (&place, score) in places.iter().zip(scores) {
                let mut bounds = [Bounds::NONE];
                self.exact(place..place + 1, &mut bounds)?;
                *score = bounds[0].most;
            }
            return Ok(());
        };
        if !self.is_listed() {
            segment.score_each(vector, places, scores)?;
            for (&row, score) in places.iter().zip(scores) {
                *score = self.score(row, *score);
            }
            return Ok(());
        }
        // They are read in their order, whatever the order of places.
        let mut rows: Vec<(u32, usize)> = places.iter().map(|&place| self.at(place)).zip(0..).collect();
        rows.sort_unstable();
        let (rows, order): (Vec<u32>, Vec<usize>) = rows.into_iter().unzip();
        let mut of_vectors = vec![0.0; rows.len()];
        segment.score_each(vector, &rows, &mut of_vectors)?;
        for ((row, at), of_vector) in rows.into_iter().zip(order).zip(of_vectors) {
            scores[at] = self.score(row, of_vector);
        }
        Ok(())
    }
}
