//! Do people get in, and only they, and only as far as their role goes?
//!
//! Whole servers, spoken to over HTTP as a browser and as bigRAG's client do.

use serde_json::{Value, json};
use strongroom_tests::documents::insert;
use strongroom_tests::keys::client_with;
use strongroom_tests::people::{Browser, PASSWORD, SECOND, login, member, sign_in, text, told};
use strongroom_tests::server::{Plan, Server};

// Whoever reaches a fresh server first would own it, or nobody could ever sign in.
#[test]
fn the_first_owner_is_made_with_a_key_and_once() {
    let server = Server::start();
    let operator = server.operator();
    let nobody = operator.anonymous();
    let body = json!({"email": "Ada@Example.com", "password": PASSWORD, "display_name": "Ada"});
    assert_eq!(nobody.get("/v1/auth/setup-status").expect(200).json(), json!({"needs_setup": true}));
    nobody.post("/v1/auth/setup", &body).expect_error(401, "missing_key");
    for fields in [
        json!({"scopes": ["member:*", "key:*"]}),
        json!({"partition": "acme"}),
        json!({"collection": "default"}),
        json!({"multi_tenant": true}),
        json!({"expires_at": "2999-01-01T00:00:00Z"}),
    ] {
        let answer = client_with(&operator, &fields).post("/v1/auth/setup", &body);
        assert_eq!(answer.status, 403, "{fields}: {answer}");
    }
    for (name, wrong) in [("email", json!("ada")), ("password", json!("short")), ("role", json!("owner"))] {
        let mut wrong_body = body.clone();
        wrong_body[name] = wrong;
        assert_eq!(operator.post("/v1/auth/setup", &wrong_body).status, 400, "{name}");
    }
    let owner_key = client_with(&operator, &json!({}));
    let answer = owner_key.post("/v1/auth/setup", &body).expect(200);
    let user = answer.json()["user"].clone();
    let ada = Browser::of(&operator, &answer);
    assert_eq!((&user["email"], &user["role"]), (&json!("ada@example.com"), &json!("owner")));
    assert_eq!(nobody.get("/v1/auth/setup-status").expect(200).json(), json!({"needs_setup": false}));
    operator
        .post("/v1/auth/setup", &json!({"email": "eve@example.com", "password": PASSWORD}))
        .expect_error(409, "already_set_up");
    let me = ada.get("/v1/auth/me").expect(200).json()["user"].clone();
    for field in ["id", "email", "display_name", "role", "last_login_at", "created_at", "updated_at"] {
        assert!(me[field].is_string(), "the client reads {field}: {me}");
    }
    let who = ada.get("/v1/auth/whoami").expect(200).json();
    assert_eq!((&who["auth_method"], &who["user_email"]), (&json!("session"), &json!("ada@example.com")));
    assert_eq!(operator.get("/v1/auth/whoami").expect(200).json()["auth_method"], "operator");
    owner_key.get("/v1/auth/me").expect_error(403, "not_signed_in");
    // Durable, not one moment after the answer; and the session with it.
    let server = server.kill().start();
    let ada = Browser { client: server.operator().anonymous(), ..ada };
    assert_eq!(ada.get("/v1/auth/me").expect(200).json()["user"]["id"], user["id"]);
    sign_in(&server.operator(), "ADA@example.com");
    assert!(!server.said().to_lowercase().contains("ada"), "an email is in the log: {}", server.said());
}

// A member could mint themselves a key, an administrator make themselves an owner, or a workspace be left without one.
#[test]
fn a_role_goes_so_far_and_no_further() {
    let server = Server::start();
    let operator = server.operator();
    let (owner, owner_id) = member(&operator, "owner@x.example", "owner");
    let (admin, admin_id) = member(&operator, "admin@x.example", "admin");
    let (plain, plain_id) = member(&operator, "plain@x.example", "member");
    let document = insert(&operator, None, "a text about harbours");
    // What a plain member is there for.
    plain.get(&format!("/v1/documents/{document}")).expect(200);
    plain.get("/v1/search?q=harbours").expect(200);
    plain
        .send("POST", "/v1/documents?filename=a.txt&content_type=text/plain", &[], &json!("words"))
        .expect(201);
    plain.delete(&format!("/v1/documents/{document}")).expect(200);
    for (method, path) in [
        ("POST", "/v1/admin/api-keys"),
        ("GET", "/v1/admin/api-keys"),
        ("GET", "/v1/admin/members"),
        ("GET", "/v1/admin/users"),
        ("POST", "/v1/admin/invitations"),
        ("GET", "/v1/admin/audit"),
        ("GET", "/v1/admin/audit/head"),
        ("GET", "/v1/admin/audit/export"),
        ("DELETE", "/v1/partitions/acme"),
    ] {
        plain.send(method, path, &[], &json!({})).expect_error(403, "scope_missing");
    }
    // An administrator manages those below and beside, and no owner.
    let owner_path = format!("/v1/admin/members/{owner_id}");
    for answer in [
        admin.post(
            "/v1/admin/members",
            &json!({"email": "n@x.example", "password": PASSWORD, "role": "owner"}),
        ),
        admin.post("/v1/admin/invitations", &json!({"email": "n@x.example", "role": "owner"})),
        admin.patch(&format!("/v1/admin/members/{admin_id}"), &json!({"role": "owner"})),
        admin.patch(&owner_path, &json!({"password": SECOND})),
        admin.patch(&owner_path, &json!({"role": "member"})),
        admin.delete(&owner_path),
    ] {
        answer.expect_error(403, "role_too_high");
    }
    admin
        .post("/v1/admin/api-keys", &json!({"name": "wide", "scopes": ["*"]}))
        .expect_error(403, "wider_than_own");
    let key = admin
        .post("/v1/admin/api-keys", &json!({"name": "mine", "scopes": ["member:*", "key:*"]}))
        .expect(201);
    let by_key = operator.with_key(&text(&key.json()["key"]));
    let new = |role: &str| json!({"email": "n@x.example", "password": PASSWORD, "role": role});
    for role in ["owner", "admin", "member"] {
        by_key.post("/v1/admin/members", &new(role)).expect_error(403, "role_too_high");
    }
    admin
        .delete(&format!(
            "/v1/admin/workspaces/{}",
            text(&admin.get("/v1/admin/workspaces").json()["workspaces"][0]["id"])
        ))
        .expect_error(403, "operator_only");
    // A role that changes counts from the next request on, for sessions that are there.
    plain.get("/v1/admin/members").expect_error(403, "scope_missing");
    admin.patch(&format!("/v1/admin/members/{plain_id}"), &json!({"role": "admin"})).expect(200);
    assert_eq!(plain.get("/v1/admin/members").expect(200).json()["total"], 3);
    owner.patch(&format!("/v1/admin/users/{plain_id}"), &json!({"role": "member"})).expect(200);
    plain.get("/v1/admin/members").expect_error(403, "scope_missing");
    // The last owner stays one, whoever asks.
    for client in [&operator, &client_with(&operator, &json!({}))] {
        client.delete(&owner_path).expect_error(409, "last_owner");
        client.patch(&owner_path, &json!({"role": "admin"})).expect_error(409, "last_owner");
    }
    owner.delete(&owner_path).expect_error(409, "last_owner");
    owner.patch(&format!("/v1/admin/members/{admin_id}"), &json!({"role": "owner"})).expect(200);
    owner.delete(&owner_path).expect(200);
    owner.get("/v1/auth/me").expect_error(401, "invalid_session");
    login(&operator, "owner@x.example", PASSWORD).expect_error(401, "wrong_credentials");
    admin.delete(&format!("/v1/admin/members/{admin_id}")).expect_error(409, "last_owner");
}

// The link of an invitation would lead nowhere, or to a page that runs what somebody else put there.
#[test]
fn an_invitations_link_opens_a_page() {
    let server = Server::start();
    let operator = server.operator();
    let made = operator.post("/v1/admin/invitations", &json!({"email": "n@x.example"})).expect(201).json();
    let link = text(&made["link"]);
    let (page, token) = link.split_once('#').expect("a token that no browser sends");
    assert!(token.starts_with("sri_"), "{link}");
    let (_, path) = page.rsplit_once("/console").expect("a page of the console");
    let answer = operator.anonymous().get(&format!("/console{path}")).expect(200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").expect("a policy");
    for part in ["default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && answer.text().contains("\"/v1/auth/accept\""));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}

// An invitation that leaks would work for ever, or twice, or for another role; or a guest would take over an account.
#[test]
fn an_invitation_is_good_for_one_person_once() {
    let server = Server::start();
    let operator = server.operator();
    let (admin, admin_id) = member(&operator, "admin@x.example", "admin");
    member(&operator, "owner@x.example", "owner");
    let invite = |by: &Browser, email: &str, role: &str| {
        let made =
            by.post("/v1/admin/invitations", &json!({"email": email, "role": role})).expect(201).json();
        let token = text(&made["token"]);
        let link = format!("http://{}/console/accept#{token}", server.address());
        assert_eq!(
            (text(&made["link"]), &made["mailed"], &made["invited_by"]),
            (link, &json!(false), &json!(admin_id))
        );
        (token, text(&made["id"]))
    };
    let accept = |token: &str, password: &str| {
        operator
            .anonymous()
            .post("/v1/auth/accept", &json!({"token": token, "password": password, "display_name": "New"}))
    };
    let (first, _) = invite(&admin, "New@x.example", "member");
    let (second, id) = invite(&admin, "new@x.example", "admin");
    let listed = admin.get("/v1/admin/invitations").expect(200).json();
    assert_eq!((&listed["total"], &listed["invitations"][0]["id"]), (&json!(1), &json!(id)));
    assert!(!listed.to_string().contains("sri_"), "a listing shows no token: {listed}");
    accept(&first, PASSWORD).expect_error(404, "invitation_not_found");
    accept("sri_guess", PASSWORD).expect_error(404, "invitation_not_found");
    accept(&second, "short").expect_error(400, "invalid_password");
    let answer = accept(&second, PASSWORD).expect(200);
    assert_eq!(answer.json()["user"]["role"], "admin");
    let new = Browser::of(&operator, &answer);
    new.get("/v1/admin/members").expect(200);
    accept(&second, PASSWORD).expect_error(404, "invitation_not_found");
    admin
        .post("/v1/admin/invitations", &json!({"email": "new@x.example"}))
        .expect_error(409, "already_member");
    // Taken back, it is dead; so are those of somebody who is gone.
    let (taken, id) = invite(&admin, "a@x.example", "member");
    new.delete(&format!("/v1/admin/invitations/{id}")).expect(200);
    new.delete(&format!("/v1/admin/invitations/{id}")).expect_error(404, "invitation_not_found");
    accept(&taken, PASSWORD).expect_error(404, "invitation_not_found");
    let (left, _) = invite(&admin, "b@x.example", "member");
    operator.delete(&format!("/v1/admin/members/{admin_id}")).expect(200);
    accept(&left, PASSWORD).expect_error(404, "invitation_not_found");
    // Somebody with an account joins with the password that they have, and keeps it.
    let other = operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201).json();
    let inside = operator.in_workspace("other");
    let body = json!({"email": "new@x.example", "role": "member"});
    let token = text(&inside.post("/v1/admin/invitations", &body).expect(201).json()["token"]);
    accept(&token, SECOND).expect_error(401, "wrong_credentials");
    let joined = accept(&token, PASSWORD).expect(200);
    assert_eq!(
        (&joined.json()["user"]["workspace"], &joined.json()["user"]["role"]),
        (&other["id"], &json!("member"))
    );
    let there = Browser::of(&operator, &joined);
    there.get("/v1/admin/members").expect_error(403, "scope_missing");
    assert_eq!(new.get("/v1/auth/me").expect(200).json()["user"]["role"], "admin");
}

// An administrator of one workspace would get into another one by the account of somebody who is a member of both.
#[test]
fn a_shared_account_is_its_owners_alone() {
    let server = Server::start();
    let operator = server.operator();
    operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201);
    let inside = operator.in_workspace("other");
    let (both, id) = member(&operator, "both@x.example", "member");
    inside
        .post("/v1/admin/members", &json!({"email": "both@x.example", "password": SECOND}))
        .expect_error(409, "email_taken");
    let invited = inside
        .post("/v1/admin/invitations", &json!({"email": "both@x.example", "role": "admin"}))
        .expect(201);
    let body = json!({"token": invited.json()["token"], "password": PASSWORD});
    let there = Browser::of(&operator, &operator.anonymous().post("/v1/auth/accept", &body).expect(200));
    let owner = client_with(&operator, &json!({}));
    let path = format!("/v1/admin/members/{id}");
    for change in
        [json!({"password": SECOND}), json!({"email": "evil@x.example"}), json!({"display_name": "Evil"})]
    {
        owner.patch(&path, &change).expect_error(403, "account_of_their_own");
    }
    assert_eq!(owner.patch(&path, &json!({"role": "admin"})).expect(200).json()["role"], "admin");
    // A sign-in is for the workspace that is named, and its session for that alone.
    let named = json!({"email": "both@x.example", "password": PASSWORD, "workspace": "other"});
    let answer = operator.anonymous().post("/v1/auth/login", &named).expect(200);
    let here = Browser::of(&operator, &answer);
    let own = [("strongroom-workspace", "other")];
    let foreign = [("strongroom-workspace", "default")];
    here.send("GET", "/v1/auth/me", &own, &Value::Null).expect(200);
    here.send("GET", "/v1/auth/me", &foreign, &Value::Null).expect_error(403, "workspace_forbidden");
    let nowhere = json!({"email": "both@x.example", "password": PASSWORD, "workspace": "gone"});
    operator.anonymous().post("/v1/auth/login", &nowhere).expect_error(403, "workspace_forbidden");
    // Removed here, they are a member there; with the last workspace the account is gone.
    owner.delete(&path).expect(200);
    both.get("/v1/auth/me").expect_error(401, "invalid_session");
    there.get("/v1/auth/me").expect(200);
    let other = text(
        &inside.get("/v1/admin/workspaces").json()["workspaces"]
            .as_array()
            .expect("workspaces")
            .iter()
            .find(|one| one["name"] == "other")
            .expect("other")["id"],
    );
    operator.delete(&format!("/v1/admin/workspaces/{other}")).expect(200);
    there.get("/v1/auth/me").expect_error(401, "invalid_session");
    login(&operator, "both@x.example", PASSWORD).expect_error(401, "wrong_credentials");
    member(&operator, "both@x.example", "member");
}

// Nobody could tell who let whom in.
#[test]
fn every_act_is_told() {
    let server = Server::start();
    let operator = server.operator();
    let (owner, owner_id) = member(&operator, "owner@x.example", "owner");
    let (_, id) = member(&operator, "a@x.example", "member");
    owner.patch(&format!("/v1/admin/members/{id}"), &json!({"role": "admin"})).expect(200);
    let invited = owner.post("/v1/admin/invitations", &json!({"email": "b@x.example"})).expect(201).json();
    owner.delete(&format!("/v1/admin/invitations/{}", text(&invited["id"]))).expect(200);
    owner.delete(&format!("/v1/admin/members/{id}")).expect(200);
    owner
        .post("/v1/auth/password", &json!({"current_password": PASSWORD, "new_password": SECOND}))
        .expect(200);
    owner.post("/v1/auth/logout", &Value::Null).expect(200);
    let (me, done) = (owner_id.as_str(), "done");
    let expected = [
        ("member.create", "operator"),
        ("session.begin", me),
        ("member.create", "operator"),
        ("session.begin", &id),
        ("member.change", me),
        ("invitation.create", me),
        ("invitation.revoke", me),
        ("member.remove", me),
        ("member.password", me),
        ("session.end", me),
    ];
    let acts: Vec<_> = told(&operator, "")
        .into_iter()
        .filter(|(action, ..)| !action.starts_with("key.") && !action.starts_with("workspace."))
        .collect();
    assert_eq!(acts, expected.map(|(action, who)| (action.to_owned(), done.to_owned(), who.to_owned())));
    let body = operator.get("/v1/admin/audit?action=member.remove").expect(200).json();
    let entry = &body["entries"][0];
    assert_eq!((&entry["ip"], &entry["resource_id"]), (&json!("127.0.0.1"), &json!(id)));
    assert_eq!(entry["actor_email"], "owner@x.example");
    assert!(entry["user_agent"].is_string(), "{entry}");
    // A removed account is told by its id alone.
    let signed = operator.get(&format!("/v1/admin/audit?actor_id={id}")).expect(200).json();
    assert_eq!((&signed["total"], &signed["entries"][0]["actor_email"]), (&json!(1), &Value::Null));
}

// bigRAG's own client could not read who is there.
#[test]
fn users_are_as_bigrag_reads_them() {
    let server = Plan::default().set("STRONGROOM_PUBLIC_URL", "https://rooms.example").start();
    let operator = server.operator();
    let made = operator
        .post("/v1/admin/users", &json!({"email": "u@x.example", "password": PASSWORD, "display_name": "U"}))
        .expect(201)
        .json();
    assert_eq!((&made["role"], &made["last_login_at"]), (&json!("member"), &Value::Null));
    let listed = operator.get("/v1/admin/users?limit=1&offset=0").expect(200).json();
    assert_eq!((&listed["total"], &listed["users"][0]), (&json!(1), &made));
    let path = format!("/v1/admin/users/{}", text(&made["id"]));
    let changed =
        operator.patch(&path, &json!({"email": "V@x.example", "display_name": "V"})).expect(200).json();
    assert_eq!((&changed["email"], &changed["display_name"]), (&json!("v@x.example"), &json!("V")));
    operator.patch(&path, &json!({"role": "viewer"})).expect_error(400, "unknown_role");
    operator
        .post("/v1/admin/users", &json!({"email": "v@X.example", "password": PASSWORD}))
        .expect_error(409, "email_taken");
    // Where people come by TLS, the cookie goes by TLS alone, and links lead to where they come.
    let answer = login(&operator, "v@x.example", PASSWORD).expect(200);
    assert!(answer.header("set-cookie").is_some_and(|set| set.ends_with("; Secure")), "{answer}");
    let invited = operator.post("/v1/admin/invitations", &json!({"email": "w@x.example"})).expect(201).json();
    assert!(text(&invited["link"]).starts_with("https://rooms.example/console/accept#sri_"), "{invited}");
    assert_eq!(operator.delete(&path).expect(200).json()["status"], "ok");
    operator.delete(&path).expect_error(404, "member_not_found");
    operator.get("/v1/auth/preferences").expect_error(501, "not_offered");
    for pin in [json!({"partition": "acme"}), json!({"collection": "default"}), json!({"multi_tenant": true})]
    {
        client_with(&operator, &pin).get("/v1/admin/members").expect_error(403, "pinned_key");
    }
}
