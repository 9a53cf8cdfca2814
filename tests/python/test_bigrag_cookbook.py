"""Does a product that was built along bigRAG's cookbook for many tenants run here, line by line?

Collections for each tenant or one that they share, keys, usage, the audit trail, offboarding; and each further call that a
product makes of its client to administrate them.
"""

import asyncio

import httpx
import pytest
from bigrag import BigRAG
from bigrag._errors import APIError
from calls import BIGRAG_CALLED, BIGRAG_PROMISED, Recorded

PASSWORD = "correct horse battery staple"


@pytest.fixture
def workspace(server):
    return server.fresh_workspace()


@pytest.fixture
def key(server, workspace):
    return server.mint(workspace=workspace)


@pytest.fixture
def run(server, key):
    """Runs a function of the published client, with the owner's key or another."""

    def run(use, api_key=None):
        async def own():
            async with BigRAG(api_key=key if api_key is None else api_key, base_url=server.url, max_retries=0) as client:
                return await use(Recorded(client))

        return asyncio.run(own())

    return run


def status_of(run, use, api_key=None):
    with pytest.raises(APIError) as failure:
        run(use, api_key)
    return failure.value.status


def test_a_collection_for_each_tenant(run):
    async def provision(client):
        await client.collections.create({
            "name": "tenant_acme",
            "embedding_provider": "openai",
            "embedding_model": "text-embedding-3-small",
            "dimension": 1536,
            "metadata_schema": {
                "type": "object",
                "required": ["source"],
                "properties": {
                    "source": {"type": "string", "enum": ["email", "docs", "chat"]},
                    "tier": {"type": "string", "enum": ["free", "pro", "enterprise"]},
                },
            },
        })
        return await client.admin.api_keys.create({
            "name": "tenant-acme",
            "scopes": ["query:read", "document:upload"],
            "collection": "tenant_acme",
        })

    tenant_api_key = run(provision)["key"]
    made = run(lambda c: c.collections.get("tenant_acme"))
    assert (made["dimension"], made["has_api_key"]) == (1536, False)
    # No key of the provider is configured: what can't be embedded is refused, and says why.
    upload = lambda c: c.documents.upload("tenant_acme", ("a.txt", b"A cat."), metadata={"source": "docs"})
    assert status_of(run, upload, tenant_api_key) == 422
    run(lambda c: c.collections.create({"name": "tenant_globex"}))
    for use in [
        lambda c: c.queries.query("tenant_globex", {"query": "cats"}),
        lambda c: c.collections.list(),
        lambda c: c.collections.delete("tenant_acme"),
        lambda c: c.admin.api_keys.create({"name": "more", "scopes": ["*"]}),
    ]:
        assert status_of(run, use, tenant_api_key) == 403
    run(lambda c: c.collections.delete("tenant_acme"))
    assert status_of(run, lambda c: c.collections.get("tenant_acme")) == 404


def test_the_schema_holds(run):
    schema = {"type": "object", "required": ["source"]}
    run(lambda c: c.collections.create({"name": "tenant_acme", "metadata_schema": schema}))
    upload = lambda metadata: lambda c: c.documents.upload("tenant_acme", ("a.txt", b"A cat."), metadata=metadata)
    assert status_of(run, upload({"tier": "free"})) == 422
    assert run(upload({"source": "docs"}))["status"] == "ready"


def test_a_collection_that_tenants_share(run, tmp_path):
    async def story(client):
        await client.collections.create({"name": "shared_tenants", "tenant_field": "tenant_id"})
        ids = []
        for tenant in ["acme", "globex"]:
            path = tmp_path / f"{tenant}.txt"
            path.write_text(f"The quarterly revenue of {tenant} rose.")
            with path.open("rb") as handle:
                made = await client.documents.upload(
                    "shared_tenants", handle, metadata={"tenant_id": tenant, "source": "docs"}
                )
            ids.append(made["id"])
        results = await client.queries.query(
            "shared_tenants", {"query": "quarterly revenue", "filters": {"tenant_id": "acme"}}
        )
        assert [one["text"] for one in results["results"]] == ["The quarterly revenue of acme rose."]
        usage = await client.get_usage(window_days=30)
        [row] = [one for one in usage["by_collection"] if one["collection"] == "shared_tenants"]
        assert (row["documents"], row["chunks"], row["queries"]) == (2, 2, 1)
        assert row["storage_bytes"] > 0 and row["embedding_tokens"] > 0
        assert row["embedding_cost_usd_estimate"] == 0.0
        # Offboarding.
        gone = await client.documents.batch_delete("shared_tenants", ids[:1])
        assert gone["deleted"] == 1
        stats = await client.collections.stats("shared_tenants")
        assert stats["document_count"] == 1, stats

    run(story)


def test_the_audit_trail(server, run, key):
    async def acts(client):
        await client.auth.setup({"email": "ada@example.com", "password": PASSWORD, "display_name": "Ada"})
        await client.collections.create({"name": "tenant_acme"})
        made = await client.admin.api_keys.create({"name": "tenant-acme", "scopes": ["query:read"]})
        listed = await client.admin.api_keys.list()
        assert made["id"] in [one["id"] for one in listed["keys"]]
        await client.admin.api_keys.update(made["id"], {"name": "renamed"})
        again = await client.admin.api_keys.rotate(made["id"])
        assert again["key"] != made["key"]
        await client.admin.api_keys.delete(again["id"])
        return made, again

    made, again = run(acts)
    for dead in [made["key"], again["key"]]:
        assert status_of(run, lambda c: c.auth.whoami(), dead) == 401
    told = run(lambda c: c.admin.audit.list(resource_type="api_key"))
    actions = {entry["action"] for entry in told["entries"]}
    assert {"key.mint", "key.change", "key.rotate", "key.revoke"} <= actions, actions
    # As curl does, with the cookie of somebody who signed in.
    with httpx.Client(base_url=server.url) as browser:
        body = {"email": "ada@example.com", "password": PASSWORD}
        assert browser.post("/v1/auth/login", json=body).status_code == 200
        entries = browser.get("/v1/admin/audit?resource_type=collection").json()["entries"]
        assert [entry["action"] for entry in entries] == ["collection.create"]
        ada = browser.get("/v1/auth/me").json()["user"]["id"]
        mine = browser.get("/v1/admin/audit", params={"actor_id": ada}).json()["entries"]
        assert {entry["action"] for entry in mine} == {"session.begin"}


def test_people_sign_in(run):
    async def story(client):
        assert (await client.auth.setup_status())["needs_setup"] is True
        body = {"email": "grace@example.com", "password": PASSWORD, "display_name": "Grace"}
        assert (await client.auth.setup(body))["user"]["role"] == "owner"

    run(story)

    async def grace(client):
        signed = await client.auth.login({"email": "grace@example.com", "password": PASSWORD})
        assert signed["user"]["display_name"] == "Grace"
        # Without a key the session's cookie is who the client is.
        assert (await client.auth.me())["user"] == signed["user"]
        assert (await client.auth.whoami())["user_email"] == "grace@example.com"
        await client.auth.logout()
        with pytest.raises(APIError) as over:
            await client.auth.me()
        assert over.value.status == 401

    run(grace, api_key="")


def test_a_collection_is_looked_after(run):
    async def story(client):
        made = await client.collections.create({"name": "manuals", "description": "ours"})
        changed = await client.collections.update("manuals", {"description": "yours", "default_top_k": 3})
        assert (changed["description"], changed["default_top_k"]) == ("yours", 3)
        names = [one["name"] for one in (await client.collections.list())["collections"]]
        assert made["name"] in names
        for number in range(3):
            await client.documents.upload("manuals", (f"{number}.txt", f"Manual {number}".encode()))
        listed = await client.documents.list("manuals", limit=2)
        assert (listed["total"], len(listed["documents"])) == (3, 2)
        events = client.collections.stream_events("manuals")
        first = asyncio.ensure_future(anext(events))
        while not first.done():
            # Whoever watches from now on sees the next upload.
            await client.documents.upload("manuals", ("more.txt", b"Another manual"))
            await asyncio.wait([first], timeout=0.2)
        assert first.result()["status"] == "ready"
        await events.aclose()
        assert (await client.collections.create_event_token("manuals"))["token"]
        assert (await client.collections.reembed("manuals"))["status"] == "queued"
        assert (await client.collections.analytics("manuals"))["period_24h"]["query_count"] == 0
        await client.collections.truncate("manuals")
        assert (await client.documents.list("manuals"))["total"] == 0
        await client.collections.delete("manuals")
        assert (await client.health())["status"] == "ok"
        assert (await client.readiness())["status"] == "ready"

    run(story)


def test_what_is_left_out_says_so(run):
    later = [
        lambda c: c.get_stats(),
        lambda c: c.list_embedding_models(),
        lambda c: c.evaluations.run({"collection": "default", "golden": []}),
        lambda c: c.webhooks.list(),
        lambda c: c.chat.create({"collections": ["default"], "message": "hello"}),
        lambda c: c.connectors.google.account(),
        lambda c: c.admin.backups.list(),
        lambda c: c.admin.mcp_servers.list(),
        lambda c: c.admin.settings.list(),
        lambda c: c.admin.access.overview(),
        lambda c: c.admin.vector_storage.overview(),
        lambda c: c.admin.embedding_presets.list(),
        lambda c: c.auth.get_preferences(),
    ]
    for use in later:
        assert status_of(run, use) == 501


def test_no_promised_call_was_forgotten(request):
    """Lost otherwise: a call that the contract promises could break without a test that ever made it."""
    files = {item.path.name for item in request.session.items}
    if {"test_bigrag.py", "test_bigrag_cookbook.py"} <= files:
        assert BIGRAG_PROMISED - BIGRAG_CALLED == set()
