//! What does a handler get?
//!
//! A request that passed the checks of `http/dispatch.rs`: its caller is authenticated, its partition decided where the
//! query names it, its parameters known. The body is still to be read.
//!
//! Invariants:
//! 1. Where the body names the partition, a handler gets at data only by asking for a place.
//! 2. A body is read once, and never beyond the route's limit.
//! 3. A handler reads the JSON body that its signature names ([`With`]), and no other: `/openapi.json` is made from that.

use std::future::Future;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use schemars::SchemaGenerator;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::app::App;
use crate::auth::{Caller, Named, Place, session};
use crate::control::By;
use crate::idempotency::Promise;
use crate::message::body::{Received, Stream, announced_bytes};
use crate::message::content::{Answer, Content};
use crate::message::error::ApiError;
use crate::message::json;
use crate::message::query::Query;
use crate::pool::{self, Tenant};
use crate::quota::Admission;
use crate::statement::Traced;
use crate::waste::Debtor;
use crate::watch::Watch;
use crate::whole::Desk;

/// Larger bodies are parsed on a thread that may block: tens of megabytes take as long as a search.
const PARSED_AT_ONCE_BYTES_MAX: usize = 64 << 10;

/// What comes of a handler.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send>>;

/// A handler, as the table of routes holds it.
pub(crate) type Handler = fn(Call) -> Answering;

/// A request on its way through a handler.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) query: Query,
    /// What the route is, for answers that speak of it.
    pub(crate) route: &'static str,
    by: By,
    peer: Option<IpAddr>,
    caller: Option<Caller>,
    place: Option<Place>,
    admission: Option<Arc<Admission>>,
    is_query: bool,
    promise: Option<Arc<Promise>>,
    traced: Option<Arc<Traced>>,
    watch: Option<Arc<Watch>>,
    values: Vec<String>,
    headers: HeaderMap,
    body: Body,
    body_bytes_max: usize,
    debtor: Debtor,
}

/// The parts of a call, as the checks leave them.
pub(crate) struct Parts {
    pub(crate) query: Query,
    pub(crate) route: &'static str,
    /// In which request, and from where, of nobody yet.
    pub(crate) by: By,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) caller: Option<Caller>,
    pub(crate) place: Option<Place>,
    /// What of quotas the request has taken; on routes that are free of them, nothing.
    pub(crate) admission: Option<Arc<Admission>>,
    /// Whether each partition that it names is searched.
    pub(crate) is_query: bool,
    /// Whether what it writes is to be written once.
    pub(crate) promise: Option<Arc<Promise>>,
    /// Whether its answer comes with a statement of what was opened.
    pub(crate) traced: Option<Arc<Traced>>,
    /// What takes down what the request does with documents.
    pub(crate) watch: Option<Arc<Watch>>,
    pub(crate) values: Vec<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) body_bytes_max: usize,
    /// Who owes for a body that is refused.
    pub(crate) debtor: Debtor,
}

impl Call {
    pub(crate) fn new(app: Arc<App>, parts: Parts) -> Self {
        let Parts { query, route, by, peer, caller, place, admission, is_query, .. } = parts;
        let Parts { promise, traced, watch, values, headers, body, body_bytes_max, debtor, .. } = parts;
        Self {
            app,
            query,
            route,
            by,
            peer,
            caller,
            place,
            admission,
            is_query,
            promise,
            traced,
            watch,
            values,
            headers,
            body,
            body_bytes_max,
            debtor,
        }
    }

    /// Who calls; absent only on routes that ask for no key.
    pub(crate) fn caller(&self) -> Result<&Caller, ApiError> {
        self.caller
            .as_ref()
            .ok_or_else(|| ApiError::internal("a handler wants a caller on a route without one"))
    }

    /// Whose act this is, as the audit log tells it.
    pub(crate) fn by(&self) -> Result<By, ApiError> {
        Ok(self.by.with_actor(self.caller()?.actor()))
    }

    /// This request as the act of somebody who hasn't shown who they are.
    pub(crate) fn by_nobody(&self) -> By {
        self.by.clone()
    }

    /// Where the connection came from.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// Whether the caller's side of the connection is TLS, as far as can be told.
    pub(crate) fn is_https(&self) -> bool {
        session::is_https(&self.headers, self.app.public_url.as_ref())
    }

    /// Refuses what a page of another site had a browser send, on routes that begin a session.
    pub(crate) fn require_same_origin(&self) -> Result<(), ApiError> {
        session::require_same_origin(&self.headers, self.app.public_url.as_ref())
    }

    /// Who calls, if anyone said.
    pub(crate) fn optional_caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Where room for this request's answer is taken.
    pub(crate) fn desk(&self) -> Desk {
        Desk { room: self.app.answers.clone(), tenant: pool::current() }
    }

    /// Who owes for its body, if that is refused.
    pub(crate) fn debtor(&self) -> Debtor {
        self.debtor
    }

    /// The partition that the query decided.
    pub(crate) fn place(&self) -> Result<Place, ApiError> {
        let place = self.place.clone().map(|place| self.followed(place));
        place.ok_or_else(|| ApiError::internal("a handler wants a place on a route without one"))
    }

    /// The partition that the body names, which the query may name too, but not differently.
    pub(crate) fn place_for(&self, in_body: Option<&str>) -> Result<Place, ApiError> {
        let in_query = self.query.get("partition");
        if in_body.is_some() && in_query.is_some() && in_body != in_query {
            return Err(ApiError::malformed(
                "invalid_partition",
                "the address and the body name different partitions; name one",
            ));
        }
        let place =
            place(&self.app, self.caller()?, Named { collection: None, partition: in_body.or(in_query) })?;
        self.admit(&place)?;
        Ok(self.followed(place))
    }

    /// A partition of this collection: the one named, or, when none is, what the key comes to without a name.
    pub(crate) fn place_in(&self, collection: &str, partition: Option<&str>) -> Result<Place, ApiError> {
        let place = place(&self.app, self.caller()?, Named { collection: Some(collection), partition })?;
        self.admit(&place)?;
        Ok(self.followed(place))
    }

    /// The place with what goes along with this request.
    fn followed(&self, place: Place) -> Place {
        place.with_promise(self.promise.as_ref()).with_watch(self.watch.as_ref())
    }

    /// The same place, with what the request promises.
    pub(crate) fn promised(&self, place: Place) -> Place {
        self.followed(place)
    }

    /// Whether what the request writes is to be written once.
    pub(crate) fn promise(&self) -> Option<Arc<Promise>> {
        self.promise.clone()
    }

    /// Admits the request to the partition that it acts on.
    pub(crate) fn admit(&self, place: &Place) -> Result<(), ApiError> {
        admit(self.admission.as_deref(), self.watch.as_deref(), place, self.is_query)
    }

    /// What takes down which partitions are opened, when the request is traced.
    pub(crate) fn traced(&self) -> Option<Arc<Traced>> {
        self.traced.clone()
    }

    /// What takes down what the request is shown.
    pub(crate) fn watch(&self) -> Option<Arc<Watch>> {
        self.watch.clone()
    }

    /// A value in the path, decoded.
    pub(crate) fn value(&self, at: usize) -> Result<&str, ApiError> {
        let value = self.values.get(at).map(String::as_str);
        value.ok_or_else(|| ApiError::internal("a handler wants a path value that its route doesn't have"))
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&HeaderValue> {
        self.headers.get(name)
    }

    /// The body, up to this route's limit. Can be taken once.
    pub(crate) async fn body(&mut self) -> Result<Received, ApiError> {
        let received = self.form().await?;
        if let Some(promise) = &self.promise {
            promise.read(&received.bytes);
        }
        Ok(received)
    }

    /// The same where the body is a form: what it says is for its reader to tell the promise, since a form that is sent again is
    /// written in other bytes.
    pub(crate) async fn form(&mut self) -> Result<Received, ApiError> {
        self.app.waste.may_send(self.debtor, announced_bytes(&self.headers), Instant::now())?;
        let body = std::mem::take(&mut self.body);
        let received = self.app.bodies.read(&self.headers, body, self.body_bytes_max).await?;
        if let Some(traced) = &self.traced {
            traced.read(&received.bytes);
        }
        Ok(received)
    }

    /// The body as it comes, however long it is.
    pub(crate) fn stream(&mut self) -> Result<Stream, ApiError> {
        self.app.waste.may_send(self.debtor, announced_bytes(&self.headers), Instant::now())?;
        Ok(self.app.bodies.stream(std::mem::take(&mut self.body)))
    }

    async fn read_json<T>(&mut self) -> Result<(T, Vec<OwnedSemaphorePermit>), ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let (bytes, held) = self.body().await?.into_parts();
        if bytes.len() <= PARSED_AT_ONCE_BYTES_MAX {
            return Ok((json::parse(&bytes)?, held));
        }
        Ok((self.app.pool.run(move || json::parse(&bytes)).await?, held))
    }
}

/// A request whose body is a `B`. All else of it is the call's.
pub(crate) struct With<B> {
    call: Call,
    body: PhantomData<fn() -> B>,
}

impl<T: DeserializeOwned + Send + 'static> With<T> {
    /// The body as JSON, and what has to be held as long as its parts are.
    pub(crate) async fn json(&mut self) -> Result<(T, Vec<OwnedSemaphorePermit>), ApiError> {
        self.call.read_json().await
    }
}

impl<B> With<B> {
    /// The call without its body.
    pub(crate) fn into_call(self) -> Call {
        self.call
    }
}

impl<B> Deref for With<B> {
    type Target = Call;
    fn deref(&self) -> &Call {
        &self.call
    }
}

impl<B> DerefMut for With<B> {
    fn deref_mut(&mut self) -> &mut Call {
        &mut self.call
    }
}

/// What a handler takes.
pub(crate) trait Asking {
    fn of(call: Call) -> Self;

    /// Its body.
    fn content(schemas: &mut SchemaGenerator) -> Map<String, Value>;
}

impl Asking for Call {
    fn of(call: Call) -> Self {
        call
    }

    fn content(_: &mut SchemaGenerator) -> Map<String, Value> {
        Map::new()
    }
}

impl<B: Content> Asking for With<B> {
    fn of(call: Call) -> Self {
        Self { call, body: PhantomData }
    }

    fn content(schemas: &mut SchemaGenerator) -> Map<String, Value> {
        B::content(schemas)
    }
}

/// What a handler reads and what it answers, by its own types.
pub(crate) struct Bodies {
    pub(crate) asked: Map<String, Value>,
    pub(crate) answered: Map<String, Value>,
}

/// How a handler's bodies are told: requests by what is read, answers by what is written.
pub(crate) type Describe = fn(&mut SchemaGenerator, &mut SchemaGenerator) -> Bodies;

/// Runs a handler.
pub(crate) fn handle<Q, F, B>(handler: impl Fn(Q) -> F, call: Call) -> Answering
where
    Q: Asking,
    F: Future<Output = Result<Answer<B>, ApiError>> + Send + 'static,
    B: Content + 'static,
{
    let answering = handler(Q::of(call));
    Box::pin(async move { answering.await.map(Answer::into_response) })
}

/// Describes a handler, by its signature alone.
pub(crate) fn describe<Q, F, B>(
    _: impl Fn(Q) -> F,
    reads: &mut SchemaGenerator,
    writes: &mut SchemaGenerator,
) -> Bodies
where
    Q: Asking,
    F: Future<Output = Result<Answer<B>, ApiError>>,
    B: Content,
{
    Bodies { asked: Q::content(reads), answered: B::content(writes) }
}

/// Admits a request to the partition that it acts on, within all quotas; from here on its work waits among the partition's.
pub(crate) fn admit(
    admission: Option<&Admission>,
    watch: Option<&Watch>,
    place: &Place,
    is_query: bool,
) -> Result<(), ApiError> {
    pool::now_for(Tenant::partition(place.scope.workspace(), &place.at));
    if let Some(watch) = watch {
        watch.acts_on(&place.at);
    }
    admission.map_or(Ok(()), |admission| admission.place(place, is_query))
}

/// The partition that a request acts on. A pinned key that names its partition tells us its id for later.
pub(crate) fn place(app: &App, caller: &Caller, named: Named<'_>) -> Result<Place, ApiError> {
    let place = caller.place(named)?;
    if let (Some((pin, ..)), Some(name)) = (caller.search_for_pin(), &place.at.partition) {
        app.control.remember_partition(pin.hash, name);
    }
    Ok(place)
}
