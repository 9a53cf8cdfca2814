"""Which peers are there?

Each is made of the rows with their numbers as ids, searched on one thread, one query at a time and several in a call where it
has one for that, and asked for the ten nearest. All vectors are of length 1. What a peer needs is imported when it is made, so that one that can't be installed
hurts no other.
"""

import importlib

# The name in the results, its module here, its class, and the package whose version is told.
PEERS = {
    "faiss-ivfpqfs": ("faiss", "PqFastScan", "faiss-cpu"),
    "faiss-ivfrabitqfs": ("faiss", "RabitqFastScan", "faiss-cpu"),
    "faiss-ivfflat": ("faiss", "Flat", "faiss-cpu"),
    "hnswlib": ("hnswlib", "Hnswlib", "hnswlib"),
    "usearch": ("usearch", "Usearch", "usearch"),
    "scann": ("scann", "Scann", "scann"),
    "svs-vamana-lvq4x8": ("svs", "Vamana", "scalable-vs"),
    "qdrant-edge": ("qdrant", "Qdrant", "qdrant-edge-py"),
    "lancedb-ivfpq": ("lancedb", "Lance", "lancedb"),
    "chromadb": ("chromadb", "Chroma", "chromadb"),
}


def load(name):
    """The class of a peer."""
    module, kind, _ = PEERS[name]
    return getattr(importlib.import_module(f"peers.{module}"), kind)


class Peer:
    """What a peer does. `folder` is empty and only its own: what lies there after `save` is its room on the disk."""

    title = ""
    # Whether one call searches with several queries: then what ends in `_batch` is there.
    has_batches = False

    def __init__(self, folder, rows, k):
        self.folder, self.rows, self.k = folder, rows, k
        self.dimension = rows.shape[1]

    def build(self):
        """Makes the index."""
        raise NotImplementedError

    def save(self):
        """Leaves everything that is needed to search again in the folder."""

    def efforts(self):
        """Settings to search with: lists, in each the least effort first."""
        raise NotImplementedError

    def set_effort(self, effort):
        """Makes this one of them hold for the searches to come."""
        raise NotImplementedError

    def prepare(self, query):
        """A query in the form that is quickest to search with; not timed."""
        return query

    def search(self, query):
        """The answer as the peer gives it."""
        raise NotImplementedError

    def rows_of(self, answer):
        """The rows' numbers in an answer; not timed."""
        return answer

    def prepare_batch(self, queries):
        """Several queries in the form that is quickest to search with; not timed."""
        return queries.copy()

    def search_batch(self, queries):
        """The answers to several queries as the peer gives them."""
        raise NotImplementedError

    def rows_of_batch(self, answers):
        """The rows' numbers of one query after the other; not timed."""
        raise NotImplementedError


def lists_for(rows):
    """How many lists an inverted file gets: the power of two nearest to four times the root of the rows."""
    wanted = 4 * rows ** 0.5
    return min((2 ** power for power in range(4, 17)), key=lambda count: abs(count - wanted))


def probes(lists):
    """How many of so many lists are looked through, from few to all but all."""
    return [count for count in (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512) if count <= lists]


WINDOWS = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896]
