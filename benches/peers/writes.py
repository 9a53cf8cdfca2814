"""How many acknowledged writes a second does a peer take? The other half of the benchmark `writes`.

    writes.py PEER CASE WRITERS SECONDS FOLDER DOCUMENTS VECTORS

PEER is `qdrant` or `lancedb`; CASE is `single` (one document a write) or `batch` (BATCH documents a write).
DOCUMENTS is a file of JSON lines (id, text, tags), VECTORS their f32 components. The store is made in FOLDER.
Prints one line of JSON: how many documents were acknowledged, in how many seconds, and how many the store
holds then.

What is measured is the peer and not Python: points, operations and Arrow tables are made before the clock runs.

- qdrant-edge-py: without its write-ahead log, and `flush()` after each update. That is its shortest way to a
  durable write: with the log, an update and a flush sync the log as well as the segment.
- lancedb: `Table.add` of an Arrow table, each writer with a table handle of its own. It never calls fsync on a
  local disk, so what it acknowledges survives the process and not a loss of power.
"""

import itertools
import json
import sys
import threading
import time

import numpy

BATCH = 500
DIMENSION = 384


class Qdrant:
    def __init__(self, folder):
        import qdrant_edge as edge

        vectors = edge.EdgeVectorParams(size=DIMENSION, distance=edge.Distance.Cosine)
        self.edge = edge
        self.shard = edge.EdgeShard.create(folder, edge.EdgeConfig(vectors=vectors, wal_enabled=False))

    def prepare(self, documents, vectors, first):
        points = [
            self.edge.Point(first + number, vector.tolist(), document)
            for number, (document, vector) in enumerate(zip(documents, vectors))
        ]
        return self.edge.UpdateOperation.upsert_points(points)

    def writer(self):
        def write(operation):
            self.shard.update(operation)
            self.shard.flush()

        return write

    def count(self):
        return self.shard.info().points_count


class Lance:
    def __init__(self, folder):
        import lancedb
        import pyarrow

        self.schema = pyarrow.schema([
            ("id", pyarrow.utf8()),
            ("text", pyarrow.utf8()),
            ("tags", pyarrow.list_(pyarrow.utf8())),
            ("vector", pyarrow.list_(pyarrow.float32(), DIMENSION)),
        ])
        self.pyarrow = pyarrow
        self.connection = lancedb.connect(folder)
        self.connection.create_table("documents", schema=self.schema)

    def prepare(self, documents, vectors, first):
        flat = self.pyarrow.array(vectors.reshape(-1))
        columns = [self.pyarrow.array([d[name] for d in documents], self.schema.field(name).type)
                   for name in ("id", "text", "tags")]
        columns.append(self.pyarrow.FixedSizeListArray.from_arrays(flat, DIMENSION))
        return self.pyarrow.Table.from_arrays(columns, schema=self.schema)

    def writer(self):
        return self.connection.open_table("documents").add

    def count(self):
        return self.connection.open_table("documents").count_rows()


def main():
    peer, case, writers, seconds, folder, documents_path, vectors_path = sys.argv[1:]
    with open(documents_path, encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    vectors = numpy.fromfile(vectors_path, dtype="<f4").reshape(len(documents), DIMENSION)
    store = {"qdrant": Qdrant, "lancedb": Lance}[peer](folder)
    each = BATCH if case == "batch" else 1
    operations = [
        store.prepare(documents[first:first + each], vectors[first:first + each], first)
        for first in range(0, len(documents), each)
    ]
    waiting = iter(operations)  # `next` of a list's iterator is atomic under the interpreter's lock
    acknowledged, failures = itertools.count(), []
    begun = time.perf_counter()
    ends = begun + float(seconds)

    def work(write):
        try:
            while time.perf_counter() < ends:
                operation = next(waiting, None)
                if operation is None:
                    break
                write(operation)
                next(acknowledged)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(store.writer(),)) for _ in range(int(writers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    if failures:
        raise failures[0]
    print(json.dumps({"documents": next(acknowledged) * each, "seconds": took, "held": store.count()}))


main()
