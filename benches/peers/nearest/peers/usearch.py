"""usearch: a graph over the vectors themselves."""

import numpy
from usearch.index import Index

from . import WINDOWS, Peer


class Usearch(Peer):
    title = "usearch, f32, M = 16"
    has_batches = True

    def build(self):
        self.index = Index(ndim=self.dimension, metric="ip", dtype="f32", connectivity=16, expansion_add=200)
        self.index.add(numpy.arange(len(self.rows)), self.rows, threads=1)

    def save(self):
        self.index.save(str(self.folder / "index"))

    def efforts(self):
        return [[{"expansion_search": window} for window in WINDOWS]]

    def set_effort(self, effort):
        self.index.expansion_search = effort["expansion_search"]

    def search(self, query):
        return self.index.search(query, self.k, threads=1)

    def rows_of(self, answer):
        return answer.keys

    def search_batch(self, queries):
        return self.index.search(queries, self.k, threads=1)

    def rows_of_batch(self, answers):
        return answers.keys
