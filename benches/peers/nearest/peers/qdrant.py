"""qdrant-edge-py: a graph beside the vectors themselves, in one segment."""

import qdrant_edge as edge

from . import WINDOWS, Peer

BATCH = 1000


class Qdrant(Peer):
    title = "qdrant-edge HNSW, m = 16"
    has_batches = True

    def build(self):
        hnsw = edge.HnswIndexConfig(m=16, ef_construct=200, full_scan_threshold=10, max_indexing_threads=1)
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=self.dimension, distance=edge.Distance.Dot),
            hnsw_config=hnsw,
            optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
            max_search_threads=1,
            wal_enabled=False,
        )
        self.shard = edge.EdgeShard.create(str(self.folder), config)
        for first in range(0, len(self.rows), BATCH):
            rows = self.rows[first:first + BATCH].tolist()
            points = [edge.Point(first + number, row, {}) for number, row in enumerate(rows)]
            self.shard.update(edge.UpdateOperation.upsert_points(points))
        self.shard.flush()
        self.shard.optimize()
        indexed = self.shard.info().indexed_vectors_count
        if indexed < len(self.rows):
            raise RuntimeError(f"only {indexed} of {len(self.rows)} vectors are in the graph")

    def save(self):
        self.shard.flush()

    def efforts(self):
        return [[{"hnsw_ef": window} for window in WINDOWS]]

    def set_effort(self, effort):
        self.parameters = edge.SearchParams(hnsw_ef=effort["hnsw_ef"])

    def prepare(self, query):
        return query.tolist()

    def search(self, query):
        request = edge.SearchRequest(query=edge.Query.Nearest(query), limit=self.k, params=self.parameters)
        return self.shard.search(request)

    def rows_of(self, answer):
        return [point.id for point in answer]

    def prepare_batch(self, queries):
        return queries.tolist()

    def search_batch(self, queries):
        nearest = [
            edge.QueryRequest(query=edge.Query.Nearest(query), limit=self.k, params=self.parameters) for query in queries
        ]
        return self.shard.query_batch(edge.QueryBatchRequest(nearest))

    def rows_of_batch(self, answers):
        return [self.rows_of(answer) for answer in answers]
