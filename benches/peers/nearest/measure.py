"""What does one peer cost on one data set?

    measure.py PEER SET FOLDER RESULT

SET is a folder that the engine's half of the benchmark filled, FOLDER an empty one for the peer, RESULT the file of JSON
that is written. Everything is on one thread, as far as the peer lets itself be told so, and time is the processor's, of
all threads of this process. Of each setting all queries are asked one at a time, some first to warm up; the
figures are of the middle one of up to three passes, fewer when one takes long.
"""

import importlib.metadata
import json
import os
import pathlib
import sys
import time

import peers
import vectors

WARM_UP = 100
PASSES_MAX = 3
PASSES_SECONDS = 5.0
# More effort for less than this is not asked for.
RECALL_STEP = 0.0003
RECALL_ENOUGH = 0.9995
# One pass will do for what the comparison has no use for.
RECALL_POOR = 0.9


def cost(work):
    """The processor's and the wall's seconds of some work."""
    cpu, begun = time.process_time(), time.perf_counter()
    work()
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - begun}


def bytes_in(folder):
    """What a folder's files take on the disk: some are as long as they may become, and mostly holes."""
    os.sync()
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def ask(peer, queries):
    """The answers to all queries, and what they cost."""
    answers = []

    def work():
        search, keep = peer.search, answers.append
        for query in queries:
            keep(search(query))

    return answers, cost(work)


def point(peer, data, queries, effort):
    """Recall and speed with one setting."""
    peer.set_effort(effort)
    ask(peer, queries[:WARM_UP])
    passes = []
    while len(passes) < PASSES_MAX and sum(taken["cpu_s"] for taken in passes) < PASSES_SECONDS:
        answers, taken = ask(peer, queries)
        passes.append(taken)
        recall = data.recall([peer.rows_of(answer) for answer in answers])
        if recall < RECALL_POOR:
            break
    middle = sorted(passes, key=lambda taken: taken["cpu_s"])[len(passes) // 2]
    return {
        "setting": effort,
        "recall": recall,
        "qps": len(queries) / middle["cpu_s"],
        "cpu_us": middle["cpu_s"] / len(queries) * 1e6,
        "wall_us": middle["wall_s"] / len(queries) * 1e6,
    }


def curve(peer, data):
    """Points along all its efforts; a row of them ends where more effort brings nothing."""
    queries = [peer.prepare(query) for query in data.queries]
    points = []
    for efforts in peer.efforts():
        before = -1.0
        for effort in efforts:
            points.append(point(peer, data, queries, effort))
            recall = points[-1]["recall"]
            print(f"    {effort}: {recall:.4f}, {points[-1]['qps']:.0f} a second", flush=True)
            if recall >= RECALL_ENOUGH or recall - before < RECALL_STEP:
                break
            before = recall
    return points


def main():
    name, place, folder, result = sys.argv[1:]
    data, folder = vectors.Set(place), pathlib.Path(folder)
    peer = peers.load(name)(folder, data.rows, data.k)
    built = cost(peer.build)
    peer.save()
    print(f"    built in {built['cpu_s']:.1f} s of the processor", flush=True)
    figures = {
        "name": peer.title,
        "version": importlib.metadata.version(peers.PEERS[name][2]),
        "checksum": data.about["checksum"],
        "build": built,
        "disk_bytes": bytes_in(folder),
        "raw_bytes": data.rows.nbytes,
        "curve": curve(peer, data),
    }
    pathlib.Path(result).write_text(json.dumps(figures, indent=1) + "\n")


main()
