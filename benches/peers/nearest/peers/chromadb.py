"""chromadb: a graph beside the vectors themselves, in the folder of a client of its own."""

import chromadb

from . import WINDOWS, Peer

BATCH = 1000


class Chroma(Peer):
    title = "chromadb HNSW, M = 16"

    def build(self):
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        client = chromadb.PersistentClient(str(self.folder), settings)
        hnsw = {"space": "ip", "ef_construction": 200, "max_neighbors": 16, "num_threads": 1}
        self.collection = client.create_collection("rows", configuration={"hnsw": hnsw}, embedding_function=None)
        for first in range(0, len(self.rows), BATCH):
            rows = self.rows[first:first + BATCH]
            self.collection.add([str(first + number) for number in range(len(rows))], embeddings=rows)

    def efforts(self):
        return [[{"ef_search": window} for window in WINDOWS]]

    def set_effort(self, effort):
        self.collection.modify(configuration={"hnsw": {"ef_search": effort["ef_search"]}})

    def search(self, query):
        return self.collection.query(query_embeddings=query, n_results=self.k, include=[])

    def rows_of(self, answer):
        return [int(number) for number in answer["ids"][0]]
