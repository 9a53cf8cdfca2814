"""Does the published bigRAG client work unmodified, for documents, queries and vectors?

A user who points their product at this server would find the first failing test as the first line of their code that
breaks.
"""

import asyncio
import time

import httpx
import pytest
from bigrag import BigRAG
from bigrag._errors import APIError
from calls import Recorded

WHALES = "Whales are mammals that live in the sea."
BREAD = "Bread dough rises because yeast makes carbon dioxide."


@pytest.fixture
def client(server):
    """Runs calls of the owner of a fresh workspace, each to its end."""
    return caller(server, server.mint(workspace=server.fresh_workspace()))


def caller(server, key):
    def call(use):
        async def run():
            async with BigRAG(api_key=key, base_url=server.url, max_retries=0) as own:
                return await use(Recorded(own))

        return asyncio.run(run())

    return call


@pytest.fixture
def name(client):
    """A collection that keeps tenants apart."""
    name = f"manuals {time.monotonic_ns()}"
    client(lambda c: c.collections.create({"name": name, "tenant_field": "tenant_id"}))
    return name


def refused(client, use) -> APIError:
    with pytest.raises(APIError) as failure:
        client(use)
    return failure.value


def test_a_document_goes_in_and_comes_back(client, name):
    made = client(
        lambda c: c.documents.upload(name, ("whales.txt", WHALES.encode()), metadata={"tenant_id": "acme", "page": 3})
    )
    assert (made["filename"], made["status"], made["metadata"]["page"]) == ("whales.txt", "ready", 3)
    assert client(lambda c: c.documents.get(name, made["id"])) == made
    chunks = client(lambda c: c.documents.get_chunks(name, made["id"], limit=1))
    assert (chunks["total"], chunks["chunks"][0]["text"]) == (1, WHALES)
    assert client(lambda c: c.documents.get_chunks_by_id(made["id"])) == chunks
    found = client(lambda c: c.queries.query(name, {"query": "sea", "filters": {"tenant_id": "acme"}, "top_k": 3}))
    assert found["total"] == 1 and found["results"][0]["document_id"] == made["id"]
    assert 0.0 <= found["results"][0]["score"] <= 1.0
    assert client(lambda c: c.documents.reprocess(name, made["id"]))["status"] == "ready"
    client(lambda c: c.documents.delete(name, made["id"]))
    gone = refused(client, lambda c: c.documents.get(name, made["id"]))
    assert (gone.status, gone.code) == (404, "document_not_found")
    gone = refused(client, lambda c: c.documents.get_chunks_by_id(made["id"]))
    assert (gone.status, gone.code) == (404, "document_not_found")


def test_the_bytes_come_back(server):
    key = server.mint(workspace=server.fresh_workspace())
    own = caller(server, key)
    own(lambda c: c.collections.create({"name": "c"}))
    made = own(lambda c: c.documents.upload("c", ("b.txt", BREAD.encode())))

    async def address(client):
        return client.documents.get_file_url("c", made["id"])

    answer = httpx.get(own(address), headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.text) == (200, BREAD)


def test_batches(client, name):
    files = [("a.txt", WHALES.encode()), ("b.txt", BREAD.encode())]
    made = client(lambda c: c.documents.batch_upload(name, files, metadata={"tenant_id": "acme"}))
    ids = [document["id"] for document in made["documents"]]
    assert made["total"] == 2
    assert client(lambda c: c.documents.batch_get(name, ids))["total"] == 2
    told = client(lambda c: c.documents.batch_get_status(name, ids))
    assert [one["status"] for one in told["documents"]] == ["ready", "ready"]
    gone = client(lambda c: c.documents.batch_delete(name, [ids[0], "nobody"]))
    assert (gone["deleted"], gone["errors"][0]["document_id"]) == (1, "nobody")


def test_a_tenant_is_named_or_nothing_is_done(server, client):
    workspace = server.fresh_workspace()
    owner = caller(server, server.mint(workspace=workspace))
    owner(lambda c: c.collections.create({"name": "shared", "tenant_field": "tenant_id"}))
    for tenant in ["acme", "globex"]:
        owner(
            lambda c, tenant=tenant: c.documents.upload(
                "shared", ("note.txt", f"the secret of {tenant}".encode()), metadata={"tenant_id": tenant}
            )
        )
    of_acme = {"query": "secret", "filters": {"tenant_id": {"$eq": "acme"}}}
    texts = [one["text"] for one in owner(lambda c: c.queries.query("shared", of_acme))["results"]]
    assert texts == ["the secret of acme"]
    several = owner(lambda c: c.queries.multi_query({**of_acme, "collections": ["shared"]}))
    assert [one["text"] for one in several["results"]] == ["the secret of acme"]
    batch = owner(lambda c: c.queries.batch_query({"queries": [{**of_acme, "collection": "shared"}]}))
    assert batch["results"][0]["results"][0]["text"] == "the secret of acme"
    uses = [
        lambda c: c.queries.query("shared", {"query": "secret"}),
        lambda c: c.queries.multi_query({"query": "secret", "collections": ["shared"]}),
        lambda c: c.queries.batch_query({"queries": [{"query": "secret", "collection": "shared"}]}),
        lambda c: c.documents.upload("shared", ("x.txt", b"words")),
        lambda c: c.documents.batch_upload("shared", [("x.txt", b"words")], metadata={"tenant_id": ""}),
        lambda c: c.vectors.upsert("shared", [{"id": "x", "embedding": [0.5] * 256}]),
        lambda c: c.documents.list("shared"),
    ]
    for use in uses:
        assert refused(owner, use).status == 400
    pinned = caller(server, server.mint(workspace=workspace, collection="shared", partition="globex"))
    assert refused(pinned, lambda c: c.queries.query("shared", of_acme)).status == 403
    assert pinned(lambda c: c.documents.list("shared"))["total"] == 1


def test_vectors_of_your_own(client):
    client(lambda c: c.collections.create({"name": "own", "dimension": 3}))
    vectors = [
        {"id": "v1", "embedding": [1.0, 0.0, 0.0], "text": "red whale", "metadata": {"n": 1}},
        {"id": "v2", "embedding": [0.0, 1.0, 0.0], "text": "blue whale"},
    ]
    assert client(lambda c: c.vectors.upsert("own", vectors))["upserted"] == 2
    found = client(lambda c: c.queries.query("own", {"query": "red", "search_mode": "keyword"}))
    assert [(one["id"], one["text"]) for one in found["results"]] == [("v1", "red whale")]
    assert client(lambda c: c.vectors.delete("own", ["v1", "nobody"]))["deleted"] == 1
    assert client(lambda c: c.queries.query("own", {"query": "red", "search_mode": "keyword"}))["total"] == 0


def test_what_is_not_offered_says_so(client, name):
    later = [
        lambda c: c.documents.get_elements(name, "x"),
        lambda c: c.documents.create_upload_session(name, total_files=1, total_bytes=1),
        lambda c: c.queries.query(name, {"query": "x", "multimodal": True, "filters": {"tenant_id": "acme"}}),
    ]
    for use in later:
        assert refused(client, use).status == 501


class Losing(httpx.AsyncHTTPTransport):
    """Has each write done and loses its first answer, as a network may."""

    def __init__(self):
        super().__init__()
        self.lost = set()

    async def handle_async_request(self, request):
        answer = await super().handle_async_request(request)
        key = request.headers.get("idempotency-key")
        if key is not None and key not in self.lost:
            self.lost.add(key)
            await answer.aread()
            raise httpx.ReadTimeout("the answer was lost", request=request)
        return answer


def test_a_write_whose_answer_was_lost_is_done_once(server):
    key = server.mint(workspace=server.fresh_workspace())
    of_acme = {"tenant_id": "acme"}

    async def run():
        async with BigRAG(api_key=key, base_url=server.url, max_retries=0) as own:
            await own.collections.create({"name": "manuals", "tenant_field": "tenant_id"})
        async with httpx.AsyncClient(transport=Losing()) as lossy:
            own = BigRAG(api_key=key, base_url=server.url, max_retries=1, http_client=lossy)
            kept = await own.documents.upload("manuals", ("a.txt", WHALES.encode()), metadata=of_acme)
            gone = await own.documents.upload("manuals", ("b.txt", BREAD.encode()), metadata=of_acme)
            assert (await own.documents.delete("manuals", gone["id"]))["status"] == "deleted"
            return kept["id"], await own.queries.query("manuals", {"query": "whales", "filters": of_acme})

    kept, answer = asyncio.run(run())
    assert [hit["document_id"] for hit in answer["results"]] == [kept]
