//! How does a suite act as people do, who sign in?

use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// What people sign in with at first.
pub const PASSWORD: &str = "correct horse battery";
/// What they change it to.
pub const SECOND: &str = "another staple entirely";

/// Somebody with a browser: the cookie that they were given, and no key.
#[derive(Clone)]
pub struct Browser {
    /// What it speaks with, without a key.
    pub client: Client,
    /// The pair as the server set it.
    pub cookie: String,
}

impl Browser {
    /// Whoever this answer signed in.
    #[track_caller]
    pub fn of(client: &Client, answer: &Answer) -> Browser {
        let set = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer}"));
        for part in ["bigrag_session=srs_", "Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=604800"] {
            assert!(set.contains(part), "{set}");
        }
        let cookie = set.split(';').next().expect("a pair").to_owned();
        Browser { client: client.anonymous(), cookie }
    }

    /// Sends a request with the cookie.
    pub fn send(&self, method: &str, path: &str, more: &[(&str, &str)], body: &Value) -> Answer {
        let mut headers = vec![("cookie", self.cookie.as_str()), ("content-type", "application/json")];
        headers.extend_from_slice(more);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.client.send(method, path, &headers, body)
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], &Value::Null)
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], body)
    }

    /// PATCH of JSON.
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[], body)
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], &Value::Null)
    }
}

/// Signs in, or tries to.
pub fn login(client: &Client, email: &str, password: &str) -> Answer {
    client.anonymous().post("/v1/auth/login", &json!({"email": email, "password": password}))
}

/// Signs in with the first password.
#[track_caller]
pub fn sign_in(client: &Client, email: &str) -> Browser {
    Browser::of(client, &login(client, email, PASSWORD).expect(200))
}

/// Makes a member and signs them in: the browser, and the member's id.
#[track_caller]
pub fn member(maker: &Client, email: &str, role: &str) -> (Browser, String) {
    let body = json!({"email": email, "password": PASSWORD, "role": role});
    let made = maker.post("/v1/admin/members", &body).expect(201).json();
    assert_eq!((&made["email"], &made["role"]), (&json!(email), &json!(role)));
    (sign_in(maker, email), text(&made["id"]))
}

/// A text of an answer.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Action, outcome and actor of what the audit log tells, oldest first.
#[track_caller]
pub fn told(client: &Client, query: &str) -> Vec<(String, String, String)> {
    let body = client.get(&format!("/v1/admin/audit?limit=1000{query}")).expect(200).json();
    let entries = body["entries"].as_array().expect("entries").iter().rev();
    entries
        .map(|one| (text(&one["action"]), text(&one["metadata"]["outcome"]), text(&one["actor_id"])))
        .collect()
}
