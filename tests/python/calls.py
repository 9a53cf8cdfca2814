"""One way to call both clients, and a record of which calls were made.

Aether's published client comes in two forms, sync and async, with the same calls. A `Caller` hides the difference: every
test runs with both. What was called is remembered by name, so that the last test can tell what was forgotten.
"""

import asyncio
import inspect

from aether import AetherClient, AsyncAetherClient

#: Every call that the contract promises, by the client's own names.
PROMISED = {
    "insert", "insert_text", "insert_stream", "insert_async", "wait_for_job", "insert_with_embeddings",
    "batch_insert", "update", "get", "list", "get_text", "download", "download_text", "delete", "restore",
    "search", "retrieve", "search_by_vector", "batch_search", "search_trace", "verify_isolation",
    "list_partitions", "delete_partition", "status", "ingest_files", "ingest_directory",
}

#: What was called, as (form, name).
CALLED: set[tuple[str, str]] = set()

FORMS = {"sync": AetherClient, "async": AsyncAetherClient}


class Caller:
    """A client whose calls are plain calls, whichever form it has."""

    def __init__(self, form: str, client, loop):
        self._form, self._client, self._loop = form, client, loop

    @classmethod
    def open(cls, form: str, url: str, key: str) -> "Caller":
        loop = asyncio.new_event_loop() if form == "async" else None
        return cls(form, FORMS[form](base_url=url, api_key=key, max_retries=0), loop)

    @property
    def form(self) -> str:
        return self._form

    def partition(self, name: str) -> "Caller":
        return Caller(self._form, self._client.partition(name), self._loop)

    def as_principal(self, principal: str, groups=None) -> "Caller":
        return Caller(self._form, self._client.as_principal(principal, groups), self._loop)

    def facade(self, name: str) -> "Caller":
        """What the client has under a name of its own, such as `audit`."""
        return Caller(self._form, getattr(self._client, name), self._loop)

    def close(self) -> None:
        closing = self._client.close()
        if self._loop:
            self._loop.run_until_complete(closing)
            self._loop.close()

    def __getattr__(self, name: str):
        method = getattr(self._client, name)

        def call(*args, **kwargs):
            CALLED.add((self._form, name))
            outcome = method(*args, **kwargs)
            return self._loop.run_until_complete(outcome) if inspect.isawaitable(outcome) else outcome

        return call


def offered(form: str) -> set[str]:
    """The promised calls that a form of the client has."""
    return {name for name in PROMISED if hasattr(FORMS[form], name)}


#: What the contract promises of bigRAG's client, which is async alone.
BIGRAG_PROMISED = {
    *(f"collections.{name}" for name in (
        "create", "list", "get", "update", "delete", "stats", "truncate", "reembed", "stream_events")),
    *(f"documents.{name}" for name in (
        "upload", "list", "get", "delete", "get_chunks", "get_file_url", "reprocess",
        "batch_upload", "batch_get", "batch_get_status", "batch_delete")),
    *(f"queries.{name}" for name in ("query", "multi_query", "batch_query")),
    *(f"vectors.{name}" for name in ("upsert", "delete")),
    *(f"admin.api_keys.{name}" for name in ("create", "list", "update", "rotate", "delete")),
    *(f"auth.{name}" for name in ("setup", "login", "me", "whoami", "logout")),
    "admin.audit.list", "get_usage",
}

#: What of it was called, by its path.
BIGRAG_CALLED: set[str] = set()


class Recorded:
    """The client as it is, but for a record of its calls."""

    def __init__(self, client, path: str = ""):
        self._client, self._path = client, path

    def __getattr__(self, name: str):
        found = getattr(self._client, name)
        path = f"{self._path}.{name}".lstrip(".")
        if not callable(found):
            return Recorded(found, path)

        def call(*args, **kwargs):
            BIGRAG_CALLED.add(path)
            return found(*args, **kwargs)

        return call
