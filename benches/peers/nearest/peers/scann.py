"""ScaNN: a tree of lists with anisotropic 4-bit codes, the best scored again with the vectors themselves."""

import scann

from . import Peer, lists_for, probes

REORDERED = [20, 40, 80, 160]


class Scann(Peer):
    title = "ScaNN tree-AH + reorder"
    has_batches = True

    def build(self):
        self.leaves = lists_for(len(self.rows))
        builder = scann.scann_ops_pybind.builder(self.rows, self.k, "dot_product")
        builder.set_n_training_threads(1)
        builder.tree(self.leaves, num_leaves_to_search=1, training_sample_size=len(self.rows))
        builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(REORDERED[0])
        self.index = builder.build()
        self.index.set_num_threads(1)

    def save(self):
        self.index.serialize(str(self.folder))

    def efforts(self):
        return [
            [{"reorder": reordered, "leaves": count} for count in probes(self.leaves)] for reordered in REORDERED
        ]

    def set_effort(self, effort):
        self.effort = effort

    def search(self, query):
        return self.index.search(
            query, pre_reorder_num_neighbors=self.effort["reorder"], leaves_to_search=self.effort["leaves"]
        )

    def rows_of(self, answer):
        return answer[0]

    def search_batch(self, queries):
        return self.index.search_batched(
            queries, pre_reorder_num_neighbors=self.effort["reorder"], leaves_to_search=self.effort["leaves"]
        )

    def rows_of_batch(self, answers):
        return answers[0]
