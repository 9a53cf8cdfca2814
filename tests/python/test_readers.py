"""Are documents that name their readers read by these alone, through the published Aether client?

Every test runs with the sync and with the async client. A colleague would read what was shared with somebody else, or not find
what was shared with them.
"""

import pytest
from aether import AetherApiError
from aether.models import BatchInsertItem, BatchSearchQuery

from test_aether import acme, caller, texts  # noqa: F401

ADA, BOB = "user:ada", "user:bob"


@pytest.fixture
def shared(acme, tmp_path):  # noqa: F811
    """For all, for Ada, for a group, for administrators."""
    path = tmp_path / "group.txt"
    path.write_text("whale for the group")
    return {
        "all": acme.insert_text("whale for all").doc_id,
        "ada": acme.insert_text("whale for Ada", acl_readers=[ADA]).doc_id,
        "group": acme.insert(path, content_type="text/plain", acl_readers=["group:sea", "user:carol"]).doc_id,
        "none": acme.insert_text("whale for administrators", acl_readers=[]).doc_id,
    }


def seen(handle, shared):
    """The names of what a handle reads, which is the same on every path."""
    names = {doc_id: name for name, doc_id in shared.items()}
    page = handle.list()
    listed = {names[record.doc_id] for record in page}
    assert page.total == len(listed)
    traced = handle.search_trace("whale", k=10)
    assert {names[hit.doc_id] for hit in traced.results} == listed
    assert traced.trace.candidates_in_scope == len(listed)
    assert {names[hit.doc_id] for hit in handle.search_by_vector([1.0] + [0.0] * 255, k=10)} == listed
    batch = handle.batch_search([BatchSearchQuery(q="whale", k=10)])
    assert {names[hit.doc_id] for hit in batch[0].results} == listed
    for name, doc_id in shared.items():
        for call in (handle.get, handle.get_text):
            if name in listed:
                call(doc_id)
            else:
                with pytest.raises(AetherApiError) as refused:
                    call(doc_id)
                assert refused.value.status_code == 404
    return listed


def test_only_those_named_read(acme, shared):  # noqa: F811
    assert seen(acme, shared) == {"all", "ada", "group", "none"}
    assert seen(acme.as_principal(ADA), shared) == {"all", "ada"}
    assert seen(acme.as_principal(BOB), shared) == {"all"}
    assert seen(acme.as_principal(BOB, groups=["group:sea", " "]), shared) == {"all", "group"}


def test_an_update_names_readers_anew(acme, shared, tmp_path):  # noqa: F811
    path = tmp_path / "one.txt"
    path.write_text("whale, changed")
    acme.update(shared["ada"], path, acl_readers=[BOB])
    assert seen(acme.as_principal(ADA), shared) == {"all"}
    assert seen(acme.as_principal(BOB), shared) == {"all", "ada"}
    acme.update(shared["ada"], path)
    assert seen(acme.as_principal("user:dora"), shared) == {"all", "ada"}


def test_who_may_not_read_may_not_change(acme, shared, tmp_path):  # noqa: F811
    path = tmp_path / "one.txt"
    path.write_text("taken over")
    bob = acme.as_principal(BOB)
    for call in (lambda: bob.delete(shared["ada"]), lambda: bob.update(shared["ada"], path),
                 lambda: bob.delete(shared["ada"], hard=True), lambda: bob.restore(shared["ada"])):
        with pytest.raises(AetherApiError) as refused:
            call()
        assert refused.value.status_code == 404
    assert acme.get_text(shared["ada"]).text == "whale for Ada"


def test_batches_and_streams_carry_readers(acme):  # noqa: F811
    acme.batch_insert([BatchInsertItem("a.txt", "whale one", acl_readers=[ADA]),
                       BatchInsertItem("b.txt", "whale two", acl_readers=[]),
                       BatchInsertItem("c.txt", "whale three")])
    acme.insert_stream(b"whale four", filename="d.txt", content_type="text/plain", acl_readers=[BOB])
    found = lambda handle: set(texts(handle.search("whale", k=10, include_content=True)))  # noqa: E731
    assert found(acme.as_principal(ADA)) == {"whale one", "whale three"}
    assert found(acme.as_principal(BOB)) == {"whale three", "whale four"}
    assert len(found(acme)) == 4
