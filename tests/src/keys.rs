//! Keys of every sort, minted the way an operator mints them.

use serde_json::{Value, json};

use crate::client::Client;

/// A minted key.
#[derive(Debug, Clone)]
pub struct Minted {
    /// Its id, for the admin calls.
    pub id: String,
    /// The key itself.
    pub key: String,
}

/// Mints a key with these fields over `{"name", "scopes": ["*"]}`.
#[track_caller]
pub fn mint(minter: &Client, fields: &Value) -> Minted {
    let mut body = json!({"name": "of a test", "scopes": ["*"]});
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let made = minter.post("/v1/admin/api-keys", &body).expect(201).json();
    let text =
        |name: &str| made[name].as_str().unwrap_or_else(|| panic!("no {name} in the answer")).to_owned();
    Minted { id: text("id"), key: text("key") }
}

/// A client with a fresh key of these fields.
#[track_caller]
pub fn client_with(minter: &Client, fields: &Value) -> Client {
    minter.with_key(&mint(minter, fields).key)
}
