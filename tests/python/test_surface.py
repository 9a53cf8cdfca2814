"""Does the rest of Aether's published client work unmodified: moves, threads, retries?

Every test runs with the sync and with the async client. What is left out answers 501, so that nobody takes silence for success.
"""

import inspect

import pytest
from aether import AetherApiError

from calls import CALLED, FORMS, Caller

#: What the contract names beyond `test_aether.py`, by the client's own names: called here and in `test_conversations.py`.
MORE = {
    "move_document", "query", "append_thread", "get_thread", "delete_thread", "restore_thread", "move_thread",
    "set_thread_acl", "get_summary", "put_summary", "regenerate_summary", "backfill_entity_from_tags",
}

#: What the client has and this server doesn't offer: each answers 501.
LEFT_OUT = {
    "create_grounding_receipt": ("an answer", ["doc_1"]),
    "get_archive_price": (),
    "grep_memory_files": ("whales",),
    "list_connections": (),
    "list_memory_files": (),
    "revoke_grounding_receipt": ("receipt",),
}


@pytest.fixture(params=["sync", "async"])
def caller(server, request):
    """The owner of a fresh workspace."""
    client = Caller.open(request.param, server.url, server.mint(workspace=server.fresh_workspace()))
    yield client
    client.close()


@pytest.fixture
def acme(caller):
    return caller.partition("acme")


def test_a_document_moves_with_all_that_it_has(caller, acme):
    record = acme.insert_text("Whales are mammals.", tags=["sea"], entity_id="ada", source="mail", metadata={"year": 2024})
    moved = caller.move_document(record.doc_id, from_partition="acme", to_partition="globex")
    assert (moved.doc_id, moved.cid, moved.partition, moved.version) == (record.doc_id, record.cid, "globex", 2)
    assert (moved.tags, moved.entity_id, moved.source, moved.metadata) == (["sea"], "ada", "mail", {"year": 2024})
    globex = caller.partition("globex")
    assert globex.download_text(record.doc_id) == "Whales are mammals."
    assert [r.doc_id for r in globex.search("whales")] == [record.doc_id]
    assert len(acme.search("whales")) == 0
    with pytest.raises(AetherApiError) as gone:
        acme.get(record.doc_id)
    assert gone.value.status_code == 404
    assert caller.move_document(record.doc_id, from_partition="globex", to_partition=None).partition is None
    with pytest.raises(AetherApiError) as wrong:
        caller.move_document(record.doc_id, from_partition="globex", to_partition="acme")
    assert wrong.value.status_code == 404


def test_a_conversation_is_kept_in_its_order(caller, acme):
    said = ["Hello, who is there?", "A friend.", "Come in."]
    turns = [acme.append_thread("talk/1 ü", text, metadata={"role": "user"}, tags=["talk"], entity_id="ada") for text in said]
    assert [t.turn_index for t in turns] == [0, 1, 2] and {t.thread_id for t in turns} == {"talk/1 ü"}
    thread = acme.get_thread("talk/1 ü")
    assert thread.thread_id == "talk/1 ü" and [d.doc_id for d in thread.documents] == [t.doc_id for t in turns]
    assert thread.documents[0].metadata == {"role": "user"} and thread.documents[0].entity_id == "ada"
    assert [acme.get_text(d.doc_id).text for d in thread.documents] == said
    latest = acme.get_thread("talk/1 ü", last_n_turns=2, recent_first=True)
    assert [d.turn_index for d in latest.documents] == [2, 1]
    assert acme.get(turns[1].doc_id).turn_index == 1
    assert acme.search("friend")[0].doc_id == turns[1].doc_id
    with pytest.raises(AetherApiError) as foreign:
        caller.partition("globex").get_thread("talk/1 ü")
    assert foreign.value.status_code == 404


def test_a_conversation_ends_comes_back_and_moves(caller, acme):
    for text in ("one", "two"):
        acme.append_thread("talk", text)
    ended = acme.delete_thread("talk")
    assert (ended.status, ended.thread_id, ended.turns) == ("tombstoned", "talk", 2)
    back = acme.restore_thread("talk")
    assert (back.status, back.turns) == ("restored", 2)
    moved = caller.move_thread("talk", to_partition="globex", expect_partition="acme")
    assert (moved.status, moved.turns) == ("moved", 2)
    globex = caller.partition("globex")
    assert [d.turn_index for d in globex.get_thread("talk").documents] == [0, 1]
    gone = globex.delete_thread("talk", hard=True)
    assert (gone.status, gone.turns) == ("hard_deleted", 2)
    with pytest.raises(AetherApiError) as missing:
        globex.restore_thread("talk")
    assert missing.value.status_code == 404


def test_a_turn_that_is_sent_again_is_there_once(acme):
    first = acme.append_thread("talk", "once", idempotency_key="turn-1")
    again = acme.append_thread("talk", "once", idempotency_key="turn-1")
    assert first == again and len(acme.get_thread("talk").documents) == 1
    with pytest.raises(AetherApiError) as other:
        acme.append_thread("talk", "something else", idempotency_key="turn-1")
    assert other.value.status_code == 409
    ended = acme.delete_thread("talk", idempotency_key="end")
    assert acme.delete_thread("talk", idempotency_key="end") == ended


def test_structured_queries_count_and_sort(caller, acme):
    for amount, currency in ((10, "EUR"), (20, "EUR"), (5, "USD")):
        acme.insert_text(f"invoice over {amount} {currency}", metadata={"amount": amount, "currency": currency})
    caller.partition("globex").insert_text("not theirs", metadata={"amount": 1000, "currency": "EUR"})
    page = acme.query(filter={"field": "amount", "op": "gte", "value": 10}, sort=[{"by": "amount", "dir": "desc"}], limit=1)
    assert (page.total, page.has_more, [d.metadata["amount"] for d in page]) == (2, True, [20])
    sums = acme.query(group_by=["currency"], aggregate=[{"op": "sum", "field": "amount", "as": "total"}, {"op": "count"}],
                      sort=[{"by": "total", "dir": "desc"}])
    assert [(g.keys, g.aggregates) for g in sums.groups] == [
        ({"currency": "EUR"}, {"total": 30, "count": 2}), ({"currency": "USD"}, {"total": 5, "count": 1})]
    assert (sums.total_groups, sums.scanned) == (2, 3)
    with pytest.raises(AetherApiError) as refused:
        acme.query(aggregate=[{"op": "sum", "field": "currency"}])
    assert refused.value.status_code == 400


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_what_is_left_out_says_so(caller, name):
    with pytest.raises(AetherApiError) as refused:
        getattr(caller, name)(*LEFT_OUT[name])
    assert refused.value.status_code == 501


def test_every_call_was_made():
    for form, client in FORMS.items():
        offers = {name for name in MORE if callable(inspect.getattr_static(client, name, None))}
        assert offers <= {name for of, name in CALLED if of == form}, form
