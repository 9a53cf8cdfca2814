"""Do the record-keeping calls of Aether's published client work unmodified: access audit, lineage, declared fields, feedback?

Every test runs with the sync and with the async client. An auditor would be shown nothing, or a dashboard count nothing.
"""

import httpx
import pytest
from aether import AetherApiError

from test_surface import acme, caller  # noqa: F401

ADA, BOB = "user:ada", "user:bob"


def test_who_was_refused_is_told(caller, acme):  # noqa: F811
    hidden = acme.insert_text("for Ada alone", acl_readers=[ADA])
    seen = acme.insert_text("for all")
    assert acme.as_principal(ADA).get(hidden.doc_id).doc_id == hidden.doc_id
    acme.as_principal(BOB).get(seen.doc_id)
    with pytest.raises(AetherApiError) as refused:
        acme.as_principal(BOB).get(hidden.doc_id)
    assert refused.value.status_code == 404
    audit = caller.facade("audit")
    page = audit.access(actor=BOB)
    assert [(r.actor, r.action, r.resource, r.outcome, r.source, r.proof) for r in page] == [
        (BOB, "denied", f"document:{hidden.doc_id}", "denied", "access", None)]
    assert page.total == 1
    assert audit.access(resource=hidden.doc_id, action="denied", since="2026-01-01T00:00:00Z", limit=1, offset=0).total == 1
    assert audit.access(resource=seen.doc_id).total == 0
    assert audit.access(until="2001-01-01T00:00:00Z") == []
    # The owner's key reads whatever the labels, and that is told.
    acme.get(hidden.doc_id)
    bypass = audit.access(action="admin_bypass")
    assert [(r.resource, r.outcome) for r in bypass] == [(f"document:{hidden.doc_id}", "admin_bypass")]
    assert bypass[0].actor.startswith("key:sr_live_")
    with pytest.raises(AetherApiError) as wrong:
        audit.access(action="written")
    assert wrong.value.status_code == 400


def test_a_document_tells_its_life(caller, acme, tmp_path):  # noqa: F811
    record = acme.insert_text("version one")
    path = tmp_path / "two.txt"
    path.write_text("version two")
    updated = acme.update(record.doc_id, path)
    for handle in (caller, acme):
        first, second = handle.lineage(record.doc_id)
        assert (first.action, second.action) == ("document.inserted", "document.updated")
        assert (first.proof.content_id, second.proof.content_id) == (record.cid, updated.cid)
        assert (first.proof.lamport, second.proof.lamport) == (1, 2)
        assert {r.source for r in (first, second)} == {"ledger"} and {r.outcome for r in (first, second)} == {"committed"}
        assert first.resource == f"document:{record.doc_id}" and first.actor == f"node:{first.proof.node_id}"
        assert first.proof.verified and len(first.proof.public_key) == 64 and len(first.proof.signature) == 128
        assert (first.at, second.at) == (record.created_at, updated.updated_at)
    acme.delete(record.doc_id, hard=True)
    with pytest.raises(AetherApiError) as gone:
        caller.lineage(record.doc_id)
    assert gone.value.status_code == 404


def test_fields_are_declared_and_queried(caller, acme):  # noqa: F811
    for price in (10, 2.5, "free"):
        acme.insert_text("an invoice", metadata={"price": price})
    schema = acme.facade("schema")
    declared = schema.declare_fields([{"name": "amount", "type": "float", "source": {"metadata": "price"}}])
    [amount] = declared
    assert (amount.name, amount.type, amount.source, amount.partition_scope) == ("amount", "float", {"metadata": "price"}, "acme")
    assert (amount.coverage, amount.mismatch_count, amount.backfill) == (2, 1, "complete")
    assert schema.list_fields() == declared
    sums = acme.query(aggregate=[{"op": "sum", "field": "amount"}])
    assert sums.groups[0].aggregates == {"sum_amount": 12.5}
    assert acme.query(filter={"field": "amount", "op": "gt", "value": 3}).total == 1
    assert caller.facade("schema").list_fields() == []
    caller.facade("schema").declare_fields([{"name": "amount", "type": "int", "source": {"metadata": "price"}}])
    assert [f.type for f in schema.list_fields()] == ["float"]
    [left] = schema.delete_field("amount")
    assert (left.type, left.partition_scope) == ("int", None)
    with pytest.raises(AetherApiError) as missing:
        schema.delete_field("amount")
    assert missing.value.status_code == 404
    with pytest.raises(AetherApiError) as regex:
        schema.declare_fields([{"name": "number", "type": "int", "source": {"regex": r"(\d+)"}}])
    assert regex.value.status_code == 501


def test_feedback_is_taken(caller, acme, server):  # noqa: F811
    acme.insert_text("whales are mammals")
    hit = acme.search("whales")[0]
    traced = acme.search_trace("whales").results[0]
    by_vector = acme.search_by_vector([1.0] + [0.0] * 255)[0]
    assert len({hit.query_id, traced.query_id, by_vector.query_id}) == 3
    assert caller.send_search_feedback(hit.query_id, hit.doc_id, "used") is None
    acme.send_search_feedback(traced.query_id, hit.doc_id, "cited")
    for query_id, signal, status in ((hit.query_id, "liked", 400), (hit.query_id[:-1] + "x", "used", 404)):
        with pytest.raises(AetherApiError) as refused:
            caller.send_search_feedback(query_id, hit.doc_id, signal)
        assert refused.value.status_code == status
    with pytest.raises(AetherApiError) as unknown:
        caller.send_search_feedback(hit.query_id, "doc_nobody_has", "used")
    assert unknown.value.status_code == 404
    assert [h.query_id for h in caller.partition("empty").search("whales")] == []
    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'strongroom_search_feedback_total{signal="cited"}' in metrics
