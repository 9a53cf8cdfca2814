"""hnswlib: a graph over the vectors themselves."""

import hnswlib
import numpy

from . import WINDOWS, Peer


class Hnswlib(Peer):
    title = "hnswlib, M = 16"
    has_batches = True

    def build(self):
        self.index = hnswlib.Index(space="ip", dim=self.dimension)
        self.index.init_index(max_elements=len(self.rows), ef_construction=200, M=16, random_seed=1)
        self.index.set_num_threads(1)
        self.index.add_items(self.rows, numpy.arange(len(self.rows)), num_threads=1)

    def save(self):
        self.index.save_index(str(self.folder / "index"))

    def efforts(self):
        return [[{"ef": ef} for ef in WINDOWS]]

    def set_effort(self, effort):
        self.index.set_ef(effort["ef"])

    def search(self, query):
        return self.index.knn_query(query, self.k, num_threads=1)

    def rows_of(self, answer):
        return answer[0][0]

    def search_batch(self, queries):
        return self.index.knn_query(queries, self.k, num_threads=1)

    def rows_of_batch(self, answers):
        return answers[0]
