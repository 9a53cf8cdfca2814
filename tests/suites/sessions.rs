//! Does a session hold for whom it is and as long as it should, and does nobody get one by guessing?

use serde_json::{Value, json};
use strongroom_tests::client::Client;
use strongroom_tests::keys::mint;
use strongroom_tests::people::{Browser, PASSWORD, SECOND, login, member, sign_in};
use strongroom_tests::server::Server;

// Somebody signs out, or changes a password that was stolen, and whoever has the old session goes on.
#[test]
fn sessions_end_when_they_should() {
    let server = Server::start();
    let operator = server.operator();
    let (one, id) = member(&operator, "a@x.example", "member");
    let (two, three) = (sign_in(&operator, "a@x.example"), sign_in(&operator, "a@x.example"));
    let gone = one.post("/v1/auth/logout", &Value::Null).expect(200);
    assert!(gone.header("set-cookie").is_some_and(|set| set.contains("Max-Age=0")), "{gone}");
    one.get("/v1/auth/me").expect_error(401, "invalid_session");
    let change = |current: &str, new: &str| {
        two.post("/v1/auth/password", &json!({"current_password": current, "new_password": new}))
    };
    change(SECOND, PASSWORD).expect_error(401, "wrong_credentials");
    change(PASSWORD, "short").expect_error(400, "invalid_password");
    change(PASSWORD, SECOND).expect(200);
    two.get("/v1/auth/me").expect(200);
    three.get("/v1/auth/me").expect_error(401, "invalid_session");
    login(&operator, "a@x.example", PASSWORD).expect_error(401, "wrong_credentials");
    let four = Browser::of(&operator, &login(&operator, "a@x.example", SECOND).expect(200));
    two.post("/v1/auth/logout-all", &Value::Null).expect(200);
    for ended in [&two, &four] {
        ended.get("/v1/auth/me").expect_error(401, "invalid_session");
    }
    // A password that somebody else sets ends every session; one's own is changed with the old one alone.
    let (owner, owner_id) = member(&operator, "owner@x.example", "owner");
    let five = Browser::of(&operator, &login(&operator, "a@x.example", SECOND).expect(200));
    owner.patch(&format!("/v1/admin/users/{id}"), &json!({"password": PASSWORD})).expect(200);
    five.get("/v1/auth/me").expect_error(401, "invalid_session");
    owner
        .patch(&format!("/v1/admin/users/{owner_id}"), &json!({"password": SECOND}))
        .expect_error(403, "own_password");
    // A session that is over keeps nobody from what is open, and a key beside it counts.
    assert_eq!(five.get("/status").expect(200).json()["status"], "ok");
    let key = mint(&operator, &json!({}));
    let both = Browser { client: operator.with_key(&key.key), ..five.clone() };
    assert_eq!(both.get("/v1/auth/whoami").expect(200).json()["auth_method"], "api_key");
    // All of it holds after a crash.
    let server = server.kill().start();
    let five = Browser { client: server.operator().anonymous(), ..five };
    five.get("/v1/auth/me").expect_error(401, "invalid_session");
    sign_in(&server.operator(), "a@x.example");
}

// Any page that a signed-in owner looks at could mint keys or remove members in their name.
#[test]
fn what_another_site_sends_changes_nothing() {
    let server = Server::start();
    let operator = server.operator();
    let (owner, _) = member(&operator, "owner@x.example", "owner");
    let own = format!("http://{}", server.address());
    let body = json!({"name": "made by a page", "scopes": ["*"]});
    let mint = |headers: &[(&str, &str)]| owner.send("POST", "/v1/admin/api-keys", headers, &body);
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:1")],
    ] {
        mint(headers).expect_error(403, "cross_origin");
        let log_in = json!({"email": "owner@x.example", "password": PASSWORD});
        let from_there =
            operator.anonymous().send("POST", "/v1/auth/login", headers, log_in.to_string().into_bytes());
        from_there.expect_error(403, "cross_origin");
        // Reading is the browser's to forbid, and a key is sent by nobody unawares.
        owner.send("GET", "/v1/auth/me", headers, &Value::Null).expect(200);
        operator.send("POST", "/v1/admin/api-keys", headers, body.to_string().into_bytes()).expect(201);
    }
    for headers in
        [&[][..], &[("origin", own.as_str())], &[("sec-fetch-site", "same-origin"), ("origin", own.as_str())]]
    {
        mint(headers).expect(201);
    }
}

// A password could be guessed at leisure, or a stopwatch and the answers tell who has an account.
#[test]
fn guesses_are_counted_and_look_alike() {
    let server = Server::start();
    let operator = server.operator();
    let (_, id) = member(&operator, "a@x.example", "member");
    let wrong = login(&operator, "a@x.example", SECOND).expect_error(401, "wrong_credentials").json();
    let unknown = login(&operator, "nobody@x.example", SECOND).expect_error(401, "wrong_credentials").json();
    assert_eq!(wrong["detail"], unknown["detail"]);
    for email in ["a@x.example", "nobody@x.example"] {
        let before = (0..20).position(|_| login(&operator, email, SECOND).status == 429);
        assert_eq!(before, Some(9), "{email}");
        let limited = login(&operator, email, PASSWORD).expect_error(429, "too_many_attempts");
        assert!(
            limited.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
            "{limited}"
        );
    }
    // Somebody else is not kept out.
    member(&operator, "b@x.example", "member");
    // They are in the log, counted: of those whom nobody knows, in the server's own.
    let plan = server.stop();
    let server = plan.start();
    let operator = server.operator();
    let count = |client: &Client, resource: Value| {
        let body = client.get("/v1/admin/audit?action=session.refuse&limit=1000").expect(200).json();
        let entries = body["entries"].as_array().expect("entries").clone();
        assert!(
            entries.iter().all(|one| one["resource_id"] == resource && one["actor_id"] == "anonymous"),
            "{entries:?}"
        );
        assert!(!body.to_string().contains("nobody"), "{body}");
        entries.iter().map(|one| one["metadata"]["times"].as_u64().expect("times")).sum::<u64>()
    };
    assert_eq!(count(&operator, json!(id)), 10);
    assert_eq!(count(&operator.in_workspace(&"0".repeat(32)), Value::Null), 10);
}
