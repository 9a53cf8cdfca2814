"""How do the engine and its peers compare, as a table and as a picture?

    report.py FOLDER [DOCS]

FOLDER is where both halves of the benchmark left their results. Prints the tables and leaves them and the pictures in FOLDER;
with DOCS also there: between the marks in `benchmarks-nearest.md`, and as `nearest-SET.svg`, and what was measured of the peers
goes to `results` beside this program. That is refused while a set was cut short or an engine's result is missing: figures of
less than all are for trying.

A peer that FOLDER has no result of stands in the table with the one in `results`, if it was measured with the same vectors on a
machine like this one: so the engine can be measured anew without hours of its peers. Each row tells when it was
measured and how fast the machine was then.
"""

import datetime
import json
import os
import pathlib
import sys

from curve import RECALLS, frontier, qps_at
from peers import PEERS
from run import sets

PAGE = "benchmarks-nearest.md"
MARKS = ("<!-- results begin -->", "<!-- results end -->")
ENGINE = "Strongroom"
KEPT = pathlib.Path(__file__).parent / "results"


def read(path):
    return json.loads(path.read_text()) if path.exists() else None


def results(place):
    """What is known about a set: the set, what was measured on it (the engine first), and what failed."""
    about = read(place / "set.json")
    is_current = lambda known: known is not None and known["checksum"] == about["checksum"]
    found, failed = [read(place / "engine.json")], []
    for name in PEERS:
        measured, why = read(place / f"{name}.peer.json"), read(place / f"{name}.failed.json")
        kept = read(KEPT / place.name / f"{name}.json")
        if is_current(measured):
            found.append(measured)
        elif is_current(why):
            failed.append(why)
        elif is_current(kept) and hardware(kept) == hardware(about):
            found.append(kept)
    return about, [one for one in found if is_current(one)], failed


def hardware(one):
    """The processor, its threads, the memory: a machine's description without its system."""
    return one["machine"].split(", Linux")[0]


def keep(place, about):
    """Puts the peers' results of a set beside this program, one line a point."""
    for name in PEERS:
        measured = read(place / f"{name}.peer.json")
        if measured is not None and measured["checksum"] == about["checksum"]:
            (KEPT / place.name).mkdir(parents=True, exist_ok=True)
            (KEPT / place.name / f"{name}.json").write_text(as_text(measured))


def as_text(result):
    """JSON with a line for each member, and for each point of a curve."""
    line = lambda value: json.dumps(value, ensure_ascii=False)
    is_points = lambda value: isinstance(value, list) and value and isinstance(value[0], dict)
    points = lambda value: "[\n" + ",\n".join(f"  {line(point)}" for point in value) + "\n ]"
    members = [f' {line(name)}: {points(value) if is_points(value) else line(value)}' for name, value in result.items()]
    return "{\n" + ",\n".join(members) + "\n}\n"


def points(curve):
    return [(point["recall"], point["qps"]) for point in curve]


def speeds(one, curve):
    """Its speeds at the recalls; none where it wasn't asked so."""
    return [qps_at(points(one.get(curve, [])), recall) for recall in RECALLS]


def label(one):
    return f"{one['name']} {one['version']}" if "version" in one else f"**{one['name']}**"


def number(value):
    return "–" if value is None else f"{value:,.0f}"


def ordered(found):
    """The engine first, then the fastest at the lower recall."""
    return sorted(found, key=lambda one: (one["name"] != ENGINE, -(speeds(one, "curve")[0] or 0)))


def when(one):
    """The day and the hour, and how fast the machine was before and after."""
    begun = datetime.datetime.fromtimestamp(one["measured_s"], datetime.timezone.utc).strftime("%d %b %H:%M")
    scans = [f"{scan:.1f}" for scan in one["plain_scan_ms"]]
    return begun, " to ".join(scans)


def comparison(about, found, failed):
    """The table of a set."""
    heads = [f"QPS @{recall}" for recall in RECALLS]
    heads += [f"64 at once @{recall}" for recall in RECALLS]
    heads += ["build, CPU s", "disk × raw", "best recall", "measured, UTC", "plain scan, ms"]
    lines = [
        f"### {about['name']}: {about['rows']:,} × {about['dimension']}",
        "",
        f"| one thread | {' | '.join(heads)} |",
        "|---|" + "---|" * len(heads),
    ]
    for one in ordered(found):
        cells = [number(speed) for curve in ("curve", "batches") for speed in speeds(one, curve)]
        best = max(recall for recall, _ in points(one["curve"]))
        cells += [f"{one['build']['cpu_s']:.1f}", f"{one['disk_bytes'] / one['raw_bytes']:.2f}", f"{best:.4f}", *when(one)]
        lines.append(f"| {label(one)} | {' | '.join(cells)} |")
    lines += [""] + [f"Not measured: {one['name']}: `{one['why']}`." for one in failed]
    return lines


def engine_rows(engine):
    """What is searched in the engine, with the curve of it."""
    yield "all rows", engine["curve"]
    for one in engine["filters"]:
        yield f"a filter that keeps {one['keeps'] * 100:g} %", one["curve"]
    yield "half of the rows deleted", engine["deleted"]["before_compaction"]
    yield "the same, compacted", engine["deleted"]["after_compaction"]
    for one in engine.get("small", []):
        yield f"a partition of {one['rows']:,} rows", one["curve"]


def engine_table(about, engine):
    """What only the engine was asked."""
    beside = engine["segment_bytes"] - engine["raw_bytes"]
    lines = [
        f"### {ENGINE} on {about['name']}",
        "",
        f"In the segment {beside / about['rows']:.0f} bytes a row beside the originals. With nothing in memory it opens in "
        f"{engine['open']['open_ms']:.1f} ms and answers its first search in {engine['open']['first_search_ms']:.1f} ms.",
        "",
        "| search | setting | recall@10 | CPU µs | wall µs, p50 | fewer than min(k, matches) | hits that should not be |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, curve in engine_rows(engine):
        for point in curve:
            recall = f"{point['recall']:.4f}" if "recall" in point else "–"
            lines.append(
                f"| {what} | {point['setting']} | {recall} | {point['cpu_us']:.1f} | {point['wall_us']:.1f} | "
                f"{point.get('short_answers', '–')} | {point.get('wrong_hits', '–')} |"
            )
    return [*lines, ""]


# Of middling lightness, to be told from a white ground and from a black one.
INK = "#7d828a"
COLOURS = ["#3f8fd9", "#2f9e6b", "#c77d1e", "#a06cd5", "#d0589b", "#8c8f2e", "#2aa1a8", "#b0735a", "#7a86c9", "#8a8f98"]
DASHES = ["-", "--", "-.", ":"]


def picture(about, found, path):
    """Recall against speed, as SVG without a ground of its own."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "nearest", "svg.fonttype": "none", "font.size": 11, "text.color": INK})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.2))
    low = 0.9
    # A scale on which the last hundredths of recall are as wide as the first tenth.
    axes.set_xscale("function", functions=(lambda x: -((1.0005 - x) ** 0.4), lambda y: 1.0005 - (-y) ** 2.5))
    for place, one in enumerate(ordered(found)):
        front = frontier(points(one["curve"]))
        before = [point for point in front if point[0] < low][-1:]
        shown = [(low, qps_at(front, low))] if before else []
        shown += [point for point in front if point[0] >= low]
        if not shown:
            continue
        recalls, speeds = zip(*shown)
        is_engine = one["name"] == ENGINE
        axes.plot(
            recalls, speeds, label=one["name"], color="#e5484d" if is_engine else COLOURS[place % len(COLOURS)],
            linewidth=3 if is_engine else 1.6, marker="D" if is_engine else "o", markersize=7 if is_engine else 3.5,
            linestyle="-" if is_engine else DASHES[place % len(DASHES)], zorder=3 if is_engine else 2,
        )
    axes.set_xlim(low, 1.0003)
    ticks = [0.9, 0.93, 0.96, 0.98, 0.99, 0.995, 1.0]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yscale("log")
    axes.set_xlabel("recall@10")
    axes.set_ylabel("queries a second of one core")
    axes.set_title(f"{about['name']}: {about['rows']:,} × {about['dimension']}, up and to the right is better", color=INK)
    axes.grid(True, which="major", color=INK, alpha=0.3, linewidth=0.6)
    for side in axes.spines.values():
        side.set_color(INK)
    axes.tick_params(which="both", colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=10)
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def write_docs(docs, text):
    page = docs / PAGE
    before, rest = page.read_text().split(MARKS[0])
    _, after = rest.split(MARKS[1])
    page.write_text(f"{before}{MARKS[0]}\n\n{text}\n{MARKS[1]}{after}")


def main():
    folder = pathlib.Path(sys.argv[1])
    docs = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if docs and os.environ.get("STRONGROOM_BENCH_ROWS"):
        sys.exit("figures of some of the rows don't go into the documents: unset STRONGROOM_BENCH_ROWS and measure all")
    lines = []
    for place in sets(folder):
        about, found, failed = results(place)
        engine = next((one for one in found if one["name"] == ENGINE), None)
        if engine is None:
            sys.exit(f"{place.name}: the engine was not measured: cargo xtask bench nearest")
        if not lines:
            lines += [f"Machine: {engine['machine']}.", ""]
        svg = f"nearest-{about['name']}.svg"
        for where in filter(None, [folder, docs]):
            picture(about, found, where / svg)
        if docs:
            keep(place, about)
        lines += comparison(about, found, failed)
        lines += ["", f"![Recall against speed on {about['name']}]({svg})", "", *engine_table(about, engine)]
    text = "\n".join(lines)
    (folder / PAGE).write_text(text)
    print(text)
    if docs:
        write_docs(docs, text)


if __name__ == "__main__":
    main()
