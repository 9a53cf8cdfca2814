"""What are the vectors, and how many of the nearest did a peer find?

Reads what the engine's half of the benchmark left in a set's folder: `set.json`, rows, queries, and of each query the
score of its tenth nearest row. Whatever scores at least that is one of the nearest.
"""

import json
import pathlib

import numpy


class Set:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.about = json.loads((folder / "set.json").read_text())
        self.dimension, self.k = self.about["dimension"], self.about["k"]
        self.rows = self._floats(folder / "rows.f32").reshape(self.about["rows"], self.dimension)
        self.queries = self._floats(folder / "queries.f32").reshape(self.about["queries"], self.dimension)
        # Behind the floors of all rows come those of choices of rows.
        self.floors = self._floats(folder / self.about["truth"])[: self.about["queries"]]

    @staticmethod
    def _floats(path):
        return numpy.fromfile(path, dtype="<f4").astype(numpy.float32, copy=False)

    def recall(self, answers):
        """The mean share of the nearest that the answers have, one answer (rows' numbers) for each query."""
        wanted = min(self.k, len(self.rows))
        found = 0
        for query, floor, answer in zip(self.queries, self.floors, answers, strict=True):
            rows = sorted({int(row) for row in answer if 0 <= int(row) < len(self.rows)})
            scores = self.rows[rows] @ query
            found += min(int((scores >= floor - self.about["tolerance"]).sum()), wanted)
        return found / wanted / len(self.queries)
