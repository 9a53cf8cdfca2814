"""What does one peer cost on one data set?

    measure.py PEER SET FOLDER RESULT

SET is a folder that the engine's half of the benchmark filled, FOLDER an empty one for the peer, RESULT the file of JSON
that is written. Everything is on one thread, as far as the peer lets itself be told so, and time is the processor's, of
all threads of this process. Of each setting all queries are asked one at a time, some first to warm up; the
figures are of the middle one of up to three passes, fewer when one takes long. A peer that has a call for several queries is
asked so too, with the settings around the recalls that are compared. A plain scan of all rows before and after tells how fast
the machine was meanwhile.
"""

import importlib.metadata
import json
import os
import pathlib
import sys
import time

import numpy

import peers
import vectors
from curve import RECALLS, around

WARM_UP = 100
PASSES_MAX = 3
PASSES_SECONDS = 5.0
# More effort for less than this is not asked for.
RECALL_STEP = 0.0003
RECALL_ENOUGH = 0.9995
# One pass will do for what the comparison has no use for.
RECALL_POOR = 0.9
# Queries of one call.
BATCH = 64
# A plain scan's queries, the middle one of which counts.
SCANS = 9


def cost(work):
    """The processor's and the wall's seconds of some work."""
    cpu, begun = time.process_time(), time.perf_counter()
    work()
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - begun}


def bytes_in(folder):
    """What a folder's files take on the disk: some are as long as they may become, and mostly holes."""
    os.sync()
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def ask(search, asked):
    """What a call answers to each of these, and what all of them cost."""
    answers = []

    def work():
        keep = answers.append
        for one in asked:
            keep(search(one))

    return answers, cost(work)


def point(data, effort, search, rows_of, asked):
    """Recall and speed with one setting, which holds already: of a call with each of these, of whose answers `rows_of` makes
    the rows of one query after the other."""
    ask(search, asked[:max(1, WARM_UP * len(asked) // len(data.queries))])
    passes = []
    while len(passes) < PASSES_MAX and sum(taken["cpu_s"] for taken in passes) < PASSES_SECONDS:
        answers, taken = ask(search, asked)
        passes.append(taken)
        recall = data.recall([rows for answer in answers for rows in rows_of(answer)])
        if recall < RECALL_POOR:
            break
    middle = sorted(passes, key=lambda taken: taken["cpu_s"])[len(passes) // 2]
    queries = len(data.queries)
    return {
        "setting": effort,
        "recall": recall,
        "qps": queries / middle["cpu_s"],
        "cpu_us": middle["cpu_s"] / queries * 1e6,
        "wall_us": middle["wall_s"] / queries * 1e6,
    }


def curve(peer, data):
    """Points along all its efforts; a row of them ends where more effort brings nothing."""
    queries = [peer.prepare(query) for query in data.queries]
    points = []
    for efforts in peer.efforts():
        before = -1.0
        for effort in efforts:
            peer.set_effort(effort)
            points.append(point(data, effort, peer.search, lambda answer: [peer.rows_of(answer)], queries))
            recall = points[-1]["recall"]
            print(f"    {effort}: {recall:.4f}, {points[-1]['qps']:.0f} a second", flush=True)
            if recall >= RECALL_ENOUGH or recall - before < RECALL_STEP:
                break
            before = recall
    return points


def batches(peer, data, points):
    """The same with several queries a call, with the settings around each recall; nothing where there is no such call."""
    if not peer.has_batches:
        return []
    first = range(0, len(data.queries), BATCH)
    asked = [peer.prepare_batch(data.queries[number:number + BATCH]) for number in first]
    found = []
    for effort in around(points, RECALLS):
        peer.set_effort(effort)
        found.append(point(data, effort, peer.search_batch, peer.rows_of_batch, asked))
        print(f"    {effort}, {BATCH} at once: {found[-1]['recall']:.4f}, {found[-1]['qps']:.0f} a second", flush=True)
    return found


def plain_scan(data):
    """What a plain scan of all rows by one query costs, in milliseconds of the processor."""
    taken = [cost(lambda: numpy.dot(data.rows, query))["cpu_s"] for query in data.queries[:SCANS]]
    return sorted(taken)[len(taken) // 2] * 1e3


def main():
    name, place, folder, result = sys.argv[1:]
    data, folder = vectors.Set(place), pathlib.Path(folder)
    peer = peers.load(name)(folder, data.rows, data.k)
    begun, scans = int(time.time()), [plain_scan(data)]
    built = cost(peer.build)
    peer.save()
    print(f"    built in {built['cpu_s']:.1f} s of the processor", flush=True)
    points = curve(peer, data)
    figures = {
        "name": peer.title,
        "version": importlib.metadata.version(peers.PEERS[name][2]),
        "checksum": data.about["checksum"],
        "build": built,
        "disk_bytes": bytes_in(folder),
        "raw_bytes": data.rows.nbytes,
        "curve": points,
        "batch": BATCH,
        "batches": batches(peer, data, points),
        "machine": data.about["machine"],
        "measured_s": begun,
        "plain_scan_ms": [*scans, plain_scan(data)],
    }
    pathlib.Path(result).write_text(json.dumps(figures, indent=1) + "\n")


main()
