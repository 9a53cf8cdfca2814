"""Do threads' readers, searches in one thread, summaries and entities from tags work through the published Aether client?

Every test runs with the sync and with the async client. The server's summarizer is a small one of the tests' own (`conftest.py`).
"""

import time

import pytest
from aether import AetherApiError
from aether.models import BatchInsertItem, BatchSearchQuery

from test_surface import acme, caller  # noqa: F401

ADA, BOB = "user:ada", "user:bob"


def refused(call, status, code):
    with pytest.raises(AetherApiError) as error:
        call()
    assert (error.value.status_code, error.value.error_code) == (status, code)
    return error.value


def test_a_thread_is_read_by_those_alone_who_may(acme):  # noqa: F811
    acme.append_thread("talk", "hello one")
    own = acme.append_thread("talk", "hello two", acl_readers=[BOB])
    done = acme.set_thread_acl("talk", [ADA, "group:sea"])
    assert (done.status, done.thread_id, done.turns) == ("acl_updated", "talk", 2)
    acme.append_thread("talk", "hello three")
    ada, sailor, bob = acme.as_principal(ADA), acme.as_principal("user:cy", groups=["group:sea"]), acme.as_principal(BOB)
    for reader in (acme, ada, sailor):
        assert [d.turn_index for d in reader.get_thread("talk").documents] == [0, 1, 2]
        assert len(reader.search("hello", thread_id="talk")) == 3
    refused(lambda: bob.get_thread("talk"), 404, "thread_not_found")
    refused(lambda: bob.get(own.doc_id), 404, "document_not_found")
    refused(lambda: bob.append_thread("talk", "hello"), 404, "thread_not_found")
    refused(lambda: ada.set_thread_acl("talk", None), 403, "administrator_required")
    assert bob.search("hello") == []
    acme.set_thread_acl("talk", [])
    refused(lambda: ada.get_thread("talk"), 404, "thread_not_found")
    assert acme.set_thread_acl("talk", None, idempotency_key="open").turns == 3
    acme.append_thread("talk", "hello four")
    assert len(bob.get_thread("talk").documents) == 4
    acme.set_thread_acl("talk", [ADA])
    assert acme.set_thread_acl("talk", None, idempotency_key="open").turns == 3
    refused(lambda: bob.get_thread("talk"), 404, "thread_not_found")
    refused(lambda: acme.set_thread_acl("none", None), 404, "thread_not_found")


def test_searches_keep_to_a_thread(caller, acme):  # noqa: F811
    for text in ("whales sing", "whales dive", "whales sleep"):
        acme.append_thread("a/1", text)
        acme.append_thread("b", text)
        acme.insert_text(text)
        caller.partition("globex").append_thread("a/1", text)
    hits = acme.search("whales", k=20, thread_id="a/1")
    assert sorted((h.thread_id, h.turn_index) for h in hits) == [("a/1", 0), ("a/1", 1), ("a/1", 2)]
    assert {h.partition for h in hits} == {"acme"}
    assert sorted(r.content for r in acme.retrieve("whales", k=20, thread_id="b")) == ["whales dive", "whales sing", "whales sleep"]
    assert len(acme.search("whales", k=2, thread_id="b")) == 2
    traced = acme.search_trace("whales", k=20, thread_id="b")
    assert (len(traced.results), traced.trace.candidates_in_scope) == (3, 9)
    batch = acme.batch_search([BatchSearchQuery(q="whales", k=20, thread_id="b"), BatchSearchQuery(q="whales", k=20)])
    assert [len(one.results) for one in batch] == [3, 9]
    assert acme.search("whales", thread_id="none") == []


def settled(handle, doc_id):
    """The summary once it is neither asked for nor on its way."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        summary = handle.get_summary(doc_id)
        if summary.state != "pending":
            return summary
    raise AssertionError("it never ends")


def test_a_summary_of_ones_own(acme):  # noqa: F811
    record = acme.insert_text("The lease ends in 2031.")
    assert (record.summary, acme.get_summary(record.doc_id).state) == (None, "none")
    first = acme.put_summary(record.doc_id, "**Lease** until 2031.")
    assert (first.state, first.content, first.authored_by) == ("ready", "**Lease** until 2031.", "user")
    assert (first.source_cid, first.stale) == (record.cid, False)
    second = acme.put_summary(record.doc_id, "Lease.", expected_revision=first.revision)
    late = refused(lambda: acme.put_summary(record.doc_id, "late", expected_revision=first.revision),
                   412, "summary_revision_conflict")
    assert late.body["current_revision"] == second.revision
    refused(lambda: acme.put_summary(record.doc_id, "x" * (16 * 1024 + 1)), 413, "summary_too_large")
    refused(lambda: acme.put_summary("doc_nobody", "x"), 404, "document_not_found")
    refused(lambda: acme.regenerate_summary(record.doc_id), 409, "summary_user_authored")
    assert acme.get_summary(record.doc_id) == second
    assert acme.get(record.doc_id).metadata == {}


def test_a_summary_that_is_asked_for(acme, tmp_path):  # noqa: F811
    record = acme.insert_text("Whales are mammals that sing.", summarize=True)
    assert record.summary == "pending"
    made = settled(acme, record.doc_id)
    assert (made.state, made.content, made.authored_by) == ("ready", "About: Whales are mammals", "aether")
    assert (made.source_cid, made.truncated_input) == (record.cid, False)
    acme.put_summary(record.doc_id, "mine")
    assert acme.regenerate_summary(record.doc_id, force=True).doc_id == record.doc_id
    assert settled(acme, record.doc_id).content == "About: Whales are mammals"
    path = tmp_path / "file.txt"
    path.write_text("Bread dough rises slowly.")
    assert acme.insert(path, summarize=False).summary is None
    job = acme.wait_for_job(acme.insert_async(path, summarize=True)["job_id"], poll_interval=0.01)
    assert job["summary_state"] == "pending"
    assert settled(acme, job["doc_id"]).content == "About: Bread dough rises"
    items = [BatchInsertItem(filename="a.txt", content="One two three four"),
             BatchInsertItem(filename="b.txt", content="Quiet", summarize=False)]
    both = acme.batch_insert(items, summarize=True)
    assert [r.summary for r in both] == ["pending", None]
    assert settled(acme, both[0].doc_id).content == "About: One two three"


def test_entities_come_from_tags(caller, acme):  # noqa: F811
    letter = acme.insert_text("a letter", tags=["patient:7", "kind:letter"])
    taken = acme.insert_text("a letter", tags=["patient:8"], entity_id="nine")
    acme.insert_text("a letter", tags=["patient:7", "patient:8"])
    acme.insert_text("a letter")
    acme.insert_text("a letter", tags=["patient:"])
    caller.partition("globex").insert_text("a letter", tags=["patient:7"])
    report = acme.backfill_entity_from_tags("patient:")
    assert (report.scanned, report.updated, report.skipped_existing) == (5, 1, 1)
    assert (report.skipped_no_match, report.skipped_ambiguous, report.skipped_invalid) == (1, 1, 1)
    assert [d.doc_id for d in acme.list(entity_id="7")] == [letter.doc_id]
    assert acme.get(taken.doc_id).entity_id == "nine"
    assert acme.backfill_entity_from_tags("patient:", overwrite=True).updated == 1
    assert acme.get(taken.doc_id).entity_id == "8"
    assert acme.backfill_entity_from_tags("patient:", overwrite=True).updated == 0
