"""lancedb: an inverted file with product quantisation, the best scored again with the vectors themselves."""

import lancedb
import numpy
import pyarrow

from . import Peer, lists_for, probes

# Two refinements and every second number of lists: a query takes it longer than all others, and a finer grid hours.
REFINED = [8, 32]
# It trains a list with so many rows, and of more lists than that allows only some.
ROWS_PER_LIST = 256


class Lance(Peer):
    title = "lancedb IVF_PQ + refine"

    def build(self):
        flat = pyarrow.array(self.rows.reshape(-1))
        vectors = pyarrow.FixedSizeListArray.from_arrays(flat, self.dimension)
        numbers = pyarrow.array(numpy.arange(len(self.rows)))
        data = pyarrow.table({"id": numbers, "vector": vectors})
        self.lists = max(1, min(lists_for(len(self.rows)), len(self.rows) // ROWS_PER_LIST))
        self.table = lancedb.connect(self.folder).create_table("rows", data)
        self.table.create_index(
            metric="dot", index_type="IVF_PQ", num_partitions=self.lists, num_sub_vectors=self.dimension // 4
        )

    def efforts(self):
        few = probes(self.lists)[::2]
        return [[{"refine": refined, "nprobes": count} for count in few] for refined in REFINED]

    def set_effort(self, effort):
        self.effort = effort

    def search(self, query):
        search = self.table.search(query, vector_column_name="vector").limit(self.k).select(["id", "_distance"])
        return search.nprobes(self.effort["nprobes"]).refine_factor(self.effort["refine"]).to_arrow()

    def rows_of(self, answer):
        return answer["id"].to_pylist()
