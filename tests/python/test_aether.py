"""Does the published Aether client work unmodified, call by call?

Every test runs with the sync and with the async client. A user who points their product at this server would find
the first failing test as the first line of their code that breaks.
"""

import pytest
from aether import AetherApiError, PartitionRequiredError
from aether.models import BatchInsertItem, BatchSearchQuery

from calls import CALLED, Caller, offered

WHALES = "Whales are mammals that live in the sea."
INVOICE = "The invoice is due thirty days after delivery."
BREAD = "Bread dough rises because yeast makes carbon dioxide."


@pytest.fixture(params=["sync", "async"])
def caller(server, request):
    """The owner of a fresh workspace."""
    client = Caller.open(request.param, server.url, server.mint(workspace=server.fresh_workspace()))
    yield client
    client.close()


@pytest.fixture
def acme(caller):
    """A handle on one partition of that workspace."""
    return caller.partition("acme")


@pytest.fixture
def tenants(server, caller):
    """The same form of client with a multi-tenant key."""
    key = server.mint(workspace=server.fresh_workspace(), multi_tenant=True)
    client = Caller.open(caller.form, server.url, key)
    yield client
    client.close()


def texts(results) -> list:
    return [r.content for r in results]


def dimension_of(caller) -> int:
    """How long the vectors are that the server takes: it says so when they are not."""
    with pytest.raises(AetherApiError) as refused:
        caller.insert_with_embeddings("x", filename="x.txt", embedding=[1.0])
    assert refused.value.status_code == 422
    return max(int(word) for word in refused.value.message.replace(",", " ").split() if word.isdigit())


def test_insert_a_file_and_read_all_of_it(acme, tmp_path):
    path = tmp_path / "whales.md"
    path.write_text(WHALES)
    record = acme.insert(path, content_type="text/markdown", tags=["sea", "b"], entity_id="ada", source="mail",
                         metadata={"year": 2024, "ok": True, "note": "a, b"})
    assert record.doc_id and record.chunks >= 1 and record.vectors >= 1
    assert record.size_bytes == len(WHALES.encode())
    assert record.tags == ["sea", "b"] and record.entity_id == "ada" and record.source == "mail"
    assert record.metadata == {"year": 2024, "ok": True, "note": "a, b"}
    assert record.partition == "acme" and record.version == 1 and record.created_at
    got = acme.get(record.doc_id)
    assert (got.doc_id, got.tags, got.metadata, got.content_type) == (
        record.doc_id, record.tags, record.metadata, "text/markdown")
    assert acme.download_text(record.doc_id) == WHALES
    out = tmp_path / "out"
    assert acme.download(record.doc_id, out) == len(WHALES.encode())
    assert out.read_text() == WHALES
    text = acme.get_text(record.doc_id)
    assert text.state == "ready" and text.text == WHALES


def test_text_can_be_read_in_pages_and_sections(acme):
    manual = "# One\n\nfirst words\n\n## Two\n\nsecond words\n"
    doc_id = acme.insert_text(manual, filename="manual.md").doc_id
    pages, offset = "", 0
    while True:
        page = acme.get_text(doc_id, offset=offset, max_bytes=16)
        pages += page.text
        if not page.truncated:
            break
        offset = page.next_offset
    assert pages == manual


def test_insert_text_and_search_it(acme):
    for text in (WHALES, INVOICE, BREAD):
        acme.insert_text(text, filename="note.txt", tags=["note"])
    results = acme.search("Which animals live in the ocean?", k=3, include_content=True)
    assert len(results) == 3 and results[0].content == WHALES
    assert all(isinstance(r.score, int) and 0 <= r.score <= 100 for r in results)
    assert [r.score for r in results] == sorted((r.score for r in results), reverse=True)
    best = results[0]
    assert best.passage and best.passage in WHALES and best.tags == ["note"]
    assert best.partition == "acme" and best.created_at and best.title
    assert acme.search(WHALES, k=1, include_content=True)[0].score >= 99
    assert len(acme.search("anything", k=2)) == 2
    assert acme.search("anything", k=1)[0].content is None


def test_insert_a_stream(caller, acme):
    async def slowly():
        yield INVOICE[:10].encode()
        yield INVOICE[10:].encode()

    stream = slowly() if caller.form == "async" else iter([INVOICE[:10].encode(), INVOICE[10:].encode()])
    record = acme.insert_stream(stream, filename="invoice.txt", content_type="text/plain", tags=["due"])
    assert acme.download_text(record.doc_id) == INVOICE and record.tags == ["due"]


def test_insert_in_the_background(acme, tmp_path):
    path = tmp_path / "bread.txt"
    path.write_text(BREAD)
    queued = acme.insert_async(path, tags=["food"], metadata={"n": 1})
    assert queued["job_id"] and queued["status"] and queued["poll_url"]
    job = acme.wait_for_job(queued["job_id"], timeout=30, poll_interval=0.05)
    assert job["status"] == "completed"
    found = acme.search("yeast", k=1, include_content=True)
    assert texts(found) == [BREAD] and found[0].tags == ["food"] and found[0].metadata == {"n": 1}
    with pytest.raises(AetherApiError) as missing:
        acme.wait_for_job("no-such-job", timeout=1, poll_interval=0.05)
    assert missing.value.status_code == 404


def test_insert_and_search_with_own_vectors(acme):
    dimension = dimension_of(acme)
    first = [1.0] + [0.0] * (dimension - 1)
    second = [0.0, 1.0] + [0.0] * (dimension - 2)
    record = acme.insert_with_embeddings("first", filename="first.txt", embedding=first, tags=["own"], metadata={"n": 1})
    passages = [{"text": "left", "embedding": second}, {"text": "right", "embedding": [-x for x in first]}]
    many = acme.insert_with_embeddings("left right", filename="many.txt", passages=passages)
    assert record.vectors == 1 and many.vectors == 2
    results = acme.search_by_vector(first, k=2, include_content=True)
    assert results[0].doc_id == record.doc_id and results[0].score == 100 and results[0].tags == ["own"]
    results = acme.search_by_vector(second, k=1)
    assert results[0].doc_id == many.doc_id and results[0].passage == "left"
    assert acme.search_by_vector(first, k=5, tags=["own"])[0].metadata == {"n": 1}
    assert len(acme.search_by_vector(first, k=5, any_tags=["own", "never"])) == 1


def test_batches(acme):
    items = [
        BatchInsertItem("whales.txt", WHALES, tags=["sea"], entity_id="ada", source="mail", metadata={"n": 1}),
        BatchInsertItem("invoice.txt", INVOICE),
    ]
    records = acme.batch_insert(items)
    assert [r.partition for r in records] == ["acme", "acme"]
    assert records[0].tags == ["sea"] and records[0].metadata == {"n": 1} and records[0].entity_id == "ada"
    assert acme.download_text(records[1].doc_id) == INVOICE
    answers = acme.batch_search([
        BatchSearchQuery("animals in the ocean", k=1, include_content=True),
        BatchSearchQuery("payment", k=2, tags=["sea"], include_content=True),
        BatchSearchQuery("payment", k=2, any_tags=["never"]),
    ])
    assert [a.query for a in answers] == ["animals in the ocean", "payment", "payment"]
    assert [texts(a.results) for a in answers] == [[WHALES], [WHALES], []]


def test_update_keeps_the_id(acme, tmp_path):
    record = acme.insert_text(WHALES, tags=["old"], entity_id="ada", source="mail")
    path = tmp_path / "new.txt"
    path.write_text(BREAD)
    updated = acme.update(record.doc_id, path, tags=["new"], metadata={"n": 2})
    assert (updated.doc_id, updated.version, updated.tags) == (record.doc_id, 2, ["new"])
    assert updated.entity_id is None and updated.source is None and updated.metadata == {"n": 2}
    assert updated.created_at == record.created_at and updated.updated_at
    assert acme.download_text(record.doc_id) == BREAD
    assert texts(acme.search(WHALES, k=5, include_content=True)) == [BREAD]
    with pytest.raises(AetherApiError) as missing:
        acme.update("no-such-document", path)
    assert missing.value.status_code == 404


def test_list_in_pages_and_by_labels(acme):
    for n in range(7):
        acme.insert_text(f"note {n}", filename=f"{n}.txt", tags=["odd" if n % 2 else "even", f"n{n}"],
                         entity_id="ada" if n < 3 else None, source="mail" if n == 6 else None)
    page = acme.list(limit=4)
    assert len(page) == 4 and page.total == 7 and page.has_more
    rest = acme.list(offset=4, limit=4)
    assert len(rest) == 3 and not rest.has_more
    ids = [d.doc_id for d in page] + [d.doc_id for d in rest]
    assert len(set(ids)) == 7
    assert all(d.partition == "acme" for d in page)
    assert acme.list(tags=["odd"]).total == 3 and acme.list(tags=["odd", "n1"]).total == 1
    assert acme.list(any_tags=["n1", "n2"]).total == 2 and acme.list(tags=["never"]).total == 0
    assert acme.list(entity_id="ada").total == 3 and acme.list(sources=["mail"]).total == 1
    assert acme.list(content_types=["text/plain"]).total == 7
    assert acme.list(content_types=["application/pdf"]).total == 0
    created = page[0].created_at
    assert acme.list(since="2000-01-01T00:00:00Z", until="2100-01-01T00:00:00Z").total == 7
    assert acme.list(until="2000-01-01T00:00:00Z").total == 0 and acme.list(last_n_days=1).total == 7
    assert created and "T" in created


def test_tags_and_or_inside_the_search(acme):
    acme.insert_text("one", tags=["red"])
    acme.insert_text("two", tags=["red", "round"])
    acme.insert_text("three", tags=["round"])
    for n in range(60):
        acme.insert_text(f"red round noise {n}")

    def found(**labels):
        results = acme.search("red round", k=10, include_content=True, **labels)
        assert all(set(r.tags) <= {"red", "round"} and r.tags for r in results)
        return sorted(texts(results))

    assert found(tags=["red", "round"]) == ["two"]
    assert found(any_tags=["red", "round"]) == ["one", "three", "two"]
    assert found(tags=["red"], any_tags=["round"]) == ["two"]
    assert found(tags=["never"]) == []


def test_other_filters_of_a_search(acme):
    acme.insert_text("by ada", entity_id="ada", source="mail")
    acme.insert_text("by ben", entity_id="ben")
    by = lambda **f: sorted(texts(acme.search("by", k=10, include_content=True, **f)))  # noqa: E731
    assert by(entity_id="ada") == ["by ada"] and by(sources=["mail"]) == ["by ada"]
    assert by(content_types=["text/plain"]) == ["by ada", "by ben"] and by(content_types=["text/html"]) == []
    assert by(since="2000-01-01T00:00:00Z") == ["by ada", "by ben"] and by(until="2000-01-01T00:00:00Z") == []
    assert by(last_n_days=1) == ["by ada", "by ben"]
    near = acme.search("by ada", k=10, include_content=True, max_distance=0.05)
    assert texts(near) == ["by ada"]


def test_delete_restore_and_the_conflicts(acme):
    doc_id = acme.insert_text(WHALES).doc_id
    with pytest.raises(AetherApiError) as live:
        acme.restore(doc_id)
    assert live.value.status_code == 409
    acme.delete(doc_id)
    assert acme.search(WHALES, k=5) == [] and acme.list().total == 0
    for read in (acme.get, acme.download_text, acme.get_text):
        with pytest.raises(AetherApiError) as gone:
            read(doc_id)
        assert gone.value.status_code == 404 and gone.value.error_code and gone.value.request_id
    with pytest.raises(AetherApiError) as twice:
        acme.delete(doc_id)
    assert twice.value.status_code == 409
    acme.restore(doc_id)
    assert acme.download_text(doc_id) == WHALES
    assert texts(acme.search(WHALES, k=5, include_content=True)) == [WHALES]


def test_a_hard_delete_is_final(caller, acme):
    """A person who asks to be forgotten would be found again."""
    kept = acme.insert_text(BREAD).doc_id
    live, deleted = acme.insert_text(WHALES, tags=["sea"]).doc_id, acme.insert_text(INVOICE).doc_id
    acme.delete(deleted)
    for doc_id in (live, deleted):
        acme.delete(doc_id, hard=True)
        calls = (acme.get, acme.download_text, acme.get_text, acme.restore, acme.delete,
                 lambda doc_id: acme.delete(doc_id, hard=True))
        for call in calls:
            with pytest.raises(AetherApiError) as gone:
                call(doc_id)
            assert gone.value.status_code == 404
    assert texts(acme.search(WHALES, k=10, include_content=True)) == [BREAD]
    assert acme.search(WHALES, k=10, tags=["sea"]) == [] and acme.list().total == 1
    with pytest.raises(AetherApiError) as foreign:
        caller.partition("globex").delete(kept, hard=True)
    assert foreign.value.status_code == 404 and acme.download_text(kept) == BREAD
    again = acme.insert_text(WHALES)
    assert again.doc_id not in (live, deleted) and again.version == 1
    assert acme.download_text(again.doc_id) == WHALES
    assert caller.delete_partition("acme") == 2, "the client ignores what else the answer holds"


def test_retrieve_brings_the_text(acme):
    acme.insert_text(WHALES, filename="whales.txt", tags=["sea"])
    acme.insert_text(BREAD)
    results = acme.retrieve("ocean animals", k=2)
    assert [r.content for r in results] == [WHALES, BREAD]
    assert results[0].tags == ["sea"] and results[0].partition == "acme"
    assert [r.content for r in acme.retrieve("anything", k=5, tags=["sea"])] == [WHALES]


def test_the_trace_is_evidence(caller, acme):
    for n in range(3):
        acme.insert_text(f"note {n}")
    caller.partition("globex").insert_text("note of globex")
    traced = acme.search_trace("note", k=2)
    assert len(traced.results) == 2 and traced.trace.results == 2
    assert traced.trace.scoped_to == "acme" and traced.trace.partitions_touched == ["acme"]
    assert traced.trace.candidates_in_scope == 3 and traced.trace.boundary == "partition"
    assert not traced.trace.default_partition_touched
    nothing = acme.search_trace("note", tags=["never"])
    assert nothing.results == [] and nothing.trace.partitions_touched == ["acme"]
    check = acme.verify_isolation("note", k=10)
    assert check.ok and check.results == 3 and check.leaked == [] and check.partitions_touched == ["acme"]
    assert check.candidates_in_scope == 3 and check.scoped_to == "acme"


def test_partitions_are_listed_warned_about_and_deleted(caller):
    for name, count in (("acme", 2), ("ACME", 1), ("a/b ../c", 2), ("日本 🏢", 2)):
        for n in range(count):
            caller.partition(name).insert_text(f"note {n} of {name}")
    listed = caller.list_partitions()
    assert {p.id: p.document_count for p in listed.partitions} == {
        "acme": 2, "ACME": 1, "a/b ../c": 2, "日本 🏢": 2}
    kinds = {w.kind: w for w in listed.warnings}
    assert set(kinds["near_duplicate"].partitions) == {"acme", "ACME"} and kinds["near_duplicate"].detail
    assert kinds["single_document"].partitions == ["ACME"]
    for name in ("a/b ../c", "日本 🏢"):
        found = caller.partition(name).search("note", k=5, include_content=True)
        assert sorted(texts(found)) == [f"note 0 of {name}", f"note 1 of {name}"]
    doomed = caller.partition("acme")
    doomed.delete(doomed.list()[0].doc_id)
    assert caller.delete_partition("acme") == 2, "soft-deleted documents count"
    assert caller.delete_partition("acme") == 0
    assert doomed.list().total == 0 and doomed.search("note", k=5) == []
    assert caller.partition("ACME").list().total == 1
    assert caller.delete_partition("a/b ../c") == 2
    assert "acme" not in {p.id for p in caller.list_partitions().partitions}


def test_status_counts_the_own_workspace(caller, acme):
    before = caller.status()
    acme.insert_text(WHALES)
    after = caller.status()
    assert after.version and after.documents == before.documents + 1 and after.vectors > before.vectors


def test_ingest_files_and_folders(acme, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "whales.md").write_text(WHALES)
    (tmp_path / "deep" / "bread.txt").write_text(BREAD)
    (tmp_path / "image.bin").write_bytes(bytes(range(256)))
    results = acme.ingest_files([tmp_path / "whales.md", tmp_path / "image.bin", tmp_path / "gone.txt"], tags=["in"])
    assert [r.status for r in results] == ["ingested", "skipped", "error"]
    assert acme.download_text(results[0].doc_id) == WHALES and results[1].error
    results = acme.ingest_directory(tmp_path, extensions=["txt"], tags=["folder"], metadata={"n": 1})
    assert [(r.status, r.path.endswith("bread.txt")) for r in results] == [("ingested", True)]
    assert texts(acme.search("yeast", k=5, include_content=True, tags=["folder"])) == [BREAD]
    assert acme.list(tags=["in"]).total == 1


def test_a_multi_tenant_key_asks_for_a_partition_in_each_call(tenants, tmp_path):
    """Forgetting the partition anywhere must raise the client's own error, and write nothing."""
    path = tmp_path / "note.txt"
    path.write_text(WHALES)
    acme = tenants.partition("acme")
    doc_id = acme.insert_text(WHALES).doc_id
    vector = [1.0] + [0.0] * (dimension_of(acme) - 1)

    async def stream():
        yield WHALES.encode()

    calls = {
        "insert": lambda c: c.insert(path),
        "insert_text": lambda c: c.insert_text(WHALES),
        "insert_stream": lambda c: c.insert_stream(stream() if c.form == "async" else iter([WHALES.encode()])),
        "insert_async": lambda c: c.insert_async(path),
        "insert_with_embeddings": lambda c: c.insert_with_embeddings("x", filename="x.txt", embedding=vector),
        "batch_insert": lambda c: c.batch_insert([BatchInsertItem("x.txt", "x")]),
        "update": lambda c: c.update(doc_id, path),
        "get": lambda c: c.get(doc_id),
        "list": lambda c: c.list(),
        "get_text": lambda c: c.get_text(doc_id),
        "download": lambda c: c.download(doc_id, tmp_path / "out"),
        "download_text": lambda c: c.download_text(doc_id),
        "delete": lambda c: c.delete(doc_id),
        "restore": lambda c: c.restore(doc_id),
        "search": lambda c: c.search("x"),
        "retrieve": lambda c: c.retrieve("x"),
        "search_by_vector": lambda c: c.search_by_vector(vector),
        "batch_search": lambda c: c.batch_search([BatchSearchQuery("x")]),
        "search_trace": lambda c: c.search_trace("x"),
    }
    free = {"wait_for_job", "list_partitions", "delete_partition", "status", "verify_isolation",
            "ingest_files", "ingest_directory"}
    assert set(calls) | free >= offered(tenants.form), "a call that nobody tried without a partition"
    for name, call in calls.items():
        with pytest.raises(PartitionRequiredError) as refused:
            call(tenants)
        assert refused.value.status_code == 400 and "partition" in refused.value.message, name
    reported = tenants.ingest_files([path])
    assert [r.status for r in reported] == ["error"] and "partition" in reported[0].error
    assert tenants.ingest_directory(tmp_path)[0].status == "error"
    with pytest.raises(ValueError):
        tenants.verify_isolation("x")
    assert [(p.id, p.document_count) for p in tenants.list_partitions().partitions] == [("acme", 1)]
    assert acme.get(doc_id).version == 1


def test_partitions_do_not_see_each_other(caller):
    acme, globex = caller.partition("acme"), caller.partition("globex")
    secret = acme.insert_text("the secret of acme").doc_id
    globex.insert_text("the secret of globex")
    assert texts(globex.search("secret of acme", k=10, include_content=True)) == ["the secret of globex"]
    assert texts(caller.search("secret of acme", k=10, include_content=True)) == []
    answers = []
    for doc_id in (secret, "doc_00000000000000000000000000"):
        for read in (globex.get, globex.download_text, globex.get_text, globex.delete, globex.restore):
            with pytest.raises(AetherApiError) as missing:
                read(doc_id)
            body = {k: v for k, v in missing.value.body.items() if k != "request_id"}
            answers.append((missing.value.status_code, str(body)))
    assert set(answers) == {answers[0]} and answers[0][0] == 404
    assert acme.download_text(secret) == "the secret of acme"


def test_every_promised_call_was_made():
    """The last one: a call that is missing above would be missing in the product."""
    for form in ("sync", "async"):
        made = {name for f, name in CALLED if f == form}
        assert offered(form) - made == set(), form
