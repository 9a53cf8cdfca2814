//! Does any route, with any key, give away, change or count what is not the key's?
//!
//! Made from the server's own table of routes: each is called with each kind of key about each place there is. A route whose
//! path or body nobody has described here fails the suite.

#[path = "isolation/probes.rs"]
mod probes;

use serde_json::{Value, json};
use strongroom::{BodyKind, Kind, Partition, Route, routes};
use strongroom_tests::client::{Answer, Client, with_query};
use strongroom_tests::collections;
use strongroom_tests::documents;
use strongroom_tests::keys::mint;
use strongroom_tests::memories;
use strongroom_tests::routes::vector;
use strongroom_tests::server::Server;
use strongroom_tests::world::{Place, World, filled, quiet, secret};

/// Somebody with a key, and what they may see.
struct Holder {
    name: &'static str,
    client: Client,
    /// The marks of what is theirs.
    own: Vec<&'static str>,
    /// The collections that their key reaches; all of its workspace when there is none.
    pinned_to: Option<&'static str>,
}

impl Holder {
    fn may_see(&self, mark: &str) -> bool {
        self.own.contains(&mark)
    }
}

const OURS: [&str; 9] = [
    "xqdefacme",
    "xqdefglobex",
    "xqdefnone",
    "xqtenacme",
    "xqtenglobex",
    "xqprivate",
    "xqmemacme",
    "xqmemglobex",
    "xqours",
];

/// Every mark of the world.
fn marks() -> impl Iterator<Item = &'static str> {
    OURS.into_iter().chain(["xqtheirs"])
}

fn holders(server: &Server, world: &World) -> Vec<Holder> {
    let operator = server.operator();
    let [ours, theirs] = ["ours", "theirs"].map(|name| operator.in_workspace(name));
    let with = |minter: &Client, fields: Value| operator.with_key(&mint(minter, &fields).key);
    let dead = mint(&ours, &json!({}));
    ours.delete(&format!("/v1/admin/api-keys/{}", dead.id)).expect(200);
    let tenant = &world.places.iter().find(|place| place.mark == "xqmemacme").expect("a tenant").tenant;
    let holder =
        |name, client, own: &[&'static str], pinned_to| Holder { name, client, own: own.to_vec(), pinned_to };
    vec![
        holder(
            "of a partition",
            with(&ours, json!({"partition": "xqdefacme"})),
            &["xqdefacme"],
            Some("default"),
        ),
        holder(
            "of a collection",
            with(&ours, json!({"collection": "shared"})),
            &["xqtenacme", "xqtenglobex"],
            Some("shared"),
        ),
        holder(
            "of a partition of a collection",
            with(&ours, json!({"collection": "shared", "partition": "xqtenacme"})),
            &["xqtenacme"],
            Some("shared"),
        ),
        holder(
            "of a tenant's memories",
            with(&ours, json!({"collection": "memory", "partition": tenant})),
            &["xqmemacme"],
            Some("memory"),
        ),
        holder("of many tenants", with(&ours, json!({"multi_tenant": true})), &OURS, None),
        holder("of the other workspace", with(&theirs, json!({})), &["xqtheirs"], None),
        holder("dead", operator.with_key(&dead.key), &[], Some("")),
        holder("nobody", operator.anonymous(), &[], Some("")),
    ]
}

/// Whether calling it changes nothing that is stored.
fn is_read(route: &Route) -> bool {
    let reads = [
        "/query",
        "/search/embed",
        "/search/batch",
        "/batch/get",
        "/batch/status",
        "/recall",
        "/recent",
        "/stats",
    ];
    route.method == "GET" || route.method == "POST" && reads.iter().any(|end| route.path.ends_with(end))
}

/// A JSON body that asks a route for something in a place.
///
/// # Panics
/// When the route is not known here.
fn body(route: &Route, place: &Place, world: &World) -> Value {
    let (partition, office) = (place.partition, world.office(place));
    let filters = if place.collection.contains("shared") { json!({"tenant": place.mark}) } else { json!({}) };
    let query = json!({"query": "secret budgets", "filters": filters});
    let with = |more: Value| {
        let mut all = query.clone();
        all.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        all
    };
    let numbers = vector(world.dimension, 3);
    let tenant = |mut body: Value| {
        body["tenantId"] = json!(place.tenant);
        body["userId"] = json!(place.mark);
        body
    };
    match route.path {
        "/v1/documents/embed" => json!({"content": "x", "embedding": numbers, "partition": partition}),
        "/v1/documents/batch" => json!({"documents": [{"content": "x"}], "partition": partition}),
        "/v1/search/embed" => json!({"embedding": numbers, "k": 50, "partition": partition}),
        "/v1/search/across" => {
            json!({"q": "secret budgets", "k": 50, "partitions": [place.partition.unwrap_or("gone")]})
        }
        "/v1/search/batch" => json!({"queries": [{"q": "secret budgets", "k": 50}], "partition": partition}),
        "/v1/search/feedback" => {
            json!({"query_id": "qry_00", "doc_id": place.document, "signal": "used"})
        }
        "/v1/schema/fields" => {
            json!({"fields": [{"name": "walked", "type": "int", "source": {"metadata": place.mark}}]})
        }
        "/v1/documents/{id}/move" | "/v1/threads/{id}/move" => {
            json!({"expect_partition": partition, "to_partition": "xqdefacme"})
        }
        "/v1/threads/{id}/acl" => json!({"acl_readers": ["user:walker"]}),
        "/v1/documents/{id}/summary" => json!({"content": "A walk along every route."}),
        "/v1/documents/backfill-entity" => json!({"tag_prefix": "of:"}),
        "/v1/partitions/{id}/copy" => json!({"to": "xqdefacme"}),
        "/v1/partitions/{id}/merge" => {
            json!({"into": "xqdefacme", "on_conflict": "leave", "move_keys": true})
        }
        "/v1/threads/{id}/append" => json!({"text": "A walk along every route."}),
        "/v1/collections" => json!({"name": format!("of {}", place.mark)}),
        "/v1/collections/{name}" => json!({"description": "taken over"}),
        "/v1/collections/{name}/documents/batch/get"
        | "/v1/collections/{name}/documents/batch/status"
        | "/v1/collections/{name}/documents/batch/delete" => json!({"document_ids": [place.document]}),
        "/v1/collections/{name}/vectors/upsert" => {
            json!({"vectors": [{"id": place.document, "embedding": numbers, "metadata": filters}]})
        }
        "/v1/collections/{name}/vectors/delete" => json!({"ids": [place.document]}),
        "/v1/collections/{name}/query" => query,
        "/v1/query" => with(json!({"collections": [place.collection]})),
        "/v1/batch/query" => json!({"queries": [with(json!({"collection": place.collection}))]}),
        "/v1/partitions" => {
            json!({"id": partition.unwrap_or("gone"), "collection": place.collection})
        }
        "/v1/partitions/{id}" => json!({"hold": true}),
        "/v1/default-partition" => json!({"document_ttl_seconds": 86400}),
        "/v1/admin/workspaces/{id}" => json!({"partitions": {"declared_only": true}}),
        "/api/v1/tenants" => json!({"name": format!("Tenant {}", place.mark)}),
        "/api/v1/tenants/{id}" => json!({"name": "taken over"}),
        "/api/v1/memory/ingest" => {
            tenant(json!({"messages": [{"role": "user", "content": "I like budgets"}]}))
        }
        "/api/v1/memory/recall" => tenant(json!({"query": "secret budgets"})),
        "/api/v1/memory/recent" | "/api/v1/memory/stats" | "/api/v1/memory/forget" => tenant(json!({})),
        "/v1/admin/workspaces" => json!({"name": format!("of {}", place.mark)}),
        "/v1/admin/api-keys" => {
            json!({"name": "walker", "scopes": ["*"], "collection": place.collection, "partition": partition})
        }
        "/v1/admin/api-keys/{id}" => json!({"name": "taken over"}),
        "/v1/admin/members" | "/v1/admin/users" => {
            json!({"email": format!("{}@walk.example", place.mark), "password": "correct horse battery"})
        }
        "/v1/admin/members/{id}" | "/v1/admin/users/{id}" => json!({"role": "admin"}),
        "/v1/admin/invitations" => json!({"email": format!("{}@walk.example", office.id)}),
        "/v1/admin/quotas" => {
            json!({"collection": place.collection, "partition": partition, "quota": {"queries_per_day": 1_000_000}})
        }
        "/v1/auth/setup" | "/v1/auth/login" => {
            json!({"email": "walk@x.example", "password": "correct horse battery"})
        }
        "/v1/auth/accept" => json!({"token": "sri_guess", "password": "correct horse battery"}),
        "/v1/auth/password" => json!({"current_password": "guess", "new_password": "correct horse battery"}),
        path => panic!("{} {path}: say what its body is", route.method),
    }
}

/// The query's parameters: the place named, or nothing.
fn address(route: &Route, place: &Place, world: &World, is_named: bool) -> String {
    let path = filled(route.path, place, world.office(place));
    let named = match route.partition {
        _ if !is_named => None,
        Partition::InQuery | Partition::InCollection => place.partition.map(|name| ("partition", name)),
        Partition::TenantInQuery => Some(("tenantId", place.tenant.as_str())),
        _ => None,
    };
    let mut pairs: Vec<(&str, &str)> = named.into_iter().collect();
    match route.path {
        "/v1/search" => pairs.extend([("q", "secret budgets"), ("k", "50"), ("trace", "true")]),
        "/api/v1/memory/recent" | "/api/v1/memory/stats" if route.method == "GET" => {
            pairs.push(("userId", place.mark))
        }
        path if (path.starts_with("/v1/partitions")
            || ["/v1/look-alikes", "/v1/default-partition"].contains(&path))
            && !(route.method == "POST" && path == "/v1/partitions") =>
        {
            pairs.push(("collection", place.collection));
        }
        "/v1/export" | "/v1/import" => pairs.push(("collection", place.collection)),
        "/v1/collections/{name}/events" => pairs.push(("token", "guess")),
        _ => {}
    }
    with_query(&path, &pairs)
}

/// A request, ready to be sent.
struct Sent {
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// What is sent to ask a route about a place.
fn request(route: &Route, place: &Place, world: &World, is_named: bool) -> Sent {
    let kind = |text: &str| vec![("content-type", text.to_owned())];
    let (headers, body) = match route.body {
        BodyKind::None => (Vec::new(), Vec::new()),
        BodyKind::Json => (kind("application/json"), body(route, place, world).to_string().into_bytes()),
        BodyKind::Document => (Vec::new(), b"A walk along every route.".to_vec()),
        BodyKind::Form => {
            let metadata = (place.collection.contains("shared")).then(|| json!({"tenant": place.mark}));
            let files = [("file", "walk.txt", "A walk along every route.")];
            let form = format!("multipart/form-data; boundary={}", collections::BOUNDARY);
            (kind(&form), collections::form(&files, metadata.as_ref()))
        }
    };
    Sent { path: address(route, place, world, is_named), headers, body }
}

/// Calls a route about a place. Answers what was sent, for what may be repeated, and what came back.
fn call(holder: &Holder, route: &Route, place: &Place, world: &World, is_named: bool) -> (String, Answer) {
    let Sent { path, headers, body } = request(route, place, world, is_named);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let said = format!("{path} {}", String::from_utf8_lossy(&body));
    (said, holder.client.send(route.method, &path, &headers, body))
}

/// The routes that somebody answers: those that are named for later have nothing to give away.
fn offered() -> impl Iterator<Item = &'static Route> {
    routes().filter(|route| !route.is_not_offered())
}

/// Whether this would be answered with a stream that has no end.
fn is_endless(holder: &Holder, route: &Route, place: &Place) -> bool {
    route.path.ends_with("/events") && holder.pinned_to.is_none_or(|own| own == place.collection)
}

// One end-client's key would show, change or delete what is another's, by a route that somebody forgot.
#[test]
fn no_route_gives_a_key_what_is_not_its_own() {
    let server = Server::start();
    let world = World::fill(&server);
    let operator = server.operator();
    let inventory = |place: &Place| world.inventory(&operator, place);
    for holder in holders(&server, &world) {
        let foreign: Vec<&Place> = world.places.iter().filter(|place| !holder.may_see(place.mark)).collect();
        let before: Vec<Value> = foreign.iter().map(|place| inventory(place)).collect();
        let mut served = 0;
        for route in offered() {
            for place in &world.places {
                let is_own = holder.may_see(place.mark);
                // What it may do to its own is no matter here.
                if is_endless(&holder, route, place) || is_own && !is_read(route) {
                    continue;
                }
                for is_named in [true, false] {
                    let (said, answer) = call(&holder, route, place, &world, is_named);
                    let about = format!("the key {}, {} {said}: {answer}", holder.name, route.method);
                    check(&holder, &said, &answer, &about);
                    let is_fine = (200..300).contains(&answer.status);
                    served += usize::from(is_own && is_fine);
                    let is_outside = holder.pinned_to.is_some()
                        && is_named
                        && names_foreign(&holder, route, place, &world);
                    assert!(!(is_outside && is_fine && route.kind == Kind::Data), "{about}");
                    assert!(answer.status < 500, "{about}");
                }
            }
        }
        for (place, before) in foreign.iter().zip(before) {
            assert_eq!(inventory(place), before, "{} was changed by the key {}", place.mark, holder.name);
        }
        assert!(served > 0 || holder.own.is_empty(), "the key {} was served nothing of its own", holder.name);
    }
}

/// Whether a call about this place that names all that it can names something that isn't the holder's.
fn names_foreign(holder: &Holder, route: &Route, place: &Place, world: &World) -> bool {
    let is_foreign = !holder.may_see(place.mark);
    match route.partition {
        Partition::None => false,
        Partition::InQuery | Partition::InBody | Partition::InPath => is_foreign && place.partition.is_some(),
        Partition::InCollection => {
            is_foreign && (place.partition.is_some() || holder.pinned_to != Some(place.collection))
        }
        Partition::TenantInQuery | Partition::TenantInBody => {
            let mut own = world.places.iter().filter(|p| p.collection == "memory" && holder.may_see(p.mark));
            own.all(|own| own.tenant != place.tenant)
        }
    }
}

/// Looks for what the holder may not see.
fn check(holder: &Holder, said: &str, answer: &Answer, about: &str) {
    let told = format!("{:?} {}", answer.headers, answer.text());
    for mark in marks().filter(|mark| !holder.may_see(mark)) {
        assert!(!told.contains(&secret(mark)), "{mark} leaked. {about}");
        // Whoever may write anywhere may have given anything any name.
        let is_free = holder.pinned_to.is_none() || said.contains(mark);
        assert!(is_free || !told.contains(mark), "{mark} is named. {about}");
    }
}

// An end-client would learn how much the others have, or that there are others, from a count, a score or an order.
#[test]
fn answers_are_the_same_whatever_the_others_do() {
    let server = Server::start();
    let world = World::fill(&server);
    let pinned: Vec<Holder> = holders(&server, &world)
        .into_iter()
        .filter(|holder| holder.own.len() == 1 && holder.pinned_to.is_some())
        .collect();
    let counted = |route: &&Route| {
        // How the whole process is, and what this key itself has asked so far, change with every call.
        !["/metrics", "/v1/usage", "/api/v1/usage"].contains(&route.path) && !route.path.ends_with("/events")
    };
    let all = || -> Vec<(String, u16, Value)> {
        let mut seen = Vec::new();
        for holder in &pinned {
            for place in world.places.iter().filter(|place| holder.may_see(place.mark)) {
                for route in offered().filter(|route| is_read(route)).filter(counted) {
                    let (said, answer) = call(holder, route, place, &world, true);
                    let mut body = match route.path {
                        "/v1/export" if answer.status == 200 => json!(documents::of_bundle(&answer.body)),
                        _ => serde_json::from_slice(&answer.body).map_or(json!(answer.text()), quiet),
                    };
                    // A memory's score falls as it ages.
                    let memories = body.get_mut("memories").and_then(Value::as_array_mut);
                    for memory in memories.into_iter().flatten() {
                        for name in ["score", "relevance", "recency"] {
                            memory[name] = Value::Null;
                        }
                    }
                    seen.push((format!("{} {} {said}", holder.name, route.method), answer.status, body));
                }
            }
        }
        seen
    };
    let before = all();
    let operator = server.operator();
    let ours = operator.in_workspace("ours");
    for number in 0..20 {
        let text = format!("zqnew secret budgets, budgets and budgets {number}");
        documents::insert(&ours, Some("xqdefglobex"), &text);
        documents::insert(&ours, Some(&format!("xqnew{number}")), &text);
        collections::upload(&ours, "shared", &text, json!({"tenant": "xqtenglobex"}));
        collections::upload(&ours, "shared", &text, json!({"tenant": format!("xqnew{number}")}));
        let tenant = memories::tenant(&ours, &format!("New {number}"));
        memories::ingest(&ours, Some(&tenant), "xqmemacme", &[&text]);
        documents::insert(&operator.in_workspace("theirs"), Some("xqdefacme"), &text);
    }
    mint(&ours, &json!({}));
    ours.delete("/v1/partitions/xqnew3").expect(200);
    for (before, after) in before.iter().zip(all()) {
        assert_eq!(*before, after);
    }
    assert!(before.iter().filter(|(_, status, _)| *status == 200).count() > 40, "something was answered");
}
