//! How do the suites talk to a server? With a thin client that hides nothing.
//!
//! No answer is an error here, but one that `/openapi.json` doesn't describe: a suite looks at status, headers and body itself. [`raw`] writes bytes as they
//! are, for what no client would send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::{Request, Response};

use crate::described::{self, Described, Seen};

/// A caller with a key, or without one.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    key: Option<String>,
    workspace: Option<String>,
}

/// What the server said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `GET /v1/…`, for messages.
    pub request: String,
    /// The status.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the server at this address with this key.
    pub fn new(address: SocketAddr, key: &str) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        let base = format!("http://{address}");
        Client { agent: config.into(), base, key: Some(key.to_owned()), workspace: None }
    }

    /// The same, with another key.
    pub fn with_key(&self, key: &str) -> Client {
        Client { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The same, with no key.
    pub fn anonymous(&self) -> Client {
        Client { key: None, ..self.clone() }
    }

    /// The same, naming a workspace (for the operator's key).
    pub fn in_workspace(&self, name: &str) -> Client {
        Client { workspace: Some(name.to_owned()), ..self.clone() }
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Vec::new())
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Vec::new())
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().into_bytes())
    }

    /// PATCH of JSON.
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[("content-type", "application/json")], body.to_string().into_bytes())
    }

    /// PUT of JSON.
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[("content-type", "application/json")], body.to_string().into_bytes())
    }

    /// POST of bytes, as the published client sends files.
    pub fn post_bytes(&self, path: &str, body: &[u8]) -> Answer {
        self.send("POST", path, &[], body.to_vec())
    }

    /// PUT of bytes.
    pub fn put_bytes(&self, path: &str, body: &[u8]) -> Answer {
        self.send("PUT", path, &[], body.to_vec())
    }

    /// Any request; the server must answer it.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|why| panic!("{method} {path} was not answered: {why}"))
    }

    /// Any request, for a server that may die meanwhile: the error says how the connection ended.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(workspace) = &self.workspace {
            request = request.header("strongroom-workspace", workspace);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let outcome = if body.is_empty() && method != "POST" && method != "PUT" {
            self.agent.run(request.body(()).map_err(|e| e.to_string())?)
        } else {
            self.agent.run(request.body(body).map_err(|e| e.to_string())?)
        };
        let answer = Answer::read(&format!("{method} {path}"), outcome.map_err(|e| e.to_string())?)?;
        if let Some(fault) =
            self.described().and_then(|described| described.fault(method, path, &answer.seen()))
        {
            panic!("this is not what /openapi.json says: {fault}\n{answer}");
        }
        Ok(answer)
    }

    /// What the server says of itself; nothing while it doesn't answer that.
    fn described(&self) -> Option<&'static Described> {
        if let Some(known) = described::known() {
            return Some(known);
        }
        let response = self.agent.get(format!("{}/openapi.json", self.base)).call().ok()?;
        let answer = Answer::read("GET /openapi.json", response).ok()?;
        Some(described::learn(serde_json::from_slice(&answer.body).ok()?))
    }
}

impl Answer {
    fn read(request: &str, mut response: Response<ureq::Body>) -> Result<Answer, String> {
        let headers = response.headers().iter();
        let headers = headers
            .map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect();
        let status = response.status().as_u16();
        let body =
            response.body_mut().with_config().limit(256 << 20).read_to_vec().map_err(|e| e.to_string())?;
        Ok(Answer { request: request.to_owned(), status, headers, body })
    }

    fn seen(&self) -> Seen<'_> {
        let (content_type, request_id) = (self.header("content-type"), self.header("x-request-id"));
        Seen { status: self.status, content_type, request_id, body: &self.body }
    }

    /// The header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{self}: no JSON: {why}"))
    }

    /// The error's word, wherever the route's family puts it; empty when there is none.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        let code = if body["error"].is_object() { &body["error"]["code"] } else { &body["code"] };
        code.as_str().unwrap_or_default().to_owned()
    }

    /// Insists on a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Insists on a status and an error's word.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Answer {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self}");
        self
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown: String = self.text().chars().take(600).collect();
        let request: String = self.request.chars().take(300).collect();
        write!(f, "{request} -> {} {shown}", self.status)
    }
}

/// Percent-encodes everything that is not a letter, digit, `-` or `_`: dots too, so that no path is "cleaned".
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A path with a query of these names and values.
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let query: Vec<String> = pairs.iter().map(|(k, v)| format!("{}={}", encoded(k), encoded(v))).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// Writes these bytes to the server and reads until it closes, falls silent for `silence`, or 64 KiB came.
pub fn raw(address: SocketAddr, bytes: &[u8], silence: Duration) -> String {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(silence)).expect("a timeout can be set");
    stream.set_write_timeout(Some(silence)).expect("a timeout can be set");
    // The server may refuse and close before it has read all: what it said counts.
    let written = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let begun = Instant::now();
    while answer.len() < 65_536 && begun.elapsed() < silence * 4 {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
        }
    }
    if answer.is_empty()
        && let Err(why) = written
    {
        return format!("closed: {why}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{encoded, with_query};

    #[test]
    fn nothing_special_survives_encoding() {
        assert_eq!(encoded("../a b%é"), "%2E%2E%2Fa%20b%25%C3%A9");
        assert_eq!(with_query("/v1/x", &[("q", "a&b"), ("k", "1")]), "/v1/x?q=a%26b&k=1");
    }
}
