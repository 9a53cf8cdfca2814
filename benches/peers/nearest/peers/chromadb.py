"""chromadb: a graph beside the vectors themselves, in the folder of a client of its own."""

import chromadb
from chromadb.api.shared_system_client import SharedSystemClient

from . import WINDOWS, Peer

BATCH = 1000


class Chroma(Peer):
    title = "chromadb HNSW, M = 16"
    has_batches = True

    def open(self):
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        return chromadb.PersistentClient(str(self.folder), settings)

    def build(self):
        hnsw = {"space": "ip", "ef_construction": 200, "max_neighbors": 16, "num_threads": 1}
        self.collection = self.open().create_collection("rows", configuration={"hnsw": hnsw}, embedding_function=None)
        for first in range(0, len(self.rows), BATCH):
            rows = self.rows[first:first + BATCH]
            self.collection.add([str(first + number) for number in range(len(rows))], embeddings=rows)

    def efforts(self):
        return [[{"ef_search": window} for window in WINDOWS]]

    def set_effort(self, effort):
        """An index that is in memory keeps the effort that it was opened with, so it is opened again."""
        self.collection.modify(configuration={"hnsw": {"ef_search": effort["ef_search"]}})
        SharedSystemClient.clear_system_cache()
        self.collection = self.open().get_collection("rows", embedding_function=None)

    def search(self, query):
        return self.collection.query(query_embeddings=query, n_results=self.k, include=[])

    def rows_of(self, answer):
        return self.rows_of_batch(answer)[0]

    def search_batch(self, queries):
        return self.search(queries)

    def rows_of_batch(self, answers):
        return [[int(number) for number in ids] for ids in answers["ids"]]
