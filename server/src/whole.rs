//! How is a document read whole, when it may be as large as a hundred megabytes?
//!
//! Its part of the room for answers is taken before its bytes are read, by the size that its record tells. So as many are read at
//! once as may wait at once, and what finds no room costs one look at a record.

use std::sync::Arc;

use axum::response::Response;
use strongroom_engine::{DocumentInfo, Partition, ReadError};

use crate::message::error::ApiError;
use crate::pool::Tenant;
use crate::room::{Part, Room};

/// Where room is taken, and for whom.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) room: Room,
    pub(crate) tenant: Tenant,
}

/// All of a document's content.
pub(crate) fn all(document: &DocumentInfo) -> u64 {
    document.content_bytes
}

/// A document and its content.
pub(crate) struct Whole {
    pub(crate) document: DocumentInfo,
    pub(crate) content: Vec<u8>,
    /// What the content takes of the room, as long as it is there.
    pub(crate) part: Option<Arc<Part>>,
}

impl Whole {
    /// Has the answer keep what its content takes.
    pub(crate) fn held_by(part: Option<Arc<Part>>, mut response: Response) -> Response {
        if let Some(part) = part {
            response.extensions_mut().insert(part);
        }
        response
    }
}

impl Desk {
    /// Reads a document of a partition with as much of its content as `until` says; `None` when it isn't there, an error within when there is no room for it.
    pub(crate) fn read(
        &self,
        partition: &Partition,
        id: &str,
        until: fn(&DocumentInfo) -> u64,
    ) -> Result<Option<Result<Whole, ApiError>>, ReadError> {
        let Some(info) = partition.get(id)? else { return Ok(None) };
        let part = match self.room.reserve(self.tenant, until(&info)) {
            Ok(part) => part.map(Arc::new),
            Err(error) => return Ok(Some(Err(error))),
        };
        let found = partition.content_until(id, until)?;
        Ok(found.map(|(document, content)| Ok(Whole { document, content, part })))
    }
}
