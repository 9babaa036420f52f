#!/usr/bin/env python3
"""Let visitors search for half an hour beside an indexer at work, and look whether anything grows.

Draws a library, indexes it with the sample encoder into Milvus Lite and starts
`image-search serve`. Eight clients ask for words, pictures, filters, similar pictures, thumbnails,
originals, the library and the page; beside them pictures are added, changed and removed, each time
with a run of `index-folder`. Prints requests and errors, and how the server's memory went: first
and last value, and the slope of its floor in the second half. The exit code is 1 where there was
an error, where the collection is not the folder at the end, or where memory grows.
"""

import argparse
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import numpy as np
from make_sample_library import picture_bytes
from process_memory import resident_mib
from sample_library import CATEGORIES

SCRIPTS = Path(__file__).parent
BIN = Path(sys.executable).parent
# Allocators give back in steps of tens of MiB, which moves the slope of 15 minutes by as much an
# hour, so less than this says nothing. A leak of one row of an answer (about a kilobyte) in each
# request would be several times as much.
BOUND_MIB_AN_HOUR = 60.0
SAMPLE_S = 2.0
BETWEEN_RUNS_S = 5.0
CHANGED_EACH_RUN = 5
PLACES = ("grass", "sand", "wood", "a plate", "a table", "stone", "straw", "ice", "paper", "silk")


@dataclass
class Tally:
    """What happened so far. Counters are only added to, each by its own lock."""

    requests: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    """Pictures that were removed between the search and the look at them; no error."""
    cut: int = 0
    """Originals that were written over while they were sent: their answers end early, as they
    should, and the next one says what is so; no error."""
    runs: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds and MiB."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, error: str = "", gone: bool = False) -> None:
        """Count one request."""
        with self.lock:
            self.requests[kind] += 1
            self.gone += gone
            if error:
                self.errors[f"{kind}: {error}"] += 1
                print(f"ERROR {kind}: {error}", flush=True)


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        library, data = Path(folder) / "library", Path(folder) / "data"
        environment = {**os.environ, "IMAGE_SEARCH_DATA_DIR": str(data)}
        drawing = [sys.executable, SCRIPTS / "make_sample_library.py", library]
        subprocess.run([*drawing, "--per-category", str(options.per_category)], check=True)
        _index(library, environment)
        command = [BIN / "image-search", "serve", "--port", "0"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        said: list[str] = []
        try:
            address = _address(server, said)
            tally = _soak(address, server.pid, library, environment, options)
            if server.poll() is not None:
                tally.errors["the server ended"] += 1
            _compare(address, library, tally)
        finally:
            server.terminate()
            server.wait()
    if tally.cut > tally.runs:
        tally.errors["more originals were cut than can have been written over"] += 1
    for line in said:
        tally.errors[f"the server said: {line}"] += 1
    return _tell(tally, options)


def _soak(
    address: str, pid: int, library: Path, environment: dict[str, str], options: argparse.Namespace
) -> Tally:
    tally, over = Tally(), threading.Event()
    parts: list[Callable[[], None]] = [
        lambda: _churn(library, environment, random.Random(options.seed), tally, over),
        lambda: _watch_memory(pid, tally, over, options.minutes),
    ]
    for number in range(options.visitors):
        rng = random.Random(1000 * options.seed + number)
        parts.append(lambda rng=rng: _visit(address, library, rng, tally, over))  # type: ignore[misc]
    threads = [threading.Thread(target=part) for part in parts]
    for thread in threads:
        thread.start()
    over.wait(options.minutes * 60)
    over.set()
    for thread in threads:
        thread.join()
    return tally


def _visit(
    address: str, library: Path, rng: random.Random, tally: Tally, over: threading.Event
) -> None:
    """One client, until the time is over."""
    with httpx.Client(base_url=address, timeout=60) as client:
        while not over.is_set():
            hits = _search(client, library, rng, tally)
            for hit in hits[:4]:
                _get(client, "thumbnail", hit["thumbnail_url"], tally)
            if hits and rng.random() < 0.1:
                _look_at(client, hits[0]["image_url"], tally)
            if hits and rng.random() < 0.1:
                _get(client, "similar", f"/api/search?like={hits[0]['id']}", tally)
            if rng.random() < 0.05:
                place = rng.choice(("/", "/api/stats", "/api/library", "/api/library/map"))
                _get(client, place, place, tally)


def _search(
    client: httpx.Client, library: Path, rng: random.Random, tally: Tally
) -> list[dict[str, str]]:
    text = f"{rng.choice(sorted(CATEGORIES))} on {rng.choice(PLACES)}, {rng.randrange(10_000)}"
    if rng.random() < 0.2:
        content, _ = picture_bytes(rng.choice(sorted(CATEGORIES)), rng.randrange(10**6), 7, 120)
        return _ask(
            "picture",
            lambda: client.post(
                "/api/search",
                files={"image": ("a.jpg", content)},
                data={"query": json.dumps({"top_k": 8})},
            ),
            tally,
        )
    chosen = {"categories": [rng.choice(sorted(CATEGORIES))]} if rng.random() < 0.3 else {}
    body = {"terms": [{"text": text}], "filter": chosen, "top_k": rng.choice((4, 16, 60))}
    kind = "filter" if chosen else "words"
    return _ask(kind, lambda: client.post("/api/search", json=body), tally)


def _get(client: httpx.Client, kind: str, url: str, tally: Tally) -> None:
    _ask(kind, lambda: client.get(url), tally)


def _look_at(client: httpx.Client, url: str, tally: Tally) -> None:
    """Ask for an original, and again where its answer was cut."""

    def request() -> httpx.Response:
        try:
            return client.get(url)
        except httpx.RemoteProtocolError:
            with tally.lock:
                tally.cut += 1
            return client.get(url)

    _ask("original", request, tally)


def _ask(kind: str, request: Callable[[], httpx.Response], tally: Tally) -> list[dict[str, str]]:
    """The hits of an answer, if it has any; what went wrong is noted."""
    try:
        answer = request()
    except httpx.HTTPError as error:
        tally.note(kind, type(error).__name__)
        return []
    if answer.status_code == 200:
        tally.note(kind)
        is_search = answer.headers["content-type"] == "application/json"
        found = answer.json() if is_search else {}
        return found.get("hits", []) if isinstance(found, dict) else []
    gone = answer.status_code == 404 and "image_gone" in answer.text
    tally.note(kind, "" if gone else f"{answer.status_code} {answer.text[:200]}", gone)
    return []


def _churn(
    library: Path,
    environment: dict[str, str],
    rng: random.Random,
    tally: Tally,
    over: threading.Event,
) -> None:
    """Add, change and remove pictures, and index, again and again."""
    while not over.wait(BETWEEN_RUNS_S):
        there = sorted(library.rglob("*.jpg"))
        chosen = rng.sample(there, 2 * CHANGED_EACH_RUN)
        for path in chosen[:CHANGED_EACH_RUN]:
            path.unlink()
        for path in chosen[CHANGED_EACH_RUN:]:
            _draw(path, rng)
        for _ in range(CHANGED_EACH_RUN):
            category = rng.choice(sorted(CATEGORIES))
            _draw(library / category / f"new_{rng.randrange(10**9)}.jpg", rng)
        report = _index(library, environment)
        wanted = {"added": CHANGED_EACH_RUN, "updated": CHANGED_EACH_RUN}
        wanted["removed"] = CHANGED_EACH_RUN
        if {name: report.get(name) for name in wanted} != wanted:
            tally.errors[f"index-folder: {report}"] += 1
        tally.runs += 1


def _draw(path: Path, rng: random.Random) -> None:
    content, _ = picture_bytes(path.parent.name, rng.randrange(10**6), rng.randrange(10**6), 240)
    path.write_bytes(content)


def _index(library: Path, environment: dict[str, str]) -> dict[str, object]:
    command = [BIN / "index-folder", library, "--model", "sample", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    if ran.returncode:
        return {"error": ran.stderr[-500:]}
    report: dict[str, object] = json.loads(ran.stdout)
    return report


def _watch_memory(pid: int, tally: Tally, over: threading.Event, minutes: float) -> None:
    began, told = time.monotonic(), 0.0
    while not over.wait(SAMPLE_S):
        passed = time.monotonic() - began
        tally.memory.append((passed, resident_mib(pid)))
        if passed > told:
            told += max(60.0, minutes * 2)
            print(
                f"{passed / 60:5.1f} min  {sum(tally.requests.values()):8,} requests  "
                f"{sum(tally.errors.values())} errors  {tally.runs} runs  "
                f"{tally.memory[-1][1]:.0f} MiB",
                flush=True,
            )


def _compare(address: str, library: Path, tally: Tally) -> None:
    stats = httpx.get(f"{address}/api/stats", timeout=60).json()
    files = sum(1 for _ in library.rglob("*.jpg"))
    if stats["images"] != files:
        tally.errors[f"{stats['images']} pictures are indexed, and {files} there"] += 1


def _address(server: "subprocess.Popen[str]", said: list[str]) -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"serving on (http://\S+)", line):
            # Read on: a full pipe would stop the server.
            threading.Thread(target=_listen, args=(server.stderr, said), daemon=True).start()
            return found[1]
    raise SystemExit("the server did not start")


def _listen(lines: IO[str], said: list[str]) -> None:
    """Keep what the server complains of. FAISS tells of segments of few rows, which is no fault."""
    said += [line for line in lines if line.strip() and not line.startswith("WARNING clustering")]


def slope_mib_an_hour(memory: list[tuple[float, float]]) -> float:
    """Of the least of each minute in the second half: the median of the slopes between all pairs
    (Theil and Sen). What is in the works comes and goes; what leaks raises the floor."""
    floor: dict[int, float] = {}
    for seconds, mib in memory[len(memory) // 2 :]:
        minute = int(seconds // 60)
        floor[minute] = min(mib, floor.get(minute, mib))
    pairs = itertools.combinations(sorted(floor.items()), 2)
    slopes = [(after - before) / (later - minute) for (minute, before), (later, after) in pairs]
    return float(np.median(slopes)) * 60 if slopes else 0.0


def _tell(tally: Tally, options: argparse.Namespace) -> int:
    requests, errors = sum(tally.requests.values()), sum(tally.errors.values())
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in tally.requests.most_common())
    print(
        f"{options.minutes:g} minutes, {options.visitors} clients: {requests:,} requests ({kinds})"
    )
    print(f"{tally.runs} runs of index-folder beside them; {tally.gone} pictures were gone by then")
    print(f"{tally.cut} originals were written over while they were sent")
    print(f"{errors} errors")
    for error, count in tally.errors.most_common(20):
        print(f"  {count} x {error}")
    slope = slope_mib_an_hour(tally.memory)
    grows = slope > options.bound
    values = [mib for _, mib in tally.memory] or [0.0]
    each = slope * 2**20 / max(requests / max(options.minutes / 60, 1e-9), 1)
    print(
        f"memory of the server: {values[0]:.0f} MiB first, {values[len(values) // 2]:.0f} in the "
        f"middle, {values[-1]:.0f} last, {max(values):.0f} at most; its floor in the second half: "
        f"{slope:+.1f} MiB an hour ({each:+.0f} bytes a request): "
        f"{'GROWS' if grows else 'does not grow'} (bound {options.bound:g})"
    )
    return 1 if errors or grows else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--visitors", type=int, default=8)
    parser.add_argument("--per-category", type=int, default=30, help="pictures of each of ten")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--bound", type=float, default=BOUND_MIB_AN_HOUR, help="MiB an hour that count as growing"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
