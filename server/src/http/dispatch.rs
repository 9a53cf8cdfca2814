//! What has to hold before a handler runs?
//!
//! The router is made from the table of routes; every route enters here. The checks run in one order for all of them:
//! authentication (401), scope (403), partition (400, 403), the rest of the request's line (400, 501), and only then
//! the handler, which may read the body.
//!
//! Invariants:
//! 1. A handler of a data route whose partition is in the query gets it decided, as a `Place`.
//! 2. What the contract names and this server doesn't offer yet is answered 501, never left out in silence.

use std::future::ready;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, any, on};
use strongroom_engine::WorkspaceId;
use tokio::time::Instant;

use super::edge::{Peer, RequestId, Template};
use super::routes::{Access, BodyKind, Kind, Partition, Route, routes};
use crate::access::{Asked, DOCUMENT, Does, THREAD};
use crate::app::App;
use crate::auth::{Caller, Named, authenticate, counting, dead_key_of, session};
use crate::call::{Call, Parts, admit, place};
use crate::control::scopes::Scope;
use crate::control::{Action, Actor, By, Entry, Outcome};
use crate::idempotency::Promise;
use crate::message::acting;
use crate::message::body::Sent;
use crate::message::error::ApiError;
use crate::message::query::{Query, path_values};
use crate::pool::{self, Tenant};
use crate::quota::Admission;
use crate::statement::{self, Traced};
use crate::waste::{Debtor, Tab, Wait};
use crate::watch::Watch;

/// The route on which what was used is read.
const USAGE: &str = "/v1/usage";

/// Parameters that would change what is returned, and that come with later versions.
const NOT_OFFERED: [&str; 1] = ["extract_facts"];

/// Of what a client calls itself, so much is written down.
const AGENT_CHARS_MAX: usize = 256;

/// The router over the whole table.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let mut paths: Vec<(&'static str, MethodRouter)> = Vec::new();
    for route in routes() {
        let handler = {
            let app = app.clone();
            move |request: Request| enter(app.clone(), route, request)
        };
        let at = paths.iter().position(|(path, _)| *path == route.path).unwrap_or_else(|| {
            paths.push((route.path, MethodRouter::new()));
            paths.len() - 1
        });
        let methods = std::mem::take(&mut paths[at].1);
        paths[at].1 = match filter(route.method) {
            Some(filter) => methods.merge(on(filter, handler)),
            None => methods.merge(any(handler)),
        };
    }
    let mut router = Router::new();
    for (path, methods) in paths {
        router = router.route(path, methods);
    }
    let unrouted = |refusal: fn(&Request) -> Response| {
        let app = app.clone();
        move |request: Request| ready(unrouted(&app, request, refusal))
    };
    router.method_not_allowed_fallback(unrouted(wrong_method)).fallback(unrouted(unknown_path))
}

/// `None` stands for every method.
fn filter(method: &str) -> Option<MethodFilter> {
    match method {
        "GET" => Some(MethodFilter::GET),
        "POST" => Some(MethodFilter::POST),
        "PUT" => Some(MethodFilter::PUT),
        "PATCH" => Some(MethodFilter::PATCH),
        "DELETE" => Some(MethodFilter::DELETE),
        _ => None,
    }
}

/// Refuses what no route takes, body and all.
fn unrouted(app: &App, request: Request, refusal: fn(&Request) -> Response) -> Response {
    let (tab, response) = (open_tab(app, &request), refusal(&request));
    drop(request);
    settle(app, tab, response)
}

/// Begins to count what a request may come to owe; until it is known whose it is, its address does.
fn open_tab(app: &App, request: &Request) -> Tab {
    let sent = request.extensions().get::<Sent>().cloned().unwrap_or_default();
    app.waste.begin(sent, Debtor::new(request.extensions().get::<Peer>().map(|peer| peer.0)))
}

/// Has an answer wait for what is owed.
fn settle(app: &App, tab: Tab, mut response: Response) -> Response {
    let wait = tab.settle(response.status(), Instant::now());
    if !wait.is_zero() {
        app.metrics.count_held_refusal();
        response.extensions_mut().insert(Wait(wait));
    }
    response
}

fn unknown_path(_: &Request) -> Response {
    ApiError::missing("route_not_found", "there is no such route; /openapi.json lists those there are")
        .unrendered()
}

fn wrong_method(request: &Request) -> Response {
    let path = request.uri().path();
    let allowed: Vec<_> = routes().filter(|route| route.matches(path)).map(|route| route.method).collect();
    let allowed = allowed.join(", ");
    let text = format!("this route takes {allowed}, not {}", request.method());
    let mut response = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text).unrendered();
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

async fn enter(app: Arc<App>, route: &'static Route, request: Request) -> Response {
    // The router takes an empty value in a path, which no id is.
    if !route.matches(request.uri().path()) {
        return unrouted(&app, request, unknown_path);
    }
    let mut known = Known::default();
    let mut tab = open_tab(&app, &request);
    let answering = pool::with_tenant(async {
        let call = check(app.clone(), route, request, &mut known).await?;
        tab.is_of(call.debtor());
        let response = (route.handler)(call).await?;
        app.answers.hold(pool::current(), response)
    });
    let outcome = answering.await;
    let Known { who, admission, traced, read } = known;
    let statement = traced.and_then(|(traced, scope)| traced.header(&app, &scope));
    if let (Some((workspace, by)), Some(read)) = (&who, read) {
        app.access.tell(read.asked(*workspace, by.clone()), outcome.as_ref().map(drop));
    }
    if let (Err(error), Some((workspace, by))) = (&outcome, who)
        && [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&error.status)
    {
        let asked = format!("{} {}", route.method, route.path);
        let outcome = Outcome::Refused(error.code);
        app.control.count_refusal(Entry { outcome, ..Entry::done(workspace, by, Action::Denied, asked) });
    }
    let mut response = outcome.unwrap_or_else(ApiError::unrendered);
    if let Some(standing) = admission.and_then(|admission| admission.end(response.status().is_success())) {
        response.extensions_mut().insert(standing);
    }
    if let Some(statement) = statement {
        response.headers_mut().insert(statement::HEADER, statement);
    }
    response.extensions_mut().insert(Template(route.path));
    settle(&app, tab, response)
}

/// What comes to be known of a request on its way, whether it passes or not.
#[derive(Default)]
struct Known {
    /// Whose it is.
    who: Option<(WorkspaceId, By)>,
    /// What of quotas it has taken.
    admission: Option<Arc<Admission>>,
    /// What is opened for it, and the right to have that signed.
    traced: Option<(Arc<Traced>, strongroom_engine::Scope)>,
    /// What it is seen to do with documents.
    read: Option<Read>,
}

/// What has to be known of a request to say who read what.
struct Read {
    watch: Arc<Watch>,
    principal: Option<String>,
    is_administrator: bool,
    does: Does,
    resource: Option<String>,
}

impl Read {
    /// A request on this route; `values` are those of its path.
    fn new(app: &App, route: &Route, caller: &Caller, query: &Query, values: &[String]) -> Self {
        let does = match (route.kind, route.access) {
            (Kind::Data, Access::Key(Scope::DocumentRead)) => Does::Read,
            (Kind::Data, Access::Key(Scope::QueryRead)) => Does::Search,
            _ => Does::Other,
        };
        Self {
            watch: app.access.watch(),
            principal: query.get(acting::PARAMETERS[0]).map(|principal| principal.trim().to_owned()),
            is_administrator: caller.is_administrator(),
            does,
            resource: resource(route.path, values),
        }
    }

    fn asked(self, workspace: WorkspaceId, by: By) -> Asked {
        let Self { watch, principal, is_administrator, does, resource } = self;
        Asked { workspace, by, principal, is_administrator, does, resource, seen: watch.seen() }
    }
}

/// What a path names: `document:…` or `thread:…`.
fn resource(path: &str, values: &[String]) -> Option<String> {
    let mut last = "";
    let mut values = values.iter();
    for part in path.split('/') {
        if part.starts_with('{') {
            let value = values.next()?;
            match last {
                "documents" | "records" => return Some(format!("{DOCUMENT}{value}")),
                "threads" => return Some(format!("{THREAD}{value}")),
                _ => {}
            }
        }
        last = part;
    }
    None
}

/// Everything that comes before the handler, in order.
async fn check(
    app: Arc<App>,
    route: &'static Route,
    request: Request,
    Known { who, admission, traced, read }: &mut Known,
) -> Result<Call, ApiError> {
    let (head, body) = request.into_parts();
    let (peer, by) = whence(&head);
    let mut caller = match route.access {
        Access::Open => None,
        // A session that is over keeps nobody from what is open to everybody.
        Access::OpenOrKey if !head.headers.contains_key(header::AUTHORIZATION) => {
            authenticate(&app.control, &head.headers).ok()
        }
        Access::KeyOrToken(_) if brings_token(&head.uri) => None,
        Access::OpenOrKey | Access::AnyKey | Access::Key(_) | Access::KeyOrToken(_) | Access::Past(_) => {
            Some(authenticate(&app.control, &head.headers).inspect_err(|_| {
                let dead = dead_key_of(&app.control, &head.headers);
                *who = dead.map(|(workspace, actor)| (workspace, by.with_actor(actor)));
            })?)
        }
    };
    if let Some(caller) = &caller {
        *who = caller.workspace().ok().map(|own| (own.id, by.with_actor(caller.actor())));
        if caller.signed_in().is_some() && session::changes(&head.method) {
            session::require_same_origin(&head.headers, app.public_url.as_ref())?;
        }
    }
    if let Some(caller) = &caller {
        match route.access {
            Access::Past(scopes) => caller.require_one_of(scopes)?,
            Access::Key(scope) | Access::KeyOrToken(scope) => {
                caller.require_no_gone_workspace()?;
                caller.require(scope)?;
            }
            Access::Open | Access::OpenOrKey | Access::AnyKey => caller.require_no_gone_workspace()?,
        }
    }
    if let Some(caller) = &caller {
        if let Ok(workspace) = caller.workspace() {
            pool::now_for(Tenant::workspace(workspace.id));
        }
        // Quotas can be looked at and changed by those whose quota is used up.
        if route.kind != Kind::Admin && route.path != USAGE {
            admission.insert(app.quotas.admission()).caller(caller)?;
        }
    }
    let is_query = route.access == Access::Key(Scope::QueryRead);
    let query = Query::parse(head.uri.query().unwrap_or_default())?;
    if let Some(caller) = &mut caller
        && let Ok(workspace) = caller.workspace()
        && let Some(wanted) =
            Traced::of(&head, by.request_id.as_deref().unwrap_or_default(), may_trace(route, &query))?
    {
        let scope = counting(workspace.id, None).before(Some(Arc::clone(wanted.witness())));
        caller.be_witnessed(wanted.witness());
        *traced = Some((wanted, scope));
    }
    let values = path_values(route.path, head.uri.path());
    let (mut decided, mut watch) = (None, None);
    if let Some(caller) = &mut caller {
        if let Some(labels) = acting::labels(&query)? {
            caller.act_under(labels);
        }
        let named = values.as_deref().unwrap_or_default();
        let under_watch = read.insert(Read::new(&app, route, caller, &query, named));
        watch = Some(Arc::clone(&under_watch.watch));
        if query.get("partition").is_none() {
            find_pin(&app, caller).await?;
        }
        if route.partition == Partition::InQuery {
            let collection = query.get("collection").filter(|_| route.params.contains(&"collection"));
            let named = Named { collection, partition: query.get("partition") };
            let place = place(&app, caller, named)?;
            admit(admission.as_deref(), watch.as_deref(), &place, is_query)?;
            decided = Some(place);
        }
    }
    let values = values?;
    if !route.is_not_offered() {
        refuse_not_offered(&query)?;
        // Whoever speaks for somebody says so with every request.
        let known = route.params.iter().chain(route.ignored()).chain(&acting::PARAMETERS);
        let known: Vec<_> = known.copied().collect();
        query.only(&known)?;
    }
    let body_bytes_max = match route.body {
        BodyKind::Document | BodyKind::Form => app.limits.document_bytes_max,
        BodyKind::Json | BodyKind::None => app.limits.body_bytes_max,
    };
    let debtor = match &caller {
        Some(caller) => Debtor::new((caller.actor(), pool::current())),
        None => Debtor::new(peer),
    };
    let promise = if route.keeps_keys() { Promise::of(&head)? } else { None };
    let parts = Parts {
        query,
        route: route.summary,
        by,
        peer,
        caller,
        place: decided,
        admission: admission.clone(),
        is_query,
        promise,
        traced: traced.as_ref().map(|(traced, _)| Arc::clone(traced)),
        watch,
        values,
        headers: head.headers,
        body,
        body_bytes_max,
        debtor,
    };
    Ok(Call::new(app, parts))
}

/// Whether a search may be asked for its trace, in its address or in a body that wasn't read yet.
fn may_trace(route: &Route, query: &Query) -> bool {
    route.path.starts_with("/v1/search") && (route.body != BodyKind::None || query.get("trace").is_some())
}

/// Where a request comes from and which it is, as the audit log tells it, of nobody yet.
fn whence(head: &axum::http::request::Parts) -> (Option<IpAddr>, By) {
    let peer = head.extensions.get::<Peer>().map(|peer| peer.0);
    let agent = head.headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let by = By {
        actor: Actor::Anonymous,
        request_id: head.extensions.get::<RequestId>().map(|id| id.0.clone()),
        peer: peer.map(|peer| peer.to_string()),
        user_agent: agent
            .map(|agent| agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect()),
    };
    (peer, by)
}

fn brings_token(uri: &Uri) -> bool {
    uri.query().unwrap_or_default().split('&').any(|pair| pair.starts_with("token="))
}

/// Finds the name of the partition that a caller is pinned to, which only the engine keeps, when this process hasn't met
/// it yet. The database has no more than its hash, to be compared with the partitions there are.
async fn find_pin(app: &Arc<App>, caller: &mut Caller) -> Result<(), ApiError> {
    let Some((pin, scope, collection)) = caller.search_for_pin() else { return Ok(()) };
    let searching = app.clone();
    let found = app.pool.run(move || {
        let hasher = searching.control.partition_hasher();
        let mut names =
            searching.store.all_partitions(&scope, &collection)?.into_iter().filter_map(|info| info.name);
        let found = names.find(|name| hasher.hash(scope.workspace(), &collection, name) == pin.hash);
        if let Some(name) = &found {
            searching.control.remember_partition(pin.hash, name);
        }
        Ok(found)
    });
    if let Some(name) = found.await? {
        caller.name_pin(name);
    }
    Ok(())
}

fn refuse_not_offered(query: &Query) -> Result<(), ApiError> {
    for name in NOT_OFFERED {
        match (name, query.get(name)) {
            (_, None) => {}
            // To opt out of what isn't done anyway changes nothing.
            (_, Some("false")) => {}
            _ => return Err(ApiError::not_offered(&format!("the parameter `{name}`"))),
        }
    }
    Ok(())
}
