"""faiss: inverted files, alone and with codes whose best are scored again with the vectors themselves."""

import faiss

from . import Peer, lists_for, probes


class Faiss(Peer):
    has_batches = True
    # Of how many times k the vectors are looked at again.
    refined = []

    def make(self, lists):
        raise NotImplementedError

    def build(self):
        faiss.omp_set_num_threads(1)
        self.lists = lists_for(len(self.rows))
        self.index = self.make(self.lists)
        self.index.train(self.rows)
        self.index.add(self.rows)
        self.inverted = faiss.extract_index_ivf(getattr(self.index, "base_index", self.index))

    def save(self):
        faiss.write_index(self.index, str(self.folder / "index"))

    def set_effort(self, effort):
        self.inverted.nprobe = effort["nprobe"]
        if "k_factor" in effort:
            self.index.k_factor = effort["k_factor"]

    def efforts(self):
        return [
            [{"k_factor": refined, "nprobe": count} for count in probes(self.lists)] for refined in self.refined
        ]

    def prepare(self, query):
        return query.reshape(1, -1).copy()

    def search(self, query):
        return self.index.search(query, self.k)

    def rows_of(self, answer):
        return answer[1][0]

    def search_batch(self, queries):
        return self.index.search(queries, self.k)

    def rows_of_batch(self, answers):
        return answers[1]


class PqFastScan(Faiss):
    """4-bit product quantisation, two components a code."""

    title = "faiss IVFPQFastScan + refine"
    refined = [2, 4, 8, 16, 32, 64]

    def make(self, lists):
        description = f"IVF{lists},PQ{self.dimension // 2}x4fs,RFlat"
        return faiss.index_factory(self.dimension, description, faiss.METRIC_INNER_PRODUCT)


class RabitqFastScan(Faiss):
    title = "faiss IVFRaBitQFastScan + refine"
    # Its codes are coarse: of rows of few components many must be looked at again.
    refined = [8, 16, 32, 64, 128]

    def make(self, lists):
        description = f"RR{self.dimension},IVF{lists},RaBitQfs"
        base = faiss.index_factory(self.dimension, description, faiss.METRIC_INNER_PRODUCT)
        index = faiss.IndexRefineFlat(base)
        index.own_fields = True
        base.this.disown()
        return index


class Flat(Faiss):
    title = "faiss IVFFlat"

    def make(self, lists):
        return faiss.index_factory(self.dimension, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)

    def efforts(self):
        return [[{"nprobe": count} for count in probes(self.lists)]]
