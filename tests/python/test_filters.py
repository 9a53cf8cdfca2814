"""Do the filter grammar and the ranking extras do what the published Aether client says they do?

Every test runs with the sync and with the async client. A user's filter would return what it was to keep back, or hide
what it was to find.
"""

import pytest
from aether import AetherApiError
from aether.models import BatchSearchQuery

from test_aether import acme, caller, texts  # noqa: F401

INVOICES = {
    "one": {"amount": 10, "state": "open", "paid": False, "order": 1234567890123456789},
    "two": {"amount": 20.5, "state": "open", "paid": True, "order": 1234567890123456788},
    "three": {"amount": 300, "state": "closed", "paid": True},
    "four": {"state": "opened late"},
    "five": {},
}


def leaf(field, op, value=True):
    return {"field": field, "op": op, "value": value}


EXPECTED = [
    (leaf("state", "eq", "open"), {"one", "two"}),
    (leaf("amount", "eq", 20.5), {"two"}),
    (leaf("amount", "eq", "10"), set()),
    (leaf("order", "eq", 1234567890123456789), {"one"}),
    (leaf("state", "neq", "open"), {"three", "four", "five"}),
    (leaf("state", "in", ["closed", "never"]), {"three"}),
    (leaf("amount", "gt", 10), {"two", "three"}),
    (leaf("amount", "gte", 10), {"one", "two", "three"}),
    (leaf("amount", "lt", 300), {"one", "two"}),
    (leaf("amount", "lte", 20.5), {"one", "two"}),
    (leaf("amount", "between", [10, 20.5]), {"one", "two"}),
    (leaf("amount", "exists"), {"one", "two", "three"}),
    (leaf("amount", "exists", False), {"four", "five"}),
    (leaf("state", "contains", "late"), {"four"}),
    (leaf("state", "prefix", "open"), {"one", "two", "four"}),
    (leaf("paid", "eq", True), {"two", "three"}),
    (leaf("tags", "contains", "odd"), {"one", "three", "five"}),
    (leaf("entity_id", "eq", "ada"), {"five"}),
    (leaf("created_at", "gt", "2000-01-01T00:00:00Z"), set(INVOICES)),
    (leaf("updated_at", "exists"), set()),
    ({"not": leaf("state", "prefix", "open")}, {"three", "five"}),
    ({"and": [leaf("state", "eq", "open"), leaf("paid", "eq", True)]}, {"two"}),
    ({"or": [leaf("amount", "gt", 100), leaf("amount", "exists", False)]}, {"three", "four", "five"}),
    ({"and": [{"not": leaf("paid", "eq", False)}, {"or": [leaf("amount", "lt", 21), leaf("state", "prefix", "opened")]}]},
     {"two", "four"}),
]


@pytest.fixture
def invoices(acme):  # noqa: F811
    for number, (text, metadata) in enumerate(INVOICES.items(), 1):
        acme.insert_text(f"{text} invoice", metadata=metadata or None, tags=["odd" if number % 2 else "even"],
                         entity_id="ada" if text == "five" else None)
    # What a filter keeps is found however many others there are.
    for number in range(40):
        acme.insert_text(f"invoice invoice {number}", source="noise")
    return acme


def named(results):
    return {text.removesuffix(" invoice") for text in texts(results)}


def test_filters_on_search_and_list(invoices):
    quiet = lambda filter: {"and": [filter, {"not": leaf("source", "eq", "noise")}]}  # noqa: E731
    for filter, expected in EXPECTED:
        found = invoices.search("invoice", k=10, include_content=True, filter=quiet(filter))
        assert named(found) == expected, filter
        assert invoices.list(filter=quiet(filter)).total == len(expected), filter
    traced = invoices.search_trace("invoice", k=10, include_content=True, filter=leaf("state", "eq", "open"))
    assert named(traced.results) == {"one", "two"} and traced.trace.candidates_in_scope == 45


def test_filters_in_batches_and_by_vector(invoices):
    answers = invoices.batch_search([
        BatchSearchQuery(q="invoice", k=10, include_content=True, filter=leaf("state", "eq", "open")),
        BatchSearchQuery(q="invoice", k=10, include_content=True, filter=leaf("amount", "gte", 20)),
        BatchSearchQuery(q="invoice", k=3, include_content=True),
    ])
    assert [named(a.results) for a in answers[:2]] == [{"one", "two"}, {"two", "three"}] and len(answers[2].results) == 3
    vector = [1.0] + [0.0] * 255
    found = invoices.search_by_vector(vector, k=10, include_content=True, filter=leaf("amount", "lt", 21))
    assert named(found) == {"one", "two"}


def test_updates_change_what_a_filter_finds(acme, tmp_path):  # noqa: F811
    path = tmp_path / "one.txt"
    path.write_text("one")
    doc_id = acme.insert_text("one", metadata={"state": "open"}).doc_id
    acme.update(doc_id, path, metadata={"state": "closed"})
    assert acme.list(filter=leaf("state", "eq", "open")).total == 0
    assert acme.list(filter=leaf("state", "eq", "closed")).total == 1
    assert acme.list(filter=leaf("updated_at", "exists")).total == 1


def test_a_filter_that_cannot_be_understood_is_refused(invoices):
    for filter in ({}, {"state": "open"}, leaf("state", "like", "open"), leaf("amount", "between", [1]), {"and": []},
                   leaf("created_at", "gt", "soon"), {"or": [leaf("a", "exists"), {}]}):
        for call in (lambda: invoices.search("invoice", filter=filter), lambda: invoices.list(filter=filter),
                     lambda: invoices.search_by_vector([1.0] * 256, filter=filter)):
            with pytest.raises(AetherApiError) as refused:
                call()
            assert refused.value.status_code == 400, filter
    with pytest.raises(AetherApiError) as refused:
        invoices.search("invoice", filter=leaf("state", "like", "open"))
    assert "between, exists, contains, prefix" in str(refused.value)


def test_recency_and_freshness_order_what_is_alike(acme, tmp_path):  # noqa: F811
    path = tmp_path / "tide.txt"
    path.write_text("the tide is low")
    old, new = (acme.insert_text("the tide is low").doc_id for _ in range(2))
    by = lambda **weights: [r.doc_id for r in acme.search("tide", **weights)]  # noqa: E731
    # Half-lives of a minute, in which the time of a call shows, and of a hundred years, in which it doesn't.
    short, long = 1 / 1440, 36500
    assert by(recency_weight=0.5, half_life_days=short) == [new, old]
    plain = {r.doc_id: r.score for r in acme.search("tide")}
    kept = {r.doc_id: r.score for r in acme.search("tide", recency_weight=0.5, half_life_days=long)}
    assert all(abs(kept[doc_id] - (score + 100) / 2) <= 1 for doc_id, score in plain.items())
    assert {r.score for r in acme.search("tide", recency_weight=1, half_life_days=long)} == {100}
    acme.update(old, path)
    assert by(freshness_weight=0.5, freshness_half_life_days=short) == [old, new]
    assert by(recency_weight=0.5, half_life_days=short) == [new, old]
    for bad in ({"recency_weight": 1.5}, {"recency_weight": 0.6, "freshness_weight": 0.6}, {"half_life_days": 0}):
        with pytest.raises(AetherApiError) as refused:
            acme.search("tide", **bad)
        assert refused.value.status_code == 400, bad
