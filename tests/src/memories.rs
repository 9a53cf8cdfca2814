//! What do suites say to the routes of memories, and what do they read from the answers?

use serde_json::{Value, json};

use crate::client::{Answer, Client, with_query};

/// A text of an answer.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Makes a tenant and answers its id.
#[track_caller]
pub fn tenant(client: &Client, name: &str) -> String {
    let made = client.post("/api/v1/tenants", &json!({"name": name})).expect(201).json();
    text(&made["tenantId"])
}

/// A body that names a user and, if there is one, a tenant.
pub fn of(tenant: Option<&str>, user: &str, mut body: Value) -> Value {
    body["userId"] = user.into();
    if let Some(tenant) = tenant {
        body["tenantId"] = tenant.into();
    }
    body
}

/// Has these said by a user, and answers the ids of what is new.
#[track_caller]
pub fn ingest(client: &Client, tenant: Option<&str>, user: &str, texts: &[&str]) -> Vec<String> {
    let messages: Vec<_> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
    let done = client.post("/api/v1/memory/ingest", &of(tenant, user, json!({"messages": messages})));
    let done = done.expect(200).json();
    assert_eq!(done["success"], true);
    done["data"]["memoryIds"].as_array().expect("ids").iter().map(text).collect()
}

/// Asks what is remembered of a user.
pub fn recall(client: &Client, tenant: Option<&str>, user: &str, query: &str) -> Answer {
    client.post("/api/v1/memory/recall", &of(tenant, user, json!({"query": query})))
}

/// The texts of the memories in an answer, in their order.
#[track_caller]
pub fn contents(answer: Answer) -> Vec<String> {
    let answer = answer.expect(200).json();
    answer["memories"].as_array().expect("memories").iter().map(|memory| text(&memory["content"])).collect()
}

/// A user's memories, the last first.
pub fn recent(client: &Client, tenant: Option<&str>, user: &str) -> Vec<String> {
    contents(client.post("/api/v1/memory/recent", &of(tenant, user, json!({"limit": 100}))))
}

/// How many memories a tenant has.
#[track_caller]
pub fn count(client: &Client, tenant: Option<&str>) -> u64 {
    let pairs: Vec<_> = tenant.map(|id| ("tenantId", id)).into_iter().collect();
    let stats = client.get(&with_query("/api/v1/memory/stats", &pairs)).expect(200).json();
    stats["stats"]["memoryCount"].as_u64().expect("a count")
}

/// What kind of organization the key's is.
pub fn type_of(client: &Client) -> String {
    text(&client.get("/api/v1/organization").expect(200).json()["type"])
}
