//! Who lives in the server that is probed?
//!
//! Two workspaces with as many places each: partitions of `default`, tenants of a collection with a tenant's field, tenants with
//! memories. Each has one document or memory with two secrets, a word and a number that nothing else holds.

use std::thread;

use serde_json::{Value, json};

use super::tokens::{Owner, Tokens, What};
use crate::chance::Chance;
use crate::client::{Client, with_query};
use crate::collections;
use crate::documents;
use crate::memories;
use crate::server::Server;
use crate::world::{Office, Place, World};

/// The workspaces.
pub const WORKSPACES: [&str; 2] = ["ours", "theirs"];

/// The collection of each workspace that has a tenant's field. They differ in name, so that neither is taken for the other.
pub const SHARED: [&str; 2] = ["xqsharedours", "xqsharedtheirs"];

/// Connections that fill the server at once.
const FILLERS: usize = 8;

/// All who live there.
pub struct Crowd {
    /// The places of both workspaces and what else these have.
    pub world: World,
    /// What tells them apart.
    pub tokens: Tokens,
    /// What each place's document says, which nobody may see who may not see the place.
    pub secrets: Vec<String>,
}

impl Crowd {
    /// Fills a server with so many places.
    pub fn fill(server: &Server, count: usize, seed: u64) -> Crowd {
        let operator = server.operator();
        let mut chance = Chance::new(seed);
        let dimension = crate::routes::dimension(&operator);
        let offices = [0, 1].map(|at| office(&operator, at, &mut chance));
        let plans: Vec<Plan> = (0..count).map(|number| Plan::roll(number, &mut chance)).collect();
        let places: Vec<Place> = thread::scope(|scope| {
            let parts: Vec<_> = plans
                .chunks(count.div_ceil(FILLERS))
                .map(|part| {
                    let operator = server.operator();
                    scope.spawn(move || part.iter().map(|plan| plan.fill(&operator)).collect::<Vec<_>>())
                })
                .collect();
            parts
                .into_iter()
                .flat_map(|part| part.join().expect("the server takes what it is given"))
                .collect()
        });
        let mut tokens = Tokens::default();
        for (number, (place, plan)) in places.iter().zip(&plans).enumerate() {
            let owner = Owner::Place(number);
            tokens.enter(&plan.secret, owner, What::Content);
            tokens.enter(&plan.number.to_string(), owner, What::Content);
            tokens.enter(place.mark, owner, What::Name);
            tokens.enter(&place.document, owner, What::Name);
            if place.collection == "memory" {
                tokens.enter(&place.tenant, owner, What::Name);
            }
        }
        for (at, office) in offices.iter().enumerate() {
            for id in
                [&office.id, &office.key, &office.member, &office.invitation, &office.receipt, &office.job]
            {
                tokens.enter(id, Owner::Office(at), What::Name);
            }
            tokens.enter(SHARED[at], Owner::Office(at), What::Name);
        }
        let secrets = plans.into_iter().map(|plan| plan.secret).collect();
        let mut world = World { places, offices, dimension };
        lend_tenants(&mut world.places);
        Crowd { world, tokens, secrets }
    }

    /// The place of a number.
    pub fn place(&self, number: usize) -> &Place {
        &self.world.places[number]
    }

    /// The number of the place that this tenant is.
    pub fn owner_of(&self, tenant: &str) -> Option<usize> {
        self.tokens.found(tenant).find_map(|(_, owner, _)| match owner {
            Owner::Place(number) => Some(number),
            Owner::Office(_) => None,
        })
    }

    /// Insists that every place still has its document as it was.
    pub fn expect_whole(&self, server: &Server) {
        let operator = server.operator();
        for (place, secret) in self.world.places.iter().zip(&self.secrets) {
            let inside = operator.in_workspace(place.workspace);
            let answer = if place.collection == "memory" {
                let pairs = [("tenantId", place.tenant.as_str()), ("userId", place.mark), ("limit", "100")];
                inside.get(&with_query("/api/v1/memory/recent", &pairs))
            } else {
                let named = [("partition", place.mark)];
                let rest = format!("/documents/{}/file", place.document);
                inside.get(&with_query(&collections::path(place.collection, &rest), &named))
            };
            assert!(
                answer.status == 200 && answer.text().contains(secret.as_str()),
                "{} was changed: {answer}",
                place.mark
            );
        }
    }
}

/// What a place is going to be.
struct Plan {
    workspace: usize,
    kind: usize,
    mark: &'static str,
    secret: String,
    number: u64,
}

impl Plan {
    fn roll(number: usize, chance: &mut Chance) -> Plan {
        let word = |prefix: &str, bits: u64| format!("{prefix}{bits:016x}");
        Plan {
            workspace: number % 2,
            // Of eight places five are partitions, two tenants of a collection, one has memories.
            kind: number / 2 % 8,
            // One for each place of a run, and needed to its end.
            mark: Box::leak(word("xq", chance.bits()).into_boxed_str()),
            secret: word("zq", chance.bits()),
            number: 1_000_000_000_000 + chance.bits() % 1_000_000_000_000,
        }
    }

    fn fill(&self, operator: &Client) -> Place {
        let workspace = WORKSPACES[self.workspace];
        let inside = operator.in_workspace(workspace);
        let text = format!("{} is a secret about budgets, {}", self.secret, self.number);
        let mut place = Place {
            mark: self.mark,
            workspace,
            collection: "default",
            partition: Some(self.mark),
            tenant: String::new(),
            document: String::new(),
        };
        let metadata = |field: &str| json!({field: self.mark, "note": self.secret, "number": self.number});
        match self.kind {
            0..=4 => {
                let pairs = [
                    ("filename", self.secret.as_str()),
                    ("content_type", "text/plain"),
                    ("tags", &self.secret),
                    ("entity_id", &self.secret),
                    ("source", &self.secret),
                    ("metadata", &metadata("of").to_string()),
                    ("partition", self.mark),
                ];
                let made =
                    inside.post_bytes(&with_query("/v1/documents", &pairs), text.as_bytes()).expect(201);
                place.document = documents::id_of(&made);
                let talk = with_query("/v1/threads/talk/append", &[("partition", self.mark)]);
                inside.post(&talk, &json!({"text": text})).expect(201);
            }
            5 | 6 => {
                place.collection = SHARED[self.workspace];
                place.document = collections::upload(&inside, place.collection, &text, metadata("tenant"));
            }
            _ => {
                (place.collection, place.partition) = ("memory", None);
                place.tenant = memories::tenant(&inside, self.mark);
                place.document =
                    memories::ingest(&inside, Some(&place.tenant), self.mark, &[&text]).swap_remove(0);
            }
        }
        place
    }
}

/// Places without a tenant of their own get one of their workspace's, for routes that ask for a tenant.
fn lend_tenants(places: &mut [Place]) {
    for workspace in WORKSPACES {
        let one = places.iter().find(|place| place.workspace == workspace && !place.tenant.is_empty());
        let tenant = one.map(|place| place.tenant.clone()).unwrap_or_default();
        for place in places.iter_mut().filter(|place| place.workspace == workspace && place.tenant.is_empty())
        {
            place.tenant.clone_from(&tenant);
        }
    }
}

/// Makes a workspace with what it has beside data.
fn office(operator: &Client, at: usize, chance: &mut Chance) -> Office {
    let name = WORKSPACES[at];
    let made = operator.post("/v1/admin/workspaces", &json!({"name": name})).expect(201).json();
    let inside = operator.in_workspace(name);
    collections::make(&inside, json!({"name": SHARED[at], "tenant_field": "tenant"}));
    let id = made["id"].as_str().expect("an id").to_owned();
    crate::world::office(&inside, name, id, &format!("zqoffice{:016x}", chance.bits()))
}

/// A place that isn't there, with ids of the same make as those of a place that is.
pub fn missing(of: &Place, chance: &mut Chance) -> Place {
    let mark: &'static str = Box::leak(format!("xq{:016x}", chance.bits()).into_boxed_str());
    Place {
        mark,
        workspace: of.workspace,
        collection: of.collection,
        partition: of.partition.map(|_| mark),
        tenant: like(&of.tenant, chance),
        document: like(&of.document, chance),
    }
}

/// An office that isn't there.
pub fn missing_office(of: &Office, chance: &mut Chance) -> Office {
    let mut fresh = |id: &str| like(id, chance);
    Office {
        name: of.name,
        id: fresh(&of.id),
        key: fresh(&of.key),
        member: fresh(&of.member),
        invitation: fresh(&of.invitation),
        receipt: fresh(&of.receipt),
        job: fresh(&of.job),
    }
}

/// An id of the same make: a prefix stays, each digit or letter behind it becomes another one of its kind.
fn like(id: &str, chance: &mut Chance) -> String {
    let prefix = id.rfind('_').map_or(0, |at| at + 1);
    let is_hex = id[prefix..].chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let fresh = id[prefix..].chars().map(|c| match c {
        '0'..='9' => *chance.pick(b"0123456789"),
        'a'..='f' if is_hex => *chance.pick(b"abcdef"),
        'a'..='z' => *chance.pick(b"abcdefghijklmnopqrstuvwxyz"),
        'A'..='Z' => *chance.pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        _ => b'-',
    });
    id[..prefix].chars().chain(fresh.map(char::from)).collect()
}

/// The fields of an answer that differ from one call to the next.
pub fn steady(answer: &Value) -> Value {
    crate::world::quiet(answer.clone())
}
