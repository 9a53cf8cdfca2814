//! What do tenants, collections and quotas cost a request?
//!
//! One server, three workspaces: two with a single tenant, one of them under quotas, and one with `TENANCY_TENANTS` (10,000) of them, each a partition of a collection
//! with a tenant's field and of the memories. Requests are compared in pairs, block by block in turn over connections that are
//! kept open, so that the machine's drift hits both sides. Prints the median of each side and their ratio.
//!
//!     cargo xtask bench tenancy

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_benches::{Connection, Numbers, parameter, percentile};
use strongroom_tests::client::Client;
use strongroom_tests::collections;
use strongroom_tests::keys::mint;
use strongroom_tests::memories;
use strongroom_tests::server::Server;

const BLOCKS: usize = 20;
const REQUESTS: usize = 100;
/// Of what takes long.
const FEW_REQUESTS: usize = 2;
/// Documents of the tenant that is asked, and memories of the user.
const ROWS: usize = 1_000;

/// One side of a comparison: a request with a body, if there is one.
struct Side {
    key: String,
    method: &'static str,
    path: String,
    body: Option<Value>,
}

impl Side {
    fn send(&self, connection: &mut Connection) {
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        connection.send(self.method, &self.path, "application/json", body.as_bytes());
    }
}

/// A workspace with so many tenants, and what is asked of it.
struct Filled {
    key: String,
    document: String,
    tenant: String,
}

fn main() {
    let tenants = parameter("TENANCY_TENANTS", 10_000);
    let server = Server::start();
    let operator = server.operator();
    let [few, many, _] = [("few", 1), ("many", tenants), ("limited", 1)].map(|(name, tenants)| {
        operator.post("/v1/admin/workspaces", &json!({"name": name})).expect(201);
        let begun = Instant::now();
        let filled = fill(&operator.in_workspace(name), tenants);
        println!("{tenants} tenants loaded in {:.1?}", begun.elapsed());
        filled
    });
    let limited = limited(&operator.in_workspace("limited"));
    let server = server.stop().start();

    let get = |key: &str, path: String| Side { key: key.to_owned(), method: "GET", path, body: None };
    let post = |key: &str, path: &str, body: Value| Side {
        key: key.to_owned(),
        method: "POST",
        path: path.to_owned(),
        body: Some(body),
    };
    let query = |key: &str| {
        let body = json!({"query": "document 7", "top_k": 10, "filters": {"tenant": "tenant-0"}});
        post(key, "/v1/collections/shared/query", body)
    };
    let recall = |filled: &Filled| {
        let body = json!({"tenantId": filled.tenant, "userId": "ada", "query": "budget 7"});
        post(&filled.key, "/api/v1/memory/recall", body)
    };
    let document = |filled: &Filled, rest: &str| {
        get(&filled.key, format!("/v1/collections/shared/documents/{}{rest}", filled.document))
    };
    println!("\n| what | beside | median | median beside | ratio |\n|---|---|---|---|---|");
    let named = "?partition=tenant-0";
    for (what, beside, requests, sides) in [
        ("query, four quotas that apply", "no quota", REQUESTS, [query(&limited), query(&few.key)]),
        ("query, many tenants", "one tenant", REQUESTS, [query(&many.key), query(&few.key)]),
        ("recall, many tenants", "one tenant", REQUESTS, [recall(&many), recall(&few)]),
        (
            "document, named tenant, many",
            "one tenant",
            REQUESTS,
            [document(&many, named), document(&few, named)],
        ),
        (
            "document by its id alone, many",
            "tenant named",
            FEW_REQUESTS,
            [document(&many, ""), document(&many, named)],
        ),
    ] {
        let [own, other] = compare(&server, &sides, requests);
        let ratio = own.as_secs_f64() / other.as_secs_f64();
        println!("| {what} | {beside} | {own:.2?} | {other:.2?} | {ratio:.2} |");
    }
}

/// The medians of both sides.
fn compare(server: &Server, sides: &[Side; 2], requests: usize) -> [Duration; 2] {
    let mut connections = sides.each_ref().map(|side| Connection::with_key(server, &side.key));
    let mut samples = [Vec::new(), Vec::new()];
    for block in 0..=BLOCKS {
        for which in if block % 2 == 0 { [0, 1] } else { [1, 0] } {
            for _ in 0..requests {
                let begun = Instant::now();
                sides[which].send(&mut connections[which]);
                // The first block warms up.
                if block > 0 {
                    samples[which].push(begun.elapsed());
                }
            }
        }
    }
    samples.map(|mut samples| percentile(&mut samples, 0.5))
}

fn fill(client: &Client, tenants: usize) -> Filled {
    let key = mint(client, &json!({})).key;
    let client = client.with_key(&key);
    collections::make(&client, json!({"name": "shared", "tenant_field": "tenant"}));
    let mut numbers = Numbers::new(7);
    let (mut document, mut tenant) = (String::new(), String::new());
    for number in 0..tenants {
        let metadata = json!({"tenant": format!("tenant-{number}")});
        let id = memories::tenant(&client, &format!("Tenant {number}"));
        if number == 0 {
            for row in 0..ROWS {
                let text = format!("document {row} of the tenant that is asked, {}", numbers.next_u64());
                document = collections::upload(&client, "shared", &text, metadata.clone());
            }
            let said: Vec<String> =
                (0..ROWS).map(|row| format!("Our budget {row} is {row} dollars")).collect();
            for said in said.chunks(50) {
                let texts: Vec<&str> = said.iter().map(String::as_str).collect();
                memories::ingest(&client, Some(&id), "ada", &texts);
            }
            tenant = id;
        } else {
            collections::upload(&client, "shared", "another tenant's document", metadata);
            memories::ingest(&client, Some(&id), "bob", &["Another tenant's budget"]);
        }
    }
    Filled { key, document, tenant }
}

/// A key on which four limits count, none of them ever reached.
fn limited(client: &Client) -> String {
    let quota = json!({"requests_per_second": 1e6, "queries_per_day": 1_000_000_000, "embedding_tokens_per_day": 1_000_000_000_000_u64});
    let key = mint(client, &json!({"quota": quota})).key;
    for subject in [json!({}), json!({"collection": "shared"}), json!({"each_partition": true})] {
        let mut body = subject;
        body["quota"] = quota.clone();
        client.put("/v1/admin/quotas", &body).expect(200);
    }
    key
}
