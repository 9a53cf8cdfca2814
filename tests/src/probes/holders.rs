//! Who asks, with which key, and what may they see?
//!
//! Of each kind of key some that are pinned to a place, to a collection, or to nothing; those that are dead, those that may only read,
//! people who are signed in, the operator, and nobody. What each may see is said here, apart from what the server makes of its key.

use serde_json::{Value, json};

use super::crowd::{Crowd, SHARED, WORKSPACES};
use super::tokens::{Owner, What};
use crate::client::{Answer, Client};
use crate::keys::mint;
use crate::people;
use crate::server::Server;
use crate::world::Place;

/// What somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing.
    Nothing,
    /// The place of this number.
    Place(usize),
    /// The places of a workspace in its collection with a tenant's field.
    Shared(usize),
    /// A workspace.
    Workspace(usize),
    /// Any workspace's office, and the places of the one that is named.
    Operator(usize),
}

/// Somebody who asks.
#[derive(Clone)]
pub struct Holder {
    /// What kind of key it is.
    pub kind: &'static str,
    /// What they may see.
    pub reach: Reach,
    client: Client,
    cookie: Option<String>,
}

impl Holder {
    /// Somebody who may see this, by what is told here and not by what the key is.
    pub fn new(kind: &'static str, client: Client, reach: Reach) -> Holder {
        Holder { kind, reach, client, cookie: None }
    }

    /// Sends a request.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut headers = headers.to_vec();
        headers.extend(self.cookie.as_deref().map(|cookie| ("cookie", cookie)));
        self.client.send(method, path, &headers, body)
    }

    /// Whether the key is kept to one place.
    pub fn is_pinned(&self) -> bool {
        matches!(self.reach, Reach::Nothing | Reach::Place(_))
    }

    /// Whether the place of this number is theirs.
    pub fn reaches(&self, number: usize, place: &Place) -> bool {
        let is_of = |workspace: usize| place.workspace == WORKSPACES[workspace];
        match self.reach {
            Reach::Nothing => false,
            Reach::Place(own) => own == number,
            Reach::Shared(workspace) => place.collection == SHARED[workspace],
            Reach::Workspace(workspace) | Reach::Operator(workspace) => is_of(workspace),
        }
    }

    /// Whether a token in an answer is theirs to see.
    pub fn may_see(&self, token: &str, owner: Owner, what: What, crowd: &Crowd) -> bool {
        match owner {
            Owner::Place(number) => {
                let place = crowd.place(number);
                self.reaches(number, place)
                    // Who may write anywhere in a workspace, or a collection, may have given anything any name.
                    || what == What::Name && !self.is_pinned()
            }
            Owner::Office(workspace) => match self.reach {
                Reach::Nothing => false,
                Reach::Operator(_) => true,
                Reach::Workspace(own) => own == workspace,
                Reach::Shared(own) => own == workspace && is_public(token, workspace, crowd),
                Reach::Place(own) => {
                    let place = crowd.place(own);
                    place.workspace == WORKSPACES[workspace]
                        && (token != SHARED[workspace] || place.collection == token)
                        && is_public(token, workspace, crowd)
                }
            },
        }
    }
}

/// What of a workspace everybody in it may know: which one it is, and the collection that they are in.
fn is_public(token: &str, workspace: usize, crowd: &Crowd) -> bool {
    token == crowd.world.offices[workspace].id || token == SHARED[workspace]
}

/// Everybody, by kind.
pub fn all(server: &Server, crowd: &Crowd) -> Vec<Vec<Holder>> {
    let operator = server.operator();
    let inside = WORKSPACES.map(|name| operator.in_workspace(name));
    let with = |workspace: usize, fields: Value| operator.with_key(&mint(&inside[workspace], &fields).key);
    let dead = |workspace: usize, fields: Value| {
        let key = mint(&inside[workspace], &fields);
        inside[workspace].delete(&format!("/v1/admin/api-keys/{}", key.id)).expect(200);
        operator.with_key(&key.key)
    };
    let pinned = |number: usize, more: Value| {
        let place = crowd.place(number);
        let mut fields = json!({"partition": place.partition.unwrap_or(&place.tenant)});
        if place.collection != "default" {
            fields["collection"] = place.collection.into();
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            fields[name] = value.clone();
        }
        (workspace_of(place), fields)
    };
    let reading =
        json!({"scopes": ["document:read", "query:read", "collection:read", "partition:read", "usage:read"]});
    let places = crowd.world.places.len();
    let mut kinds: Vec<Vec<Holder>> = Vec::new();
    for (kind, every, more) in [
        ("of a place", places.div_ceil(200), json!({})),
        ("of a place, to read", places.div_ceil(40), reading),
    ] {
        // An odd step, so that both workspaces and all kinds of places have some.
        let numbers = (0..places).step_by(every | 1);
        let one = |number: usize| {
            let (workspace, fields) = pinned(number, more.clone());
            Holder::new(kind, with(workspace, fields), Reach::Place(number))
        };
        kinds.push(numbers.map(one).collect());
    }
    let both = |kind, reach: fn(usize) -> Reach, client: &dyn Fn(usize) -> Client| {
        (0..2).map(|at| Holder::new(kind, client(at), reach(at))).collect::<Vec<_>>()
    };
    kinds.push(both("of a collection", Reach::Shared, &|at| with(at, json!({"collection": SHARED[at]}))));
    kinds.push(both("of many tenants", Reach::Workspace, &|at| with(at, json!({"multi_tenant": true}))));
    kinds.push(both("of a workspace", Reach::Workspace, &|at| with(at, json!({}))));
    kinds.push(both("dead", |_| Reach::Nothing, &|at| dead(at, json!({}))));
    kinds.push(both("the operator's", Reach::Operator, &|at| inside[at].clone()));
    kinds.push(vec![Holder::new("nobody's", operator.anonymous(), Reach::Nothing)]);
    let people = ["member", "admin"].map(|role| {
        let email = format!("{role}@people.example");
        let (browser, _) = people::member(&inside[0], &email, role);
        Holder {
            cookie: Some(browser.cookie),
            ..Holder::new("somebody's", browser.client, Reach::Workspace(0))
        }
    });
    kinds.push(people.to_vec());
    kinds
}

/// The number of a place's workspace.
pub fn workspace_of(place: &Place) -> usize {
    usize::from(place.workspace == WORKSPACES[1])
}
