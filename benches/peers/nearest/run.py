"""Measures all peers on all sets that are wanted, each in a process of its own.

    run.py FOLDER

FOLDER is where the engine's half of the benchmark left the sets. A peer that is done is not measured again, unless the
set changed or STRONGROOM_BENCH_PEERS names it (several with commas between): then only those named are. One that fails
ends nothing; what it said last is kept beside the results.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from peers import PEERS

HERE = pathlib.Path(__file__).parent
# Everything that is known to start threads for work; lancedb comes to a stop with one thread to read with.
ONE_THREAD = [
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS", "LANCE_CPU_THREADS",
]
# A warning at each query would be measured too.
QUIET = {"ANONYMIZED_TELEMETRY": "False", "LANCE_LOG": "error", "PYTHONDONTWRITEBYTECODE": "1"}
# What may hold a library back from the instructions that this processor has.
HELD_BACK = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]
SECONDS_MAX = 4 * 60 * 60


def environment():
    kept = {name: value for name, value in os.environ.items() if name not in HELD_BACK}
    return kept | dict.fromkeys(ONE_THREAD, "1") | QUIET


def is_done(result, checksum):
    return result.exists() and json.loads(result.read_text()).get("checksum") == checksum


def measure(name, place, checksum):
    """Runs one peer and answers why it failed, if it did."""
    result, failed = place / f"{name}.peer.json", place / f"{name}.failed.json"
    result.unlink(missing_ok=True)
    failed.unlink(missing_ok=True)
    folder = place / f"{name}.store"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log = place / f"{name}.log"
    command = [sys.executable, "-u", HERE / "measure.py", name, place, folder, result]
    try:
        with log.open("w") as output:
            status = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment(), timeout=SECONDS_MAX
            ).returncode
    except subprocess.TimeoutExpired:
        status = "timeout"
    shutil.rmtree(folder, ignore_errors=True)
    if status == 0 and is_done(result, checksum):
        return None
    said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    why = f"{said[-1].strip() if said else 'said nothing'} (exit {status})"
    failed.write_text(json.dumps({"name": name, "checksum": checksum, "why": why}) + "\n")
    return why


def main():
    folder = pathlib.Path(sys.argv[1])
    named = [name for name in os.environ.get("STRONGROOM_BENCH_PEERS", "").split(",") if name]
    if unknown := set(named) - set(PEERS):
        sys.exit(f"STRONGROOM_BENCH_PEERS: there is no peer {', '.join(sorted(unknown))} among {', '.join(PEERS)}")
    for place in sets(folder):
        checksum = json.loads((place / "set.json").read_text())["checksum"]
        for name in named or PEERS:
            if not named and is_done(place / f"{name}.peer.json", checksum):
                print(f"{place.name}: {name} is done")
                continue
            begun = time.monotonic()
            why = measure(name, place, checksum)
            print(f"{place.name}: {name}: {why or 'done'}, {time.monotonic() - begun:.0f} s", flush=True)


def sets(folder):
    """The folders of the sets that the engine was last measured with."""
    return [folder / name for name in json.loads((folder / "sets.json").read_text())]


if __name__ == "__main__":
    main()
