"""scalable-vs: a Vamana graph over vectors of 4 + 8 bits (LVQ), which are all that it keeps."""

import pathlib
import tempfile

import svs

from . import WINDOWS, Peer


class Vamana(Peer):
    title = "Vamana LVQ4x8 (scalable-vs)"
    has_batches = True

    def build(self):
        parameters = svs.VamanaBuildParameters(alpha=1.2, graph_max_degree=64, window_size=200)
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as scratch:
            path = str(pathlib.Path(scratch) / "rows.fvecs")
            svs.write_vecs(self.rows, path)
            loader = svs.VectorDataLoader(path, svs.DataType.float32, dims=self.dimension)
            codes = svs.LVQLoader(loader, primary=4, residual=8, strategy=svs.LVQStrategy.Turbo, padding=32)
            self.index = svs.Vamana.build(parameters, codes, svs.DistanceType.L2, num_threads=1)

    def save(self):
        self.index.save(*(str(self.folder / part) for part in ("config", "graph", "data")))

    def efforts(self):
        return [[{"search_window_size": window} for window in WINDOWS]]

    def set_effort(self, effort):
        self.index.search_window_size = effort["search_window_size"]

    def prepare(self, query):
        return query.reshape(1, -1).copy()

    def search(self, query):
        return self.index.search(query, self.k)

    def rows_of(self, answer):
        return answer[0][0]

    def search_batch(self, queries):
        return self.index.search(queries, self.k)

    def rows_of_batch(self, answers):
        return answers[0]
