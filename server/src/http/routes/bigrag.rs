//! Which routes do bigRAG's clients call?

use super::{Access, BodyKind, Kind, Partition, Route};
use crate::api::bigrag::{collections, events, reembed};
use crate::control::scopes::Scope;

const READ: Access = Access::Key(Scope::CollectionRead);
const WRITE: Access = Access::Key(Scope::CollectionWrite);

/// Collections and what is in them.
pub(super) static ROUTES: &[Route] = &[
    // Collections
    route!("POST" "/v1/collections", Free, WRITE, None, &[], Json, 201, "Make a collection", collections::create),
    route!("GET" "/v1/collections", Free, READ, None, &["name", "limit", "offset"], None, 200,
        "The collections that the key sees", collections::list),
    route!("GET" "/v1/collections/{name}", Free, READ, None, &[], None, 200, "A collection", collections::get),
    route!("PUT" "/v1/collections/{name}", Free, WRITE, None, &[], Json, 200,
        "Change a collection's settings", collections::change),
    route!("DELETE" "/v1/collections/{name}", Free, WRITE, None, &[], None, 200,
        "Delete a collection for good, all its partitions", collections::delete),
    route!("GET" "/v1/collections/{name}/stats", Free, READ, None, &[], None, 200,
        "What a collection holds", collections::stats),
    route!("POST" "/v1/collections/{name}/truncate", Free, WRITE, None, &[], None, 200,
        "Empty a collection for good", collections::truncate),
    route!("POST" "/v1/collections/{name}/reembed", Free, WRITE, None, &[], None, 202,
        "Embed a collection's documents anew, in the background", reembed::begin),
    route!("GET" "/v1/collections/{name}/events", Free, Access::KeyOrToken(Scope::CollectionRead), None, &["token"], None, 200,
        "What goes on in a collection, as server-sent events", events::stream),
    route!("POST" "/v1/collections/{name}/events/token", Free, READ, None, &[], None, 200,
        "A token of a minute's life for the events, for browsers", events::token),
];
